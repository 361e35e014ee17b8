//! Images decoded during training and evaluation, for data sets larger than memory and for crops from full-size images.

use std::sync::Arc;

use tch::{Device, Tensor};

use super::collate::{BufferPool, Collator, Converter, DecodedImage, inputs};
use super::gallery::{Decoder, EncodedExamples};
use super::transfer::to_device;
use super::{Batch, BatchSlice, Batches, EvaluationLoader, Pass, Sampling, TrainLoader, batch_indexes, mix};
use crate::data::parallel::OrderedMap;
use crate::data::random::{Purpose, epoch_stream, stream};
use crate::error::{Error, Result};
use crate::loader::augment::{Augmentation, Pixels};
use crate::model::preprocessing::Preprocessing;

/// A decoded image, or the reason why it cannot be read.
type Decoded = std::result::Result<DecodedImage, String>;

/// Training images decoded on the fly.
///
/// ```
/// use cresset::data::{self, DataOptions};
/// use cresset::loader::{EncodedExamples, Pass, Sampling, StreamLoader, TrainLoader};
/// use cresset::model::preprocessing::{Preprocessing, PreprocessingKind};
/// use std::sync::Arc;
/// use tch::Device;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # for class in ["cat", "dog"] {
/// #     std::fs::create_dir(folder.path().join(class)).unwrap();
/// #     for number in 0..4u8 {
/// #         let path = folder.path().join(format!("{class}/{number}.png"));
/// #         image::RgbImage::from_pixel(20, 16, image::Rgb([60 * number; 3])).save(path).unwrap();
/// #     }
/// # }
/// let options = DataOptions { image_size: "16".parse().unwrap(), ..DataOptions::default() };
/// let dataset = data::read(folder.path().to_str().unwrap(), &options)?;
/// let images = EncodedExamples::of(&dataset, 2, 0.).expect("the examples are images");
/// let preprocessing = Preprocessing {
///     kind: PreprocessingKind::Range, offset: vec![0.], scale: vec![255.], fill: None, quantiles: None,
///     missing: Vec::new(), shape: dataset.shape,
/// };
/// let augmentation = Arc::new("random-resized-crop,flip".parse().unwrap());
/// let rows: Vec<i64> = (0..8).collect();
/// let loader =
///     StreamLoader::new(&images, &rows, Sampling::Shuffled, &augmentation, &preprocessing, Device::Cpu);
/// let batch = loader.epoch(Pass::new(1, 4, 0)).next().unwrap()?;
/// assert_eq!(batch.inputs.size(), [4, 3, 16, 16]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct StreamLoader {
    gallery: Arc<EncodedExamples>,
    rows: Arc<[i64]>,
    labels: Vec<i64>,
    sampling: Sampling,
    augmentation: Arc<Augmentation>,
    preprocessing: Preprocessing,
    device: Device,
}

/// Batch size of evaluation. Images are large.
const EVALUATION_BATCH: usize = 64;

impl StreamLoader {
    /// Feeds the images `rows` of a gallery.
    pub fn new(
        gallery: &Arc<EncodedExamples>,
        rows: &[i64],
        sampling: Sampling,
        augmentation: &Arc<Augmentation>,
        preprocessing: &Preprocessing,
        device: Device,
    ) -> Self {
        StreamLoader {
            gallery: Arc::clone(gallery),
            rows: rows.into(),
            labels: gallery.classes(rows),
            sampling,
            augmentation: Arc::clone(augmentation),
            preprocessing: preprocessing.clone(),
            device,
        }
    }

