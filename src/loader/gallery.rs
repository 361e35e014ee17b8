//! Encoded images, decoded in threads.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::data::image::{Channels, Decoding, Fitter, ImageSource, Region, to_channels_first};
use crate::data::parallel::OrderedMap;
use crate::data::{Dataset, Inputs, Names, Targets};
use crate::error::{Error, Result};
use crate::model::preprocessing::target_tensor;
use tch::Tensor;

/// The encoded images of a data set, and their target size.
///
/// ```
/// use cresset::data::{self, DataOptions};
/// use cresset::loader::EncodedExamples;
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
/// for pixels in images.center_crops(&[0, 4]) {
///     assert_eq!(pixels.unwrap().len(), 16 * 16 * 3);
/// }
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct EncodedExamples {
    path: PathBuf,
    names: Names,
    sources: Vec<ImageSource>,
    labels: Vec<i64>,
    targets: Targets,
    outputs: usize,
    pub(super) channels: Channels,
    pub(super) height: u32,
    pub(super) width: u32,
    decoding: Decoding,
    pub(super) threads: usize,
    most_bad: f64,
    /// The unreadable images found so far, with the reasons.
    bad: Mutex<BTreeMap<usize, String>>,
}

/// Images decoded ahead, per thread.
const AHEAD: usize = 4;

/// Unreadable images listed in an error.
const NAMED: usize = 3;

/// An image's bytes, (height, width, channels), or why it cannot be read.
pub(crate) type Decoded = std::result::Result<Vec<u8>, String>;

impl EncodedExamples {
    /// The images of a data set, to be decoded in `threads` threads. At most `most_bad`, a share of all, may be unreadable.
    /// None if the examples are not encoded images.
    pub fn of(dataset: &Dataset, threads: usize, most_bad: f64) -> Option<Arc<Self>> {
        let Inputs::Images(sources) = &dataset.inputs else { return None };
        let (channels, height, width) = Channels::of(&dataset.shape)?;
        Some(Arc::new(EncodedExamples {
            path: dataset.path.clone(),
            names: dataset.names.clone(),
            sources: sources.clone(),
            labels: dataset.labels.clone(),
            targets: dataset.targets.clone(),
            outputs: dataset.classes.len(),
            channels,
            height,
            width,
            decoding: dataset.decoding,
            threads,
            most_bad,
            bad: Mutex::default(),
        }))
    }

    /// The targets of `rows`, on the CPU: class indices, int64 (N); or multi-hot labels or numbers, float32 (N, outputs).
    pub(crate) fn targets(&self, rows: &[i64]) -> Tensor {
        let labels: Vec<i64> = rows.iter().map(|row| self.labels[*row as usize]).collect();
        target_tensor(&self.targets, &labels, self.outputs)
    }

    /// The class of each of `rows`, for class-balanced sampling; 0 for other tasks.
    pub(super) fn classes(&self, rows: &[i64]) -> Vec<i64> {
        let is_class = self.targets == Targets::Classes;
        rows.iter().map(|row| if is_class { self.labels[*row as usize] } else { 0 }).collect()
    }

    /// A decoder for one thread.
    pub fn decoder(self: &Arc<Self>) -> Decoder {
        let fitter = Fitter::new(self.channels, self.height, self.width).with_decoding(self.decoding);
        Decoder { gallery: Arc::clone(self), fitter, encoded: Vec::new(), spare: Vec::new() }
    }

    /// Decodes the center crops of `rows` in threads, in order.
    pub fn center_crops(self: &Arc<Self>, rows: &[i64]) -> OrderedMap<Decoded> {
        self.converted_center_crops(rows, 1, || |pixels, _: &mut Decoder| pixels)
    }

