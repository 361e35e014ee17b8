//! Images of 16 bits a value that use fewer of them, as cameras and scanners write them.

use image::DynamicImage;

/// The depths that are told apart. Others are rare, and a dark image of 16 bits would be taken for one of 15.
const DEPTHS: [u8; 4] = [8, 10, 12, 14];

/// The bits that values up to `largest` use. None if all are 0, which tells nothing.
pub fn bits_of(largest: u16) -> Option<u8> {
    let fits = |bits: &u8| largest <= most_of(*bits);
    (largest > 0).then(|| DEPTHS.into_iter().find(fits).unwrap_or(16))
}

/// The largest value of so many bits, at most 16.
pub fn most_of(bits: u8) -> u16 {
    u16::MAX >> (16 - bits.clamp(1, 16))
}

/// The largest value of an image of 16 bits; none of any other.
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

/// Makes 65535 of `most`, and of all values below as much as is due to them.
pub fn stretch(image: &mut DynamicImage, most: u16) {
    let values: &mut [u16] = match image {
        _ if most == u16::MAX => return,
        DynamicImage::ImageLuma16(image) => &mut *image,
        DynamicImage::ImageLumaA16(image) => &mut *image,
        DynamicImage::ImageRgb16(image) => &mut *image,
        DynamicImage::ImageRgba16(image) => &mut *image,
        _ => return,
    };
    let most = u32::from(most);
    values.iter_mut().for_each(|value| {
        *value = ((u32::from(*value) * 65535 + most / 2) / most).min(65535) as u16;
    });
}