    /// Decodes and augments the images at `places` of an epoch's order, in threads.
    fn decoded(
        &self,
        pass: Pass,
        order: &Arc<[i64]>,
        places: Arc<[usize]>,
        pool: &BufferPool,
    ) -> OrderedMap<Decoded> {
        let width = self.gallery.width as usize;
        let worker = || {
            let (rows, order, places) = (Arc::clone(&self.rows), Arc::clone(order), Arc::clone(&places));
            let (mut decoder, augmentation) = (self.gallery.decoder(), Arc::clone(&self.augmentation));
            let finish = Converter::new(&self.gallery, Some(&self.preprocessing), self.device, pool);
            let mut is_first = true;
            move |piece: usize| {
                // Each thread works on one image; intra-op threads would only compete with the workers.
                if std::mem::take(&mut is_first) {
                    tch::set_num_threads(1);
                }
                let place = places[piece];
                let mut generator = stream(pass.seed, Purpose::Augment, epoch_stream(pass.epoch, place));
                let mut was_taken = false;
                let center_crop = decoder.center_crop();
                let region = |size| {
                    let region = augmentation.region(size, &mut generator);
                    was_taken = region.is_some();
                    region.unwrap_or_else(|| center_crop(size))
                };
                let values = decoder.decode(rows[order[place] as usize] as usize, region)?;
                let mut pixels = Pixels { values, width, channels: finish.channels };
                augmentation.change(&mut pixels, was_taken, generator);
                Ok(finish.apply(pixels.values, &mut decoder))
            }
        };
        let ahead = self.gallery.ahead(pass.batch_size as usize);
        OrderedMap::new(self.gallery.threads, 0..places.len(), ahead, worker)
    }
}

impl TrainLoader for StreamLoader {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn indexes(&self, pass: Pass) -> Vec<usize> {
        batch_indexes(&self.sampling.order(&self.labels, pass.seed, pass.epoch), pass)
    }

    fn epoch(&self, pass: Pass) -> Batches<'_> {
        let order: Arc<[i64]> = self.sampling.order(&self.labels, pass.seed, pass.epoch).into();
        let slices: Vec<_> = pass.slices(order.len()).collect();
        let places: Arc<[usize]> =
            slices.iter().flat_map(|slice| slice.start..slice.start + slice.length).collect();
        let rows = places.iter().map(|place| self.rows[order[*place] as usize]).collect::<Vec<_>>();
        let pool = BufferPool::default();
        let batches = Collated {
            gallery: &self.gallery,
            decoded: self.decoded(pass, &order, places, &pool),
            gathered: Collator::new(&self.gallery, largest(&slices), pool),
            rows: rows.into_iter(),
            slices: slices.into_iter(),
            // A rank that skips a batch would block the others.
            may_skip: pass.processes == 1,
            duplicates_single: pass.batch_size > 1,
        };
        let batches = on_device(batches, Some(&self.preprocessing), self.device);
        Box::new(batches.map(move |batch| Ok(mix(batch?, &self.augmentation, pass))))
    }
}

/// Evaluation images decoded on the fly.
///
/// ```
/// use cresset::data::{self, DataOptions};
/// use cresset::loader::{EncodedExamples, EvaluationLoader, StreamEvaluationLoader};
/// use tch::{Device, Kind};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # for class in ["cat", "dog"] {
/// #     std::fs::create_dir(folder.path().join(class)).unwrap();
/// #     for number in 0..4u8 {
/// #         let path = folder.path().join(format!("{class}/{number}.png"));
/// #         image::RgbImage::from_pixel(20, 16, image::Rgb([60 * number; 3])).save(path).unwrap();
/// #     }
/// # }
/// let options = DataOptions { image_size: "16".parse().unwrap(), ..DataOptions::default() };
/// let dataset = data::read(folder.path().to_str().unwrap(), &options)?;
/// let images = EncodedExamples::of(&dataset, 2, 0.).expect("the examples are images");
/// let loader = StreamEvaluationLoader::new(&images, &[0, 4], None, Device::Cpu);
/// let batch = loader.in_order().next().unwrap()?;
/// assert_eq!(batch.inputs.size(), [2, 3, 16, 16]);
/// assert_eq!(batch.inputs.kind(), Kind::Uint8);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct StreamEvaluationLoader {
    gallery: Arc<EncodedExamples>,
    rows: Vec<i64>,
    preprocessing: Option<Preprocessing>,
    device: Device,
}

