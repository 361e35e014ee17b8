//! Image decoding in bounded memory, whatever size the file declares.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage, RgbaImage};
use jpeg_decoder::PixelFormat;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::depth::{bits_of, largest, max_of_bits, stretch};
use super::{Channels, FORMATS, Kind, Picture};

/// The maximum number of pixels of an image, 2²⁷: about 400 MB in color. A file of a few bytes can declare
/// far more.
pub const MAX_PIXELS: u64 = 1 << 27;

/// The maximum side length of a JPEG.
const MAX_JPEG_SIDE: usize = u16::MAX as usize;

/// The header of an encoded image.
pub struct Header {
    /// The width after the EXIF rotation.
    pub width: u32,
    /// The height after the EXIF rotation.
    pub height: u32,
    /// Whether the image has color.
    pub is_color: bool,
    /// Whether it has 16 bits per value.
    pub is_deep: bool,
    /// The bits in use of these 16, if known for the whole data set; otherwise inferred from the image's
    /// values.
    pub depth: Option<u8>,
    format: ImageFormat,
    orientation: Orientation,
    /// Whether it is a JPEG in YCbCr or gray, which can be decoded at reduced size.
    is_scalable: bool,
}

impl Header {
    /// Reads the header of an image in any supported format. The format is detected from the bytes, not from
    /// the file name.
    ///
    /// # Errors
    /// Bytes that are not an image, a damaged header, or an image that is too large.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if let Kind::Foreign(foreign) = Kind::of_bytes(bytes) {
            return Err(foreign.problem());
        }
        let format = image::guess_format(bytes).ok().filter(|format| FORMATS.contains(format));
        let format = format.ok_or("this is not an image in a supported format")?;
        let header = catch_panic(|| match format {
            ImageFormat::Jpeg => Header::of_jpeg(bytes),
            _ => Header::of_other(bytes, format),
        })?;
        let pixels = u64::from(header.width) * u64::from(header.height);
        if pixels == 0 {
            return Err("the image has no pixels".to_string());
        }
        if pixels > MAX_PIXELS {
            return Err(format!(
                "the image header declares {} × {} pixels; the maximum is {} million",
                header.width,
                header.height,
                MAX_PIXELS / 1_000_000
            ));
        }
        Ok(header)
    }

    /// The width and height that the header declares, even if too large to decode; `None` if there are none.
    pub fn declared_size(bytes: &[u8]) -> Option<(u32, u32)> {
        let header = catch_panic(|| match image::guess_format(bytes) {
            Ok(ImageFormat::Jpeg) => Header::of_jpeg(bytes),
            Ok(format) => Header::of_other(bytes, format),
            Err(error) => Err(error.to_string()),
        });
        match header {
            Ok(header) => Some((header.width, header.height)),
            // The BMP decoder rejects sides of more than 16 bits.
            Err(_) if bytes.starts_with(b"BM") => {
                let side = |at: usize| {
                    Some(i32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?).unsigned_abs())
                };
                Some((side(18)?, side(22)?))
            }
            Err(_) => None,
        }
    }

    fn of_jpeg(bytes: &[u8]) -> Result<Self, String> {
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), jpeg_options());
        decoder.decode_headers().map_err(|e| damaged(&e))?;
        let (width, height) = decoder.dimensions().ok_or("the image has no size")?;
        let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
        let space = decoder.input_colorspace();
        Ok(Header {
            is_color: space != Some(ColorSpace::Luma),
            is_scalable: matches!(space, Some(ColorSpace::Luma | ColorSpace::YCbCr)),
            ..Header::upright(width as u32, height as u32, ImageFormat::Jpeg, orientation)
        })
    }

    fn of_other(bytes: &[u8], format: ImageFormat) -> Result<Self, String> {
        let mut decoder = other_decoder(bytes, format)?;
        let (width, height) = decoder.dimensions();
        let orientation = decoder.orientation().ok();
        let color = decoder.color_type();
        let is_deep = color.bytes_per_pixel() == 2 * color.channel_count();
        let is_color = color.has_color();
        Ok(Header { is_color, is_deep, ..Header::upright(width, height, format, orientation) })
    }

    fn upright(width: u32, height: u32, format: ImageFormat, orientation: Option<Orientation>) -> Self {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        let orientation = orientation.unwrap_or(Orientation::NoTransforms);
        let is_rotated = matches!(orientation, Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH);
        let (width, height) = if is_rotated { (height, width) } else { (width, height) };
        let (is_color, is_deep, is_scalable, depth) = (true, false, false, None);
        Header { width, height, is_color, is_deep, depth, format, orientation, is_scalable }
    }

    /// How many of the 16 bits per value the image uses: 8, 10, 12, 14 or 16. `None` if all values are 0 or
    /// the image has 8 bits per value.
    ///
    /// # Errors
    /// A damaged image.
    pub(crate) fn used_bits(&self, bytes: &[u8]) -> Result<Option<u8>, String> {
        if !self.is_deep {
            return Ok(None);
        }
        catch_panic(|| Ok(largest(&dynamic(bytes, self.format)?).and_then(bits_of)))
    }

    /// Decodes the image with this header, rotated upright, with 8 bits per value; transparent areas are
    /// blended over white.
    ///
    /// For 16 bits per value, [`Header::depth`] defines the bits in use, or else the image's values.
    ///
    /// A JPEG may be decoded at reduced size, at least `1 / shrink`, which takes less time and memory.
    ///
    /// `buffer` may be reused for the pixels; its contents are discarded.
    ///
    /// # Errors
    /// A damaged image, including a truncated JPEG; values with more bits than `depth`.
    pub fn decode(
        &self,
        bytes: &[u8],
        channels: Channels,
        shrink: u32,
        buffer: Vec<u8>,
    ) -> Result<Picture, String> {
        let decoded = catch_panic(|| match self.format {
            ImageFormat::Jpeg if !is_complete(bytes) => Err("the image is truncated".to_string()),
            ImageFormat::Jpeg if shrink > 1 && self.is_scalable => self.scaled_jpeg(bytes, shrink),
            ImageFormat::Jpeg => whole_jpeg(bytes, channels, buffer),
            _ => other(bytes, self.format, self.depth),
        })?;
        let decoded = if self.orientation == Orientation::NoTransforms {
            decoded
        } else {
            decoded.rotated(self.orientation)
        };
        Ok(decoded.with_channels(channels))
    }

    fn scaled_jpeg(&self, bytes: &[u8], shrink: u32) -> Result<Picture, String> {
        let mut decoder = jpeg_decoder::Decoder::new(bytes);
        let part = |side: u32| side.div_ceil(shrink).min(u32::from(u16::MAX)) as u16;
        // The sides before rotation; both are scaled by the same factor.
        let info = decoder.read_info().map_err(|e| damaged(&e)).map(|()| decoder.info());
        let info = info?.ok_or("the image has no size")?;
        let (width, height) = decoder
            .scale(part(u32::from(info.width)), part(u32::from(info.height)))
            .map_err(|e| damaged(&e))?;
        let pixels = decoder.decode().map_err(|e| damaged(&e))?;
        let channels = match info.pixel_format {
            PixelFormat::L8 => 1,
            PixelFormat::RGB24 => 3,
            _ => return Err("the JPEG has an unsupported color format".to_string()),
        };
        Picture::new(u32::from(width), u32::from(height), channels, pixels)
    }
}

