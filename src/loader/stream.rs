//! Pictures that are decoded while the model works, because they are too many for memory or wanted in their full size.

use std::sync::Arc;

use tch::{Device, Tensor};

use super::finish::{Finish, Finished, Gathered, Spares, inputs};
use super::gallery::{Decoder, Gallery};
use super::transfer::to_device;
use super::{Batch, Batches, HeldOutFeed, Pass, Sampling, Slice, TrainFeed, mixed, places};
use crate::data::image::Region;
use crate::data::parallel::Ordered;
use crate::data::random::{Purpose, in_epoch, stream};
use crate::error::{Error, Result};
use crate::loader::augment::{Augmentation, Pixels};
use crate::model::preprocessing::Preprocessing;

/// A picture that is ready for a batch, or why it cannot be read.
type Decoded = std::result::Result<Finished, String>;

/// Pictures to train on.
pub struct StreamFeed {
    gallery: Arc<Gallery>,
    rows: Arc<[i64]>,
    labels: Vec<i64>,
    sampling: Sampling,
    augmentation: Arc<Augmentation>,
    preprocessing: Preprocessing,
    device: Device,
}

/// Pictures a forward pass in evaluation, which are large.
const EVALUATION_BATCH: usize = 64;

impl StreamFeed {
    /// Feeds the pictures `rows` of a gallery.
    pub fn new(
        gallery: &Arc<Gallery>,
        rows: &[i64],
        sampling: Sampling,
        augmentation: &Arc<Augmentation>,
        preprocessing: &Preprocessing,
        device: Device,
    ) -> Self {
        StreamFeed {
            gallery: Arc::clone(gallery),
            rows: rows.into(),
            labels: rows.iter().map(|row| gallery.labels[*row as usize]).collect(),
            sampling,
            augmentation: Arc::clone(augmentation),
            preprocessing: preprocessing.clone(),
            device,
        }
    }

    /// Decodes and changes the pictures at `places` of an epoch's order, in threads.
    fn decoded(
        &self,
        pass: Pass,
        order: &Arc<[i64]>,
        places: Arc<[usize]>,
        spares: &Spares,
    ) -> Ordered<Decoded> {
        let target = (self.gallery.height, self.gallery.width);
        let worker = || {
            let (rows, order, places) = (Arc::clone(&self.rows), Arc::clone(order), Arc::clone(&places));
            let (mut decoder, augmentation) = (self.gallery.decoder(), Arc::clone(&self.augmentation));
            let finish = Finish::new(&self.gallery, Some(&self.preprocessing), self.device, spares);
            let mut is_first = true;
            move |piece: usize| {
                // Each thread works on a picture of its own; more threads within would only be in their way.
                if std::mem::take(&mut is_first) {
                    tch::set_num_threads(1);
                }
                let place = places[piece];
                let mut generator = stream(pass.seed, Purpose::Augment, in_epoch(pass.epoch, place));
                let mut was_taken = false;
                let region = |size| {
                    let region = augmentation.region(size, &mut generator);
                    was_taken = region.is_some();
                    region.unwrap_or_else(|| Region::middle(size, target))
                };
                let values = decoder.decode(rows[order[place] as usize] as usize, region)?;
                let mut pixels = Pixels { values, width: target.1 as usize, channels: finish.channels };
                augmentation.change(&mut pixels, was_taken, generator);
                Ok(finish.apply(pixels.values, &mut decoder))
            }
        };
        let ahead = self.gallery.ahead(pass.batch_size as usize);
        Ordered::new(self.gallery.threads, 0..places.len(), ahead, worker)
    }
}

impl TrainFeed for StreamFeed {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn places(&self, pass: Pass) -> Vec<usize> {
        places(&self.sampling.order(&self.labels, pass.seed, pass.epoch), pass)
    }

    fn epoch(&self, pass: Pass) -> Batches<'_> {
        let order: Arc<[i64]> = self.sampling.order(&self.labels, pass.seed, pass.epoch).into();
        let slices: Vec<_> = pass.slices(order.len()).collect();
        let places: Arc<[usize]> =
            slices.iter().flat_map(|slice| slice.start..slice.start + slice.length).collect();
        let rows = places.iter().map(|place| self.rows[order[*place] as usize]).collect::<Vec<_>>();
        let spares = Spares::default();
        let batches = Assembled {
            gallery: &self.gallery,
            decoded: self.decoded(pass, &order, places, &spares),
            gathered: Gathered::new(&self.gallery, largest(&slices), spares),
            rows: rows.into_iter(),
            slices: slices.into_iter(),
            // A process that left a batch out would let the others wait for it.
            may_leave_out: pass.processes == 1,
            doubles: pass.batch_size > 1,
        };
        let batches = arrived(batches, Some(&self.preprocessing), self.device);
        Box::new(batches.map(move |batch| Ok(mixed(batch?, &self.augmentation, pass))))
    }
}

