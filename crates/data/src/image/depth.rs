//! Images with 16 bits per value that use fewer bits, from cameras and scanners.

use image::DynamicImage;

/// The recognized depths. Others are rare, and a dark image with 16 bits would be mistaken for one with 15.
const DEPTHS: [u8; 4] = [8, 10, 12, 14];

/// The number of bits in use for values up to `largest`. `None` if all values are 0.
pub(crate) fn bits_of(largest: u16) -> Option<u8> {
    let fits = |bits: &u8| largest <= max_of_bits(*bits);
    (largest > 0).then(|| DEPTHS.into_iter().find(fits).unwrap_or(16))
}

/// The maximum value of `bits` bits, at most 16.
pub fn max_of_bits(bits: u8) -> u16 {
    u16::MAX >> (16 - bits.clamp(1, 16))
}

/// The largest value of an image with 16 bits per value; `None` for other images.
pub fn largest(image: &DynamicImage) -> Option<u16> {
    let values: &[u16] = match image {
        DynamicImage::ImageLuma16(image) => image.as_raw(),
        DynamicImage::ImageLumaA16(image) => image.as_raw(),
        DynamicImage::ImageRgb16(image) => image.as_raw(),
        DynamicImage::ImageRgba16(image) => image.as_raw(),
        _ => return None,
    };
    values.iter().copied().max()
}

/// Scales all values linearly so that `maximum` becomes 65535.
pub fn stretch(image: &mut DynamicImage, maximum: u16) {
    let values: &mut [u16] = match image {
        _ if maximum == u16::MAX => return,
        DynamicImage::ImageLuma16(image) => &mut *image,
        DynamicImage::ImageLumaA16(image) => &mut *image,
        DynamicImage::ImageRgb16(image) => &mut *image,
        DynamicImage::ImageRgba16(image) => &mut *image,
        _ => return,
    };
    let maximum = u32::from(maximum);
    values.iter_mut().for_each(|value| {
        *value = ((u32::from(*value) * 65535 + maximum / 2) / maximum).min(65535) as u16;
    });
}