fn jpeg_options() -> DecoderOptions {
    DecoderOptions::default().set_max_width(MAX_JPEG_SIDE).set_max_height(MAX_JPEG_SIDE)
}

/// Whether the end marker follows the last scan of a JPEG. Neither marker can occur within a scan; a preview
/// in the header has both.
fn is_complete(bytes: &[u8]) -> bool {
    let end = memchr::memmem::rfind(bytes, &[0xff, 0xd9]);
    end.is_some_and(|end| memchr::memmem::find(&bytes[end..], &[0xff, 0xda]).is_none())
}

fn whole_jpeg(bytes: &[u8], channels: Channels, mut pixels: Vec<u8>) -> Result<Picture, String> {
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), jpeg_options());
    decoder.decode_headers().map_err(|e| damaged(&e))?;
    let (out, count) = match (decoder.input_colorspace(), channels) {
        (Some(ColorSpace::Luma), _) | (Some(ColorSpace::YCbCr), Channels::Grey) => (ColorSpace::Luma, 1),
        _ => (ColorSpace::RGB, 3),
    };
    decoder.set_options(jpeg_options().jpeg_set_out_colorspace(out));
    let (width, height) = decoder.dimensions().ok_or("the image has no size")?;
    pixels.resize(decoder.output_buffer_size().ok_or("the image has no size")?, 0);
    decoder.decode_into(&mut pixels).map_err(|e| damaged(&e))?;
    Picture::new(width as u32, height as u32, count, pixels)
}

fn other_decoder(bytes: &[u8], format: ImageFormat) -> Result<impl ImageDecoder + '_, String> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    // RGBA images with 16 bits per value take 8 bytes per pixel.
    limits.max_alloc = Some(8 * MAX_PIXELS);
    reader.limits(limits);
    reader.into_decoder().map_err(|e| damaged(&e))
}

fn dynamic(bytes: &[u8], format: ImageFormat) -> Result<DynamicImage, String> {
    DynamicImage::from_decoder(other_decoder(bytes, format)?).map_err(|e| damaged(&e))
}

fn other(bytes: &[u8], format: ImageFormat, depth: Option<u8>) -> Result<Picture, String> {
    let mut image = dynamic(bytes, format)?;
    refuse_beyond_unit(&image)?;
    let remark = to_full_depth(&mut image, depth)?;
    let (width, height) = (image.width(), image.height());
    let alpha = image.color().has_alpha();
    let decoded = match (image.color().has_color(), alpha) {
        (false, false) => Picture::new(width, height, 1, image.into_luma8().into_raw())?,
        (true, false) => Picture::new(width, height, 3, image.into_rgb8().into_raw())?,
        (_, true) => over_white(&image.into_rgba8())?,
    };
    Ok(Picture { remark: decoded.remark.or(remark), ..decoded })
}

