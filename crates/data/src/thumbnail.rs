//! Thumbnails of examples.

use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};

use super::image::{Channels, Fitter};
use super::{Dataset, Inputs};

/// Example `index` as an image of `side` × `side` pixels; `None` if it is not an image or cannot be read.
/// Small images are enlarged without smoothing, so that pixels stay visible.
pub fn thumbnail(dataset: &Dataset, index: usize, side: u32) -> Option<RgbImage> {
    if let Inputs::Images(sources) = &dataset.inputs {
        let mut bytes = Vec::new();
        sources[index].read(&mut bytes).ok()?;
        let mut fitter = Fitter::new(Channels::Color, side, side).with_decoding(dataset.decoding);
        let mut pixels = vec![0; fitter.bytes()];
        fitter.fit(&bytes, fitter.center_crop(), &mut pixels).ok()?;
        return RgbImage::from_raw(side, side, pixels);
    }
    let image = from_values(&values(dataset, index), dataset.shape.image()?)?;
    let filter = if image.width() < side { FilterType::Nearest } else { FilterType::Triangle };
    Some(resize(&image, side, side, filter))
}

/// Converts values from 0 (black) to 1, in (channels, height, width) order, to an image.
pub fn from_values(values: &[f32], (channels, height, width): (i64, i64, i64)) -> Option<RgbImage> {
    let (height, width) = (u32::try_from(height).ok()?, u32::try_from(width).ok()?);
    let size = (height * width) as usize;
    let value = |channel: usize, at: usize| (values[channel * size + at].clamp(0., 1.) * 255.).round() as u8;
    let pixel = |x: u32, y: u32| {
        let at = (y * width + x) as usize;
        match channels {
            3 => Rgb([0, 1, 2].map(|channel| value(channel, at))),
            _ => Rgb([value(0, at); 3]),
        }
    };
    Some(RgbImage::from_fn(width, height, pixel))
}

/// The values of an example, scaled to 0 (black) to 1.
///
/// # Panics
/// If the inputs are encoded images.
pub fn values(dataset: &Dataset, index: usize) -> Vec<f32> {
    let width = dataset.shape.features() as usize;
    let range = dataset.range.unwrap_or(super::ValueRange { min: 0., max: 1. });
    let scaled = |value: f32| (value - range.min) / (range.max - range.min);
    match &dataset.inputs {
        Inputs::Floats(values) => {
            values[index * width..][..width].iter().map(|value| scaled(*value)).collect()
        }
        Inputs::Bytes(values) => {
            values[index * width..][..width].iter().map(|value| scaled(f32::from(*value))).collect()
        }
        Inputs::Stored(rows) => {
            rows.gather(&[index as i64]).unwrap_or_default().into_iter().map(scaled).collect()
        }
        Inputs::Images(_) => unreachable!("encoded images have no values"),
    }
}