impl StreamEvaluationLoader {
    /// Feeds the images `rows` of a gallery, raw without preprocessing.
    pub fn new(
        gallery: &Arc<EncodedExamples>,
        rows: &[i64],
        preprocessing: Option<&Preprocessing>,
        device: Device,
    ) -> Self {
        StreamEvaluationLoader {
            gallery: Arc::clone(gallery),
            rows: rows.to_vec(),
            preprocessing: preprocessing.cloned(),
            device,
        }
    }

    fn center_crops(&self, pool: &BufferPool) -> OrderedMap<Decoded> {
        self.gallery.converted_center_crops(&self.rows, EVALUATION_BATCH, || {
            let finish = Converter::new(&self.gallery, self.preprocessing.as_ref(), self.device, pool);
            move |pixels, decoder: &mut Decoder| finish.apply(pixels, decoder)
        })
    }
}

impl EvaluationLoader for StreamEvaluationLoader {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn device(&self) -> Device {
        self.device
    }

    fn in_order(&self) -> Batches<'_> {
        let pool = BufferPool::default();
        let slices: Vec<_> = Pass::new(0, EVALUATION_BATCH as u32, 0).slices(self.rows.len()).collect();
        let batches = Collated {
            gallery: &self.gallery,
            decoded: self.center_crops(&pool),
            gathered: Collator::new(&self.gallery, largest(&slices), pool),
            rows: self.rows.clone().into_iter(),
            slices: slices.into_iter(),
            may_skip: true,
            duplicates_single: false,
        };
        on_device(batches, self.preprocessing.as_ref(), self.device)
    }

    fn is_unreadable(&self, index: usize) -> bool {
        self.gallery.is_bad(self.rows[index] as usize)
    }
}

/// The size of the largest batch.
fn largest(slices: &[BatchSlice]) -> usize {
    slices.iter().map(|slice| slice.length).max().unwrap_or(0)
}

/// Moves batches to the device, and preprocesses them there if they are raw.
fn on_device<'a>(
    batches: impl Iterator<Item = Result<Batch>> + 'a,
    preprocessing: Option<&'a Preprocessing>,
    device: Device,
) -> Batches<'a> {
    Box::new(to_device(batches, device).map(move |batch| {
        let batch = batch?;
        Ok(Batch { inputs: inputs(batch.inputs, preprocessing), ..batch })
    }))
}

/// Collates decoded images into batches on the CPU. Unreadable images are skipped, so a batch may be smaller.
struct Collated<'a> {
    gallery: &'a EncodedExamples,
    decoded: OrderedMap<Decoded>,
    gathered: Collator,
    rows: std::vec::IntoIter<i64>,
    slices: std::vec::IntoIter<BatchSlice>,
    /// Whether a batch without readable images may be skipped.
    may_skip: bool,
    /// Whether to duplicate the image of a batch with a single readable one: batch normalization cannot train on one value.
    duplicates_single: bool,
}

impl Iterator for Collated<'_> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        for slice in self.slices.by_ref() {
            let mut images = Vec::with_capacity(slice.length);
            let mut readable = Vec::with_capacity(slice.length);
            for row in self.rows.by_ref().take(slice.length) {
                match self.decoded.next().expect("there is a result for each row") {
                    Ok(image) => {
                        images.push(image);
                        readable.push(row);
                    }
                    Err(problem) => {
                        if let Err(error) = self.gallery.report(row as usize, problem) {
                            return Some(Err(error));
                        }
                    }
                }
            }
            if readable.is_empty() && self.may_skip {
                continue;
            }
            if readable.is_empty() {
                return Some(Err(Error::Usage(format!(
                    "none of the {} images of a batch can be read; `cresset data clean` removes unreadable images",
                    slice.length
                ))));
            }
            let mut inputs = self.gathered.collate(images);
            if self.duplicates_single && readable.len() == 1 && slice.length > 1 {
                inputs = Tensor::cat(&[&inputs, &inputs], 0);
                readable.push(readable[0]);
            }
            let labels = self.gallery.targets(&readable);
            return Some(Ok(Batch::new(inputs, labels).with_slice(slice)));
        }
        None
    }
}