    /// Like [`EncodedExamples::center_crops`], for batches of `batch` images, with `finish` as the last step of each thread.
    pub(super) fn converted_center_crops<T: Send + 'static, F>(
        self: &Arc<Self>,
        rows: &[i64],
        batch: usize,
        finish: impl Fn() -> F,
    ) -> OrderedMap<std::result::Result<T, String>>
    where
        F: Fn(Vec<u8>, &mut Decoder) -> T + Send + 'static,
    {
        let rows: Arc<[i64]> = rows.into();
        let worker = || {
            let (rows, mut decoder, finish) = (Arc::clone(&rows), self.decoder(), finish());
            move |place: usize| {
                let pixels = decoder.decode(rows[place] as usize, decoder.center_crop())?;
                Ok(finish(pixels, &mut decoder))
            }
        };
        OrderedMap::new(self.threads, 0..rows.len(), self.ahead(batch), worker)
    }

    /// The number of values of a pixel.
    pub(crate) fn channel_count(&self) -> usize {
        self.channels.count()
    }

    /// The number of images to decode ahead for batches of `batch` images.
    pub fn ahead(&self, batch: usize) -> usize {
        batch + AHEAD * self.threads
    }

    /// Records an unreadable image and logs a warning.
    ///
    /// # Errors
    /// More unreadable images than allowed.
    pub fn report(&self, row: usize, problem: String) -> Result<()> {
        let mut bad = self.bad.lock().expect("no thread panics while it holds the lock");
        if bad.contains_key(&row) {
            return Ok(());
        }
        tracing::warn!("{}: {problem}; skipped", self.names.location(&self.path, row));
        bad.insert(row, problem);
        let (count, all) = (bad.len(), self.sources.len());
        if count as f64 <= self.most_bad * all as f64 {
            return Ok(());
        }
        let named: Vec<_> = bad
            .iter()
            .take(NAMED)
            .map(|(row, problem)| format!("{}: {problem}", self.names.name(*row)))
            .collect();
        let problem = format!(
            "{count} of {all} images cannot be read, more than --max-bad-share {} allows, including {}",
            self.most_bad,
            named.join("; ")
        );
        Err(Error::data(self.path.as_path(), problem))
    }

    /// Whether an image was found to be unreadable.
    pub fn is_bad(&self, row: usize) -> bool {
        self.bad.lock().expect("no thread panics while it holds the lock").contains_key(&row)
    }
}

/// Decodes images of a gallery, reusing its buffers.
pub struct Decoder {
    gallery: Arc<EncodedExamples>,
    fitter: Fitter,
    encoded: Vec<u8>,
    spare: Vec<u8>,
}

impl Decoder {
    /// The center crop of an image of (width, height).
    pub(super) fn center_crop(&self) -> impl Fn((u32, u32)) -> Region + use<> {
        self.fitter.center_crop()
    }

    /// Decodes an image, and crops and resizes the region that `region` gives for its width and height.
    pub fn decode(&mut self, row: usize, region: impl FnOnce((u32, u32)) -> Region) -> Decoded {
        let source = &self.gallery.sources[row];
        source.read(&mut self.encoded).map_err(|e| format!("cannot read the file: {e}"))?;
        let mut pixels = std::mem::take(&mut self.spare);
        pixels.resize(self.fitter.bytes(), 0);
        self.fitter.fit(&self.encoded, region, &mut pixels)?;
        Ok(pixels)
    }

    /// Returns a buffer of pixels for reuse.
    pub(crate) fn give_back(&mut self, pixels: Vec<u8>) {
        self.spare = pixels;
    }
}

/// Decodes all images of a data set into memory. Unreadable images are dropped.
///
/// ```
/// use cresset::data::{self, DataOptions, Inputs};
/// use cresset::loader::decode_all;
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
/// let dataset = decode_all(dataset, 2, 0.)?;
/// assert!(matches!(dataset.inputs, Inputs::Bytes(pixels) if pixels.len() == 8 * 3 * 16 * 16));
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// A larger share of unreadable images than `most_bad`.
pub fn decode_all(dataset: Dataset, threads: usize, most_bad: f64) -> Result<Dataset> {
    let Some(gallery) = EncodedExamples::of(&dataset, threads, most_bad) else { return Ok(dataset) };
    let rows: Vec<i64> = (0..dataset.rows() as i64).collect();
    let mut bytes = Vec::with_capacity(dataset.rows() * dataset.shape.features() as usize);
    let mut kept = Vec::with_capacity(dataset.rows());
    for (row, decoded) in gallery.center_crops(&rows).enumerate() {
        match decoded {
            Ok(pixels) => {
                to_channels_first(&pixels, gallery.channels.count(), &mut bytes);
                kept.push(row);
            }
            Err(problem) => gallery.report(row, problem)?,
        }
    }
    let dataset = if kept.len() < dataset.rows() { dataset.select(&kept) } else { dataset };
    Ok(Dataset { inputs: Inputs::Bytes(bytes), ..dataset })
}
