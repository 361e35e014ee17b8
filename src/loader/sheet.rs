//! A contact sheet: pictures as they are and as augmentations change them.

use image::imageops::overlay;
use image::{Rgb, RgbImage};
use tch::{Device, Kind, Tensor};

use super::augment::Augmentation;
use crate::data::random::{Purpose, in_epoch, stream};
use crate::data::{Dataset, thumbnail};
use crate::error::Result;
use crate::loader::Batch;

/// Pictures a row, the first one as it is.
pub const COLUMNS: usize = 9;

/// The least side of a shown picture, and the gap between two, in pixels.
const SIDE: u32 = 64;
const GAP: u32 = 4;

/// A row for each augmentation: a picture of the data set, which is in memory, and what is made of it. The rows show one
/// picture after the other.
pub fn contact_sheet(dataset: &Dataset, augmentations: &[Augmentation], seed: u64) -> Result<RgbImage> {
    let shape = dataset.shape.image().expect("the examples are pictures");
    let (channels, height, width) = shape;
    // Pictures of few pixels are shown larger, by a whole factor.
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
            let Some(picture) = thumbnail::from_values(values, shape) else { continue };
            let filter = image::imageops::FilterType::Nearest;
            let picture = image::imageops::resize(&picture, wide - GAP, tall - GAP, filter);
            overlay(
                &mut sheet,
                &picture,
                i64::from(GAP + column as u32 * wide),
                i64::from(GAP + row as u32 * tall),
            );
        }
    }
    Ok(sheet)
}

/// What an augmentation makes of a picture, float32 (columns - 1, channels, height, width).
fn versions(dataset: &Dataset, index: usize, augmentation: &Augmentation, seed: u64) -> Tensor {
    let (channels, height, width) = dataset.shape.image().expect("the examples are pictures");
    let count = COLUMNS - 1;
    let picture = |index: usize| {
        Tensor::from_slice(&thumbnail::values(dataset, index)).view([1, channels, height, width])
    };
    let own = picture(index).repeat([count as i64, 1, 1, 1]);
    let mut generators: Vec<_> =
        (0..count).map(|column| stream(seed, Purpose::Augment, in_epoch(0, column))).collect();
    let changed = augmentation.apply(&own, 1., &mut generators);
    let Some(mixing) = augmentation.mixing().first() else { return changed };
    // Each version is mixed with another picture, so it is the first of a batch of its own.
    let mixed = (0..count).map(|column| {
        let step = (dataset.rows() / count).max(1);
        let other = picture((index + 1 + column * step) % dataset.rows());
        let inputs = Tensor::cat(&[changed.narrow(0, column as i64, 1), other], 0);
        let labels = Tensor::zeros([2], (Kind::Int64, Device::Cpu));
        // Drawn until the two change places, for a picture that is mixed with itself shows nothing.
        let batch = |attempt: usize| {
            let batch = Batch::new(inputs.copy(), labels.copy());
            mixing.apply(batch, &mut stream(seed, Purpose::Mix, in_epoch(attempt as u32, column))).inputs
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