/// Scales the values of an image that uses fewer than 16 bits to the full range. Returns a warning, if any.
fn to_full_depth(image: &mut DynamicImage, depth: Option<u8>) -> Result<Option<String>, String> {
    let Some(most) = largest(image) else { return Ok(None) };
    let Some(bits) = depth.or(bits_of(most)) else { return Ok(None) };
    let limit = max_of_bits(bits);
    if most > limit {
        return Err(format!(
            "its values go up to {most}, but the training images use {bits} bits (up to {limit}); scale it in the same way"
        ));
    }
    stretch(image, limit);
    let is_guessed = depth.is_none() && bits < 16;
    Ok(is_guessed.then(|| {
        format!("it has 16 bits per value and uses {bits} of them, so white is assumed to be {limit} and not 65535")
    }))
}

/// Rejects floating-point images with values outside 0 to 1, which would be clipped.
fn refuse_beyond_unit(image: &DynamicImage) -> Result<(), String> {
    let values: &[f32] = match image {
        DynamicImage::ImageRgb32F(image) => image.as_raw(),
        DynamicImage::ImageRgba32F(image) => image.as_raw(),
        _ => return Ok(()),
    };
    match values.iter().find(|value| !(0. ..=1.).contains(*value)) {
        None => Ok(()),
        Some(value) => Err(format!(
            "it has floating-point values outside 0 (black) to 1 (white), such as {value}; scale them, or save it with 8 bits per value"
        )),
    }
}

/// The minimum alpha of a visible pixel.
const VISIBLE: u8 = 32;

/// The minimum value of a pixel that looks white.
const WHITE: u8 = 248;

/// Blends an image over white, so that dark content on a transparent background stays visible.
fn over_white(image: &RgbaImage) -> Result<Picture, String> {
    let blend = |value: u8, alpha: u8| {
        ((u32::from(value) * u32::from(alpha) + 255 * u32::from(255 - alpha) + 127) / 255) as u8
    };
    let mut pixels = Vec::with_capacity(image.as_raw().len() / 4 * 3);
    let (mut is_transparent, mut is_visible, mut darkest) = (false, false, 255);
    for pixel in image.pixels() {
        let [red, green, blue, alpha] = pixel.0;
        let blended = [red, green, blue].map(|value| blend(value, alpha));
        is_transparent |= alpha < 255;
        is_visible |= alpha >= VISIBLE;
        darkest = blended.into_iter().fold(darkest, u8::min);
        pixels.extend(blended);
    }
    let remark = match (is_transparent && darkest >= WHITE, is_visible) {
        (false, _) => None,
        (true, false) => Some("it is fully transparent, so it appears blank".to_string()),
        (true, true) => Some(
            "it is transparent with white content, so it appears blank: transparent images are blended over white"
                .to_string(),
        ),
    };
    Ok(Picture { remark, ..Picture::new(image.width(), image.height(), 3, pixels)? })
}

impl Picture {
    fn new(width: u32, height: u32, channels: usize, pixels: Vec<u8>) -> Result<Self, String> {
        if pixels.len() != width as usize * height as usize * channels {
            return Err("the image is damaged: the number of pixels differs from its header".to_string());
        }
        Ok(Picture { width, height, channels, pixels, remark: None })
    }

    fn rotated(self, orientation: Orientation) -> Self {
        let Picture { width, height, channels, pixels, remark } = self;
        let matches = "the number of pixels matches the size";
        let mut image = match channels {
            1 => DynamicImage::from(GrayImage::from_raw(width, height, pixels).expect(matches)),
            _ => DynamicImage::from(RgbImage::from_raw(width, height, pixels).expect(matches)),
        };
        image.apply_orientation(orientation);
        Picture { width: image.width(), height: image.height(), channels, pixels: image.into_bytes(), remark }
    }

    fn with_channels(self, channels: Channels) -> Self {
        let pixels = match (self.channels, channels) {
            (3, Channels::Grey) => self.pixels.chunks_exact(3).map(luma).collect(),
            (1, Channels::Color) => self.pixels.iter().flat_map(|value| [*value; 3]).collect(),
            _ => self.pixels,
        };
        Picture { channels: channels.count(), pixels, ..self }
    }
}

/// Luma by ITU-R BT.601, as in JPEG, so that a color JPEG and a PNG of it give the same gray.
fn luma(pixel: &[u8]) -> u8 {
    let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16) as u8
}

fn damaged(reason: &dyn std::fmt::Display) -> String {
    let reason = reason.to_string();
    format!("the image is damaged or not supported ({})", crate::error::excerpt(&reason))
}

/// Treats a panic of a decoder as a damaged image.
fn catch_panic<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err("the image is damaged: its decoder failed".into()))
}
