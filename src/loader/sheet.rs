//! A contact sheet of original and augmented images.

use image::imageops::overlay;
use image::{Rgb, RgbImage};
use tch::{Device, Kind, Tensor};

use super::augment::Augmentation;
use crate::data::random::{Purpose, epoch_stream, stream};
use crate::data::{Dataset, thumbnail};
use crate::error::Result;
use crate::loader::Batch;

/// Images per row. The first one is the original.
pub const COLUMNS: usize = 9;

/// Minimum side of an image and gap between images, in pixels.
const SIDE: u32 = 64;
const GAP: u32 = 4;

/// A contact sheet with one row per augmentation: an image of the data set, which must be in memory, and augmented versions
/// of it. Each row shows another image.
///
/// ```
/// use cresset::data::{self, DataOptions};
/// use cresset::loader::sheet::{COLUMNS, augmentation_sheet};
///
/// let digits = data::load("digits", &DataOptions::default())?;
/// let sheet = augmentation_sheet(&digits, &["flip".parse().unwrap(), "digits".parse().unwrap()], 0)?;
/// assert!(sheet.width() as usize >= COLUMNS * 64 && sheet.height() >= 2 * 64);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub fn augmentation_sheet(dataset: &Dataset, augmentations: &[Augmentation], seed: u64) -> Result<RgbImage> {
    let shape = dataset.shape.image().expect("the examples are images");
    let (channels, height, width) = shape;
    // Enlarge small images by an integer factor.
    let factor = SIDE.div_ceil(height.max(width) as u32).max(1);
    let (tall, wide) = (height as u32 * factor + GAP, width as u32 * factor + GAP);
    let size = (COLUMNS as u32 * wide + GAP, augmentations.len() as u32 * tall + GAP);
    let mut sheet = RgbImage::from_pixel(size.0, size.1, Rgb([128; 3]));
    for (row, augmentation) in augmentations.iter().enumerate() {
        let values = thumbnail::values(dataset, row % dataset.rows());
        let versions = versions(dataset, row % dataset.rows(), augmentation, seed);
        let versions = Vec::<f32>::try_from(versions.contiguous().view(-1))?;
        let size = (channels * height * width) as usize;
        for (column, values) in std::iter::once(&values[..]).chain(versions.chunks_exact(size)).enumerate() {
            let Some(image) = thumbnail::from_values(values, shape) else { continue };
            let filter = image::imageops::FilterType::Nearest;
            let image = image::imageops::resize(&image, wide - GAP, tall - GAP, filter);
            overlay(
                &mut sheet,
                &image,
                i64::from(GAP + column as u32 * wide),
                i64::from(GAP + row as u32 * tall),
            );
        }
    }
    Ok(sheet)
}

/// Augmented versions of an image, float32 (columns - 1, channels, height, width).
fn versions(dataset: &Dataset, index: usize, augmentation: &Augmentation, seed: u64) -> Tensor {
    let (channels, height, width) = dataset.shape.image().expect("the examples are images");
    let count = COLUMNS - 1;
    let image = |index: usize| {
        Tensor::from_slice(&thumbnail::values(dataset, index)).view([1, channels, height, width])
    };
    let own = image(index).repeat([count as i64, 1, 1, 1]);
    let mut generators: Vec<_> =
        (0..count).map(|column| stream(seed, Purpose::Augment, epoch_stream(0, column))).collect();
    let changed = augmentation.apply(&own, 1., &mut generators);
    let Some(mixing) = augmentation.mixing().first() else { return changed };
    // Mix each version with another image: the two form one batch.
    let mixed = (0..count).map(|column| {
        let step = (dataset.rows() / count).max(1);
        let other = image((index + 1 + column * step) % dataset.rows());
        let inputs = Tensor::cat(&[changed.narrow(0, column as i64, 1), other], 0);
        let labels = Tensor::zeros([2], (Kind::Int64, Device::Cpu));
        // Repeat until the permutation swaps the two: an image mixed with itself does not change.
        let batch = |attempt: usize| {
            let batch = Batch::new(inputs.copy(), labels.copy());
            mixing.apply(batch, &mut stream(seed, Purpose::Mix, epoch_stream(attempt as u32, column))).inputs
        };
        let first = inputs.narrow(0, 0, 1);
        let attempts = (0..16).map(|attempt| batch(attempt).narrow(0, 0, 1));
        let mut last = first.shallow_clone();
        for version in attempts {
            last = version;
            if !last.allclose(&first, 1e-2, 1e-2, false) {
                break;
            }
        }
        last
    });
    Tensor::cat(&mixed.collect::<Vec<_>>(), 0)
}
