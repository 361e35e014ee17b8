//! What pages of HTML have in common.

use std::io::Cursor;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage};

/// Text of the data, which must not be taken for HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Pictures of more pixels are written as JPEG.
const MOST_LOSSLESS: u32 = 64 * 64;

/// JPEG's quality, of 100.
const QUALITY: u8 = 82;

/// A picture as a `data:` address, lossless, so that each pixel of it is seen.
pub fn lossless(picture: &RgbImage) -> String {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).expect("a picture can be written to memory");
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(bytes.into_inner()))
}

/// The same, smaller: lossless only if it has few pixels.
pub fn embedded(picture: &RgbImage) -> String {
    if picture.width() * picture.height() <= MOST_LOSSLESS {
        return lossless(picture);
    }
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    picture.write_with_encoder(encoder).expect("a picture can be written to memory");
    format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_the_data_are_text_alone() {
        let name = "<script>alert(\"cat & dog\")</script>";
        assert_eq!(escaped(name), "&lt;script&gt;alert(&quot;cat &amp; dog&quot;)&lt;/script&gt;");
    }

    #[test]
    fn small_pictures_keep_each_pixel() {
        let address = embedded(&RgbImage::from_fn(8, 8, |x, y| image::Rgb([x as u8, y as u8, 7])));
        let bytes = BASE64_STANDARD.decode(address.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let read = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(read.get_pixel(3, 5).0, [3, 5, 7]);
        assert!(embedded(&RgbImage::new(100, 100)).starts_with("data:image/jpeg;base64,"));
    }
}
