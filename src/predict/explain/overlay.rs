//! An explanation as a picture.

use image::imageops::{FilterType, replace, resize};
use image::{Rgb, RgbImage};
use tch::{Kind, Tensor};

use crate::data::ValueRange;
use crate::error::Result;

/// The least side of the picture that is written.
const LEAST_SIDE: u32 = 224;

/// The share of the values that the colors tell apart; a few very large ones would leave the rest pale.
const SATURATED: f64 = 0.99;

/// A picture, raw (channels, height, width), and beside it the same one in grey with its attribution on it: red speaks for
/// the class, blue against it.
pub fn overlay(raw: &Tensor, attribution: &Tensor, range: ValueRange) -> Result<RgbImage> {
    let (own, heat) = (plain(raw, range)?, heat_map(raw, attribution, range)?);
    let scale = LEAST_SIDE.div_ceil(own.height().min(own.width()));
    let gap = scale.max(4);
    let (width, height) = (own.width() * scale, own.height() * scale);
    let mut picture = RgbImage::from_pixel(2 * width + gap, height, Rgb([255; 3]));
    for (from, left) in [(&own, 0), (&heat, width + gap)] {
        let enlarged = resize(from, width, height, FilterType::Nearest);
        replace(&mut picture, &enlarged, left.into(), 0);
    }
    Ok(picture)
}

/// A raw picture as it is.
pub fn plain(raw: &Tensor, range: ValueRange) -> Result<RgbImage> {
    let unit = unit(raw, range);
    let color = if unit.size()[0] == 3 { unit } else { unit.narrow(0, 0, 1).expand([3, -1, -1], false) };
    let (height, width) = (color.size()[1] as u32, color.size()[2] as u32);
    let values = Vec::<f32>::try_from(color.permute([1, 2, 0]).contiguous().view(-1))?;
    let bytes = values.into_iter().map(byte).collect();
    Ok(RgbImage::from_raw(width, height, bytes).expect("each pixel has three values"))
}

/// A raw picture in grey, in its own size, with its attribution on it.
pub fn heat_map(raw: &Tensor, attribution: &Tensor, range: ValueRange) -> Result<RgbImage> {
    let grey = unit(raw, range).mean_dim(0, false, Kind::Float);
    let places = attribution.sum_dim_intlist(0, false, Kind::Float);
    let most =
        places.abs().flatten(0, -1).quantile_scalar(SATURATED, None, false, "linear").double_value(&[]);
    let strength = (places / most.max(f64::MIN_POSITIVE)).clamp(-1., 1.);
    let (height, width) = (grey.size()[0] as u32, grey.size()[1] as u32);
    let grey = Vec::<f32>::try_from(grey.contiguous().view(-1))?;
    let strength = Vec::<f32>::try_from(strength.contiguous().view(-1))?;
    Ok(RgbImage::from_fn(width, height, |x, y| {
        let at = (y * width + x) as usize;
        Rgb(painted(0.6 * grey[at] + 0.2, strength[at]).map(byte))
    }))
}

/// Values from 0 (black) to 1.
fn unit(raw: &Tensor, range: ValueRange) -> Tensor {
    ((raw.to_kind(Kind::Float) - f64::from(range.min)) / f64::from(range.max - range.min)).clamp(0., 1.)
}

fn byte(value: f32) -> u8 {
    (255. * value).round() as u8
}

/// A grey with red or blue over it.
fn painted(grey: f32, strength: f32) -> [f32; 3] {
    let paint = if strength > 0. { [0.85, 0.1, 0.1] } else { [0.1, 0.25, 0.85] };
    let cover = strength.abs();
    paint.map(|channel| grey * (1. - cover) + channel * cover)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_for_the_class_is_red_and_what_speaks_against_it_blue() {
        let raw = Tensor::from_slice(&[0f32, 16., 16., 0.]).view([1, 2, 2]);
        let attribution = Tensor::from_slice(&[1f32, -1., 0., 0.]).view([1, 2, 2]);
        let picture = overlay(&raw, &attribution, ValueRange { min: 0., max: 16. }).unwrap();
        assert_eq!((picture.width(), picture.height()), (2 * 224 + 112, 224));
        assert_eq!((picture.get_pixel(0, 0).0, picture.get_pixel(120, 0).0), ([0; 3], [255; 3]));
        let right = |x: u32, y: u32| picture.get_pixel(224 + 112 + x, y).0;
        assert!(right(0, 0)[0] > 200 && right(0, 0)[2] < 40, "{:?}", right(0, 0));
        assert!(right(120, 0)[2] > 200 && right(120, 0)[0] < 40);
        let [red, green, blue] = right(0, 120);
        assert!(red == green && green == blue);
    }
}
