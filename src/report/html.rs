//! What pages of HTML have in common.

use std::io::Cursor;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage};
use sha2::{Digest, Sha256};

use crate::data::terminal;

/// Text of the data on one line, which must not be taken for HTML, in text or in an attribute.
pub fn escaped(text: &str) -> String {
    let text = terminal::line(text);
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

/// What a browser allows a page (Content-Security-Policy): this style and this script, attributes for what is computed, such as
/// the length of a bar, and pictures within the page. Nothing else runs, and nothing is fetched, whatever names in the data say.
pub fn policy(style: &str, script: Option<&str>) -> String {
    let script = script.map_or("'none'".to_string(), hash);
    format!(
        "default-src 'none'; style-src {}; style-src-attr 'unsafe-inline'; script-src {script}; img-src data:; base-uri 'none'; \
         form-action 'none'",
        hash(style)
    )
}

/// The contents of a `style` or `script` element, as a policy names them.
pub fn hash(text: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)))
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
        assert_eq!(escaped("it's\n\u{202e}"), "it&#39;s\\n\\u{202e}");
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
