//! An explanation as a picture.

use image::{Rgb, RgbImage};
use tch::{Kind, Tensor};

use crate::data::ValueRange;
use crate::error::Result;

/// The least side of the picture that is written.
const LEAST_SIDE: i64 = 224;

/// The share of the values that the colors tell apart; a few very large ones would leave the rest pale.
const SATURATED: f64 = 0.99;

/// A picture, raw (channels, height, width), and beside it the same one in grey with its attribution on it: red speaks for
/// the class, blue against it.
pub fn overlay(raw: &Tensor, attribution: &Tensor, range: ValueRange) -> Result<RgbImage> {
    let unit =
        ((raw.to_kind(Kind::Float) - f64::from(range.min)) / f64::from(range.max - range.min)).clamp(0., 1.);
    let color = if unit.size()[0] == 3 {
        unit.shallow_clone()
    } else {
        unit.narrow(0, 0, 1).expand([3, -1, -1], false)
    };
    let grey = unit.mean_dim(0, false, Kind::Float);
    let places = attribution.sum_dim_intlist(0, false, Kind::Float);
    let most =
        places.abs().flatten(0, -1).quantile_scalar(SATURATED, None, false, "linear").double_value(&[]);
    let strength = (places / most.max(f64::MIN_POSITIVE)).clamp(-1., 1.);

    let (height, width) = (grey.size()[0], grey.size()[1]);
    let scale = (LEAST_SIDE as u32).div_ceil(height.min(width) as u32);
    let color = Vec::<f32>::try_from(color.permute([1, 2, 0]).contiguous().view(-1))?;
    let grey = Vec::<f32>::try_from(grey.contiguous().view(-1))?;
    let strength = Vec::<f32>::try_from(strength.contiguous().view(-1))?;
    let byte = |value: f32| (255. * value).round() as u8;
    let gap = scale.max(4);
    let own = width as u32 * scale;
    let mut picture = RgbImage::from_pixel(2 * own + gap, height as u32 * scale, Rgb([255; 3]));
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let place = |x: u32| (y / scale) as usize * width as usize + (x / scale) as usize;
        if x < own {
            let at = 3 * place(x);
            *pixel = Rgb(std::array::from_fn(|channel| byte(color[at + channel])));
        } else if x >= own + gap {
            let at = place(x - own - gap);
            *pixel = Rgb(painted(0.6 * grey[at] + 0.2, strength[at]).map(byte));
        }
    }
    Ok(picture)
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
