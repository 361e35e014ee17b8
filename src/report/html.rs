//! Helpers shared by the HTML pages.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use sha2::{Digest, Sha256};

use crate::data::terminal;

/// Escapes untrusted text for HTML text and attributes, on one line.
///
/// ```
/// assert_eq!(cresset::report::html::escaped("<a & b>"), "&lt;a &amp; b&gt;");
/// ```
pub fn escaped(text: &str) -> String {
    let text = terminal::line(text);
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

/// The Content-Security-Policy of a page: this style, this script, inline `style` attributes for computed values such
/// as the length of a bar, and embedded images. Nothing else runs and nothing is fetched, whatever names the data holds.
///
/// ```
/// use cresset::report::html::{hash, policy};
///
/// let policy = policy("body{color:#222}", None);
/// assert!(policy.starts_with("default-src 'none'") && policy.contains(&hash("body{color:#222}")));
/// ```
pub fn policy(style: &str, script: Option<&str>) -> String {
    let script = script.map_or("'none'".to_string(), hash);
    format!(
        "default-src 'none'; style-src {}; style-src-attr 'unsafe-inline'; script-src {script}; img-src data:; base-uri 'none'; \
         form-action 'none'",
        hash(style)
    )
}

/// The hash source of a `style` or `script` element in a Content-Security-Policy.
///
/// ```
/// assert!(cresset::report::html::hash("body{}").starts_with("'sha256-"));
/// ```
pub fn hash(text: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)))
}

/// Images with more pixels are encoded as JPEG.
const MAX_LOSSLESS: u32 = 64 * 64;

/// JPEG quality (0 to 100).
const QUALITY: u8 = 82;

/// An image as a PNG `data:` URL.
pub(crate) fn png_url(image: &RgbImage) -> String {
    let mut bytes = Vec::new();
    image.write_with_encoder(PngEncoder::new(&mut bytes)).expect("writing to memory does not fail");
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(bytes))
}

/// An image as a `data:` URL: PNG for small images, JPEG for larger ones.
pub(crate) fn image_url(image: &RgbImage) -> String {
    if image.width() * image.height() <= MAX_LOSSLESS {
        return png_url(image);
    }
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    image.write_with_encoder(encoder).expect("writing to memory does not fail");
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
    fn small_images_are_lossless() {
        let address = image_url(&RgbImage::from_fn(8, 8, |x, y| image::Rgb([x as u8, y as u8, 7])));
        let bytes = BASE64_STANDARD.decode(address.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let read = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(read.get_pixel(3, 5).0, [3, 5, 7]);
        assert!(image_url(&RgbImage::new(100, 100)).starts_with("data:image/jpeg;base64,"));
    }
}