/// Pictures to measure a model on.
pub struct StreamHeldOut {
    gallery: Arc<Gallery>,
    rows: Vec<i64>,
    preprocessing: Option<Preprocessing>,
    device: Device,
}

impl StreamHeldOut {
    /// Feeds the pictures `rows` of a gallery, raw where no preprocessing is given.
    pub fn new(
        gallery: &Arc<Gallery>,
        rows: &[i64],
        preprocessing: Option<&Preprocessing>,
        device: Device,
    ) -> Self {
        StreamHeldOut {
            gallery: Arc::clone(gallery),
            rows: rows.to_vec(),
            preprocessing: preprocessing.cloned(),
            device,
        }
    }

    fn middles(&self, spares: &Spares) -> Ordered<Decoded> {
        self.gallery.finished_middles(&self.rows, EVALUATION_BATCH, || {
            let finish = Finish::new(&self.gallery, self.preprocessing.as_ref(), self.device, spares);
            move |pixels, decoder: &mut Decoder| finish.apply(pixels, decoder)
        })
    }
}

impl HeldOutFeed for StreamHeldOut {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn device(&self) -> Device {
        self.device
    }

    fn in_order(&self) -> Batches<'_> {
        let spares = Spares::default();
        let slices: Vec<_> = Pass::new(0, EVALUATION_BATCH as u32, 0).slices(self.rows.len()).collect();
        let batches = Assembled {
            gallery: &self.gallery,
            decoded: self.middles(&spares),
            gathered: Gathered::new(&self.gallery, largest(&slices), spares),
            rows: self.rows.clone().into_iter(),
            slices: slices.into_iter(),
            may_leave_out: true,
            doubles: false,
        };
        arrived(batches, self.preprocessing.as_ref(), self.device)
    }

    fn is_left_out(&self, place: usize) -> bool {
        self.gallery.is_bad(self.rows[place] as usize)
    }
}

/// The number of pictures of the largest batch.
fn largest(slices: &[Slice]) -> usize {
    slices.iter().map(|slice| slice.length).max().unwrap_or(0)
}

/// Batches on the device and preprocessed there, as far as they are not yet.
fn arrived<'a>(
    batches: impl Iterator<Item = Result<Batch>> + 'a,
    preprocessing: Option<&'a Preprocessing>,
    device: Device,
) -> Batches<'a> {
    Box::new(to_device(batches, device).map(move |batch| {
        let batch = batch?;
        Ok(Batch { inputs: inputs(batch.inputs, preprocessing), ..batch })
    }))
}

/// Decoded pictures, put together to batches on the CPU. What cannot be read is left out, so a batch may be smaller.
struct Assembled<'a> {
    gallery: &'a Gallery,
    decoded: Ordered<Decoded>,
    gathered: Gathered,
    rows: std::vec::IntoIter<i64>,
    slices: std::vec::IntoIter<Slice>,
    /// Whether a batch may be left out none of whose pictures can be read.
    may_leave_out: bool,
    /// Whether the one picture of a batch that can be read is taken twice: batch normalisation can make nothing of a single value.
    doubles: bool,
}

impl Iterator for Assembled<'_> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        for slice in self.slices.by_ref() {
            let mut pictures = Vec::with_capacity(slice.length);
            let mut labels = Vec::with_capacity(slice.length);
            for row in self.rows.by_ref().take(slice.length) {
                match self.decoded.next().expect("there is a result for each row") {
                    Ok(picture) => {
                        pictures.push(picture);
                        labels.push(self.gallery.labels[row as usize]);
                    }
                    Err(problem) => {
                        if let Err(error) = self.gallery.report(row as usize, problem) {
                            return Some(Err(error));
                        }
                    }
                }
            }
            if labels.is_empty() && self.may_leave_out {
                continue;
            }
            if labels.is_empty() {
                return Some(Err(Error::Usage(format!(
                    "none of the {} pictures of a batch can be read; `cresset data clean` leaves bad pictures out for good",
                    slice.length
                ))));
            }
            let mut inputs = self.gathered.gather(pictures);
            if self.doubles && labels.len() == 1 && slice.length > 1 {
                inputs = Tensor::cat(&[&inputs, &inputs], 0);
                labels.push(labels[0]);
            }
            let labels = Tensor::from_slice(&labels);
            return Some(Ok(Batch::new(inputs, labels).of(slice)));
        }
        None
    }
}
