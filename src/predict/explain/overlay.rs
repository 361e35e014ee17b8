//! Draws attributions as images.

use image::imageops::{FilterType, replace, resize};
use image::{Rgb, RgbImage};
use tch::{Kind, Tensor};

use crate::data::ValueRange;
use crate::error::Result;

/// The smallest side of the overlay, in pixels.
const MIN_SIDE: u32 = 224;

/// The quantile of the absolute attribution with full color, so that outliers do not make the rest pale.
const SATURATION_QUANTILE: f64 = 0.99;

/// Draws a raw image (channels, height, width) next to its heat map: red supports the class, blue opposes it.
///
/// ```
/// use cresset::data::ValueRange;
/// use cresset::predict::explain::overlay;
/// use tch::{Device, Kind, Tensor};
///
/// let image = Tensor::rand([1, 8, 8], (Kind::Float, Device::Cpu));
/// let attribution = Tensor::randn([1, 8, 8], (Kind::Float, Device::Cpu));
/// let picture = overlay(&image, &attribution, ValueRange { min: 0., max: 1. })?;
/// assert!(picture.width() > picture.height());
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub fn overlay(raw: &Tensor, attribution: &Tensor, range: ValueRange) -> Result<RgbImage> {
    let (original, heat) = (plain(raw, range)?, draw_heat_map(raw, attribution, range)?);
    let scale = MIN_SIDE.div_ceil(original.height().min(original.width()));
    let gap = scale.max(4);
    let (width, height) = (original.width() * scale, original.height() * scale);
    let mut canvas = RgbImage::from_pixel(2 * width + gap, height, Rgb([255; 3]));
    for (from, left) in [(&original, 0), (&heat, width + gap)] {
        let enlarged = resize(from, width, height, FilterType::Nearest);
        replace(&mut canvas, &enlarged, left.into(), 0);
    }
    Ok(canvas)
}

/// Converts a raw image to RGB.
///
/// ```
/// use cresset::data::ValueRange;
/// use cresset::predict::explain::plain;
/// use tch::{Device, Kind, Tensor};
///
/// let image = Tensor::ones([1, 8, 8], (Kind::Float, Device::Cpu));
/// assert_eq!(plain(&image, ValueRange { min: 0., max: 1. })?.get_pixel(0, 0).0, [255; 3]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub fn plain(raw: &Tensor, range: ValueRange) -> Result<RgbImage> {
    let unit = unit(raw, range);
    let color = if unit.size()[0] == 3 { unit } else { unit.narrow(0, 0, 1).expand([3, -1, -1], false) };
    let (height, width) = (color.size()[1] as u32, color.size()[2] as u32);
    let values = Vec::<f32>::try_from(color.permute([1, 2, 0]).contiguous().view(-1))?;
    let bytes = values.into_iter().map(byte).collect();
    Ok(RgbImage::from_raw(width, height, bytes).expect("each pixel has three values"))
}

/// Draws the attribution over a grayscale version of a raw image, in the size of the image.
///
/// ```
/// use cresset::data::ValueRange;
/// use cresset::predict::explain::draw_heat_map;
/// use tch::{Device, Kind, Tensor};
///
/// let image = Tensor::rand([3, 8, 8], (Kind::Float, Device::Cpu));
/// let attribution = Tensor::randn([3, 8, 8], (Kind::Float, Device::Cpu));
/// let map = draw_heat_map(&image, &attribution, ValueRange { min: 0., max: 1. })?;
/// assert_eq!(map.dimensions(), (8, 8));
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub fn draw_heat_map(raw: &Tensor, attribution: &Tensor, range: ValueRange) -> Result<RgbImage> {
    let gray = unit(raw, range).mean_dim(0, false, Kind::Float);
    let summed = attribution.sum_dim_intlist(0, false, Kind::Float);
    let most = summed
        .abs()
        .flatten(0, -1)
        .quantile_scalar(SATURATION_QUANTILE, None, false, "linear")
        .double_value(&[]);
    let strength = (summed / most.max(f64::MIN_POSITIVE)).clamp(-1., 1.);
    let (height, width) = (gray.size()[0] as u32, gray.size()[1] as u32);
    let gray = Vec::<f32>::try_from(gray.contiguous().view(-1))?;
    let strength = Vec::<f32>::try_from(strength.contiguous().view(-1))?;
    Ok(RgbImage::from_fn(width, height, |x, y| {
        let at = (y * width + x) as usize;
        Rgb(blend(0.6 * gray[at] + 0.2, strength[at]).map(byte))
    }))
}

/// Scales raw values to \[0, 1\].
fn unit(raw: &Tensor, range: ValueRange) -> Tensor {
    ((raw.to_kind(Kind::Float) - f64::from(range.min)) / f64::from(range.max - range.min)).clamp(0., 1.)
}

fn byte(value: f32) -> u8 {
    (255. * value).round() as u8
}

/// Blends gray with red or blue.
fn blend(gray: f32, strength: f32) -> [f32; 3] {
    let color = if strength > 0. { [0.85, 0.1, 0.1] } else { [0.1, 0.25, 0.85] };
    let alpha = strength.abs();
    color.map(|channel| gray * (1. - alpha) + channel * alpha)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positive_attributions_are_red_and_negative_ones_blue() {
        let raw = Tensor::from_slice(&[0f32, 16., 16., 0.]).view([1, 2, 2]);
        let attribution = Tensor::from_slice(&[1f32, -1., 0., 0.]).view([1, 2, 2]);
        let image = overlay(&raw, &attribution, ValueRange { min: 0., max: 16. }).unwrap();
        assert_eq!((image.width(), image.height()), (2 * 224 + 112, 224));
        assert_eq!((image.get_pixel(0, 0).0, image.get_pixel(120, 0).0), ([0; 3], [255; 3]));
        let right = |x: u32, y: u32| image.get_pixel(224 + 112 + x, y).0;
        assert!(right(0, 0)[0] > 200 && right(0, 0)[2] < 40, "{:?}", right(0, 0));
        assert!(right(120, 0)[2] > 200 && right(120, 0)[0] < 40);
        let [red, green, blue] = right(0, 120);
        assert!(red == green && green == blue);
    }
}
