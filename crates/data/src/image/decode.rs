//! Encoded pictures to pixels, in bounded memory whatever the file claims.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage, RgbaImage};
use jpeg_decoder::PixelFormat;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::depth::{bits_of, largest, most_of, stretch};
use super::{Channels, FORMATS, Kind, Picture};

/// The most pixels of a picture that is decoded, 2²⁷: some 400 MB in color. A file of a few bytes can claim far more.
pub const MOST_PIXELS: u64 = 1 << 27;

/// The longest side that JPEG can have.
const LONGEST_JPEG: usize = u16::MAX as usize;

/// A picture whose header has been read.
pub struct Header {
    /// Its width as it is seen, after EXIF's turn.
    pub width: u32,
    /// Its height as it is seen.
    pub height: u32,
    /// Whether it has color.
    pub is_color: bool,
    /// Whether it has 16 bits a value.
    pub is_deep: bool,
    /// The bits of these 16 that are used, if that is known of all images that it belongs to; else its own values tell.
    pub depth: Option<u8>,
    format: ImageFormat,
    orientation: Orientation,
    /// A JPEG in YCbCr or grey, which can be decoded at a part of its size.
    is_scalable: bool,
}

impl Header {
    /// Reads the header of a picture in any of the formats, which is told by its bytes and not by its name.
    ///
    /// # Errors
    /// What is no picture, damaged at its head, or too large to be decoded.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if let Kind::Foreign(foreign) = Kind::of_bytes(bytes) {
            return Err(foreign.problem());
        }
        let format = image::guess_format(bytes).ok().filter(|format| FORMATS.contains(format));
        let format = format.ok_or("this is no picture in a known format")?;
        let header = guarded(|| match format {
            ImageFormat::Jpeg => Header::of_jpeg(bytes),
            _ => Header::of_other(bytes, format),
        })?;
        let pixels = u64::from(header.width) * u64::from(header.height);
        if pixels == 0 {
            return Err("the picture has no pixels".to_string());
        }
        if pixels > MOST_PIXELS {
            return Err(format!(
                "the picture claims to be {} × {} pixels; at most {} million are decoded",
                header.width,
                header.height,
                MOST_PIXELS / 1_000_000
            ));
        }
        Ok(header)
    }

    /// The width and height that a picture claims, which may be too many for it to be read; none if it claims none.
    pub fn claimed_size(bytes: &[u8]) -> Option<(u32, u32)> {
        let header = guarded(|| match image::guess_format(bytes) {
            Ok(ImageFormat::Jpeg) => Header::of_jpeg(bytes),
            Ok(format) => Header::of_other(bytes, format),
            Err(error) => Err(error.to_string()),
        });
        match header {
            Ok(header) => Some((header.width, header.height)),
            // Its decoder refuses sides of more than 16 bits.
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
        let (width, height) = decoder.dimensions().ok_or("the picture has no size")?;
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
        let is_turned = matches!(orientation, Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH);
        let (width, height) = if is_turned { (height, width) } else { (width, height) };
        let (is_color, is_deep, is_scalable, depth) = (true, false, false, None);
        Header { width, height, is_color, is_deep, depth, format, orientation, is_scalable }
    }

    /// How many of its 16 bits an image uses: 8, 10, 12, 14 or 16. None if all its values are 0, or it has 8 bits anyway.
    ///
    /// # Errors
    /// A damaged image.
    pub fn used_bits(&self, bytes: &[u8]) -> Result<Option<u8>, String> {
        if !self.is_deep {
            return Ok(None);
        }
        guarded(|| Ok(largest(&dynamic(bytes, self.format)?).and_then(bits_of)))
    }

    /// Decodes the picture that the header was read of, upright, 8 bits a value; transparent parts over white.
    ///
    /// Of 16 bits a value, as many count as [`Header::depth`] says, or else as the picture uses.
    ///
    /// A JPEG may come at a part of its size that is not below `1 / shrink`, which takes less time and memory.
    ///
    /// The pixels may be written to `buffer`, whose contents are dropped.
    ///
    /// # Errors
    /// A damaged picture; a JPEG that ends too early is one, though its beginning could be shown. One whose values need more
    /// bits than are expected.
    pub fn decode(
        &self,
        bytes: &[u8],
        channels: Channels,
        shrink: u32,
        buffer: Vec<u8>,
    ) -> Result<Picture, String> {
        let picture = guarded(|| match self.format {
            ImageFormat::Jpeg if !is_complete(bytes) => Err("the picture ends too early".to_string()),
            ImageFormat::Jpeg if shrink > 1 && self.is_scalable => self.scaled_jpeg(bytes, shrink),
            ImageFormat::Jpeg => whole_jpeg(bytes, channels, buffer),
            _ => other(bytes, self.format, self.depth),
        })?;
        let picture = if self.orientation == Orientation::NoTransforms {
            picture
        } else {
            picture.turned(self.orientation)
        };
        Ok(picture.with_channels(channels))
    }

    fn scaled_jpeg(&self, bytes: &[u8], shrink: u32) -> Result<Picture, String> {
        let mut decoder = jpeg_decoder::Decoder::new(bytes);
        let part = |side: u32| side.div_ceil(shrink).min(u32::from(u16::MAX)) as u16;
        // The sides before they are turned; both are asked for with the same part.
        let info = decoder.read_info().map_err(|e| damaged(&e)).map(|()| decoder.info());
        let info = info?.ok_or("the picture has no size")?;
        let (width, height) = decoder
            .scale(part(u32::from(info.width)), part(u32::from(info.height)))
            .map_err(|e| damaged(&e))?;
        let pixels = decoder.decode().map_err(|e| damaged(&e))?;
        let channels = match info.pixel_format {
            PixelFormat::L8 => 1,
            PixelFormat::RGB24 => 3,
            _ => return Err("the picture has colors that JPEG does not define".to_string()),
        };
        Picture::new(u32::from(width), u32::from(height), channels, pixels)
    }
}

fn jpeg_options() -> DecoderOptions {
    DecoderOptions::default().set_max_width(LONGEST_JPEG).set_max_height(LONGEST_JPEG)
}

/// Whether the last scan of a JPEG is followed by the marker of the end. Within a scan, neither marker can occur; a
/// preview in the header has both.
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
    let (width, height) = decoder.dimensions().ok_or("the picture has no size")?;
    pixels.resize(decoder.output_buffer_size().ok_or("the picture has no size")?, 0);
    decoder.decode_into(&mut pixels).map_err(|e| damaged(&e))?;
    Picture::new(width as u32, height as u32, count, pixels)
}

fn other_decoder(bytes: &[u8], format: ImageFormat) -> Result<impl ImageDecoder + '_, String> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    // Pictures of 16 bits, with alpha, take 8 bytes a pixel.
    limits.max_alloc = Some(8 * MOST_PIXELS);
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
    let picture = match (image.color().has_color(), alpha) {
        (false, false) => Picture::new(width, height, 1, image.into_luma8().into_raw())?,
        (true, false) => Picture::new(width, height, 3, image.into_rgb8().into_raw())?,
        (_, true) => over_white(&image.into_rgba8())?,
    };
    Ok(Picture { remark: picture.remark.or(remark), ..picture })
}

/// Stretches the values of an image of 16 bits, of which it uses fewer, to all of them. Gives what is to be said of it.
fn to_full_depth(image: &mut DynamicImage, depth: Option<u8>) -> Result<Option<String>, String> {
    let Some(most) = largest(image) else { return Ok(None) };
    let Some(bits) = depth.or(bits_of(most)) else { return Ok(None) };
    let limit = most_of(bits);
    if most > limit {
        return Err(format!(
            "its values go up to {most}, but those of the images that this was made for use {bits} bits (up to {limit}); scale it as they are"
        ));
    }
    stretch(image, limit);
    let is_guessed = depth.is_none() && bits < 16;
    Ok(is_guessed.then(|| {
        format!("it has 16 bits a value and uses {bits} of them, so its white is taken to be {limit} and not 65535")
    }))
}

/// Floating-point images go from 0 to 1; what goes beyond would be cut off without a word.
fn refuse_beyond_unit(image: &DynamicImage) -> Result<(), String> {
    let values: &[f32] = match image {
        DynamicImage::ImageRgb32F(image) => image.as_raw(),
        DynamicImage::ImageRgba32F(image) => image.as_raw(),
        _ => return Ok(()),
    };
    match values.iter().find(|value| !(0. ..=1.).contains(*value)) {
        None => Ok(()),
        Some(value) => Err(format!(
            "it has floating-point values outside 0 (black) to 1 (white), such as {value}; scale them, or save it with 8 bits a value"
        )),
    }
}

/// An alpha from which on a pixel is seen.
const VISIBLE: u8 = 32;

/// A value from which on a pixel is hard to tell from white.
const WHITE: u8 = 248;

/// An image laid over white, on which dark ink stays visible.
fn over_white(image: &RgbaImage) -> Result<Picture, String> {
    let over = |value: u8, alpha: u8| {
        ((u32::from(value) * u32::from(alpha) + 255 * u32::from(255 - alpha) + 127) / 255) as u8
    };
    let mut pixels = Vec::with_capacity(image.as_raw().len() / 4 * 3);
    let (mut is_transparent, mut is_seen, mut darkest) = (false, false, 255);
    for pixel in image.pixels() {
        let [red, green, blue, alpha] = pixel.0;
        let laid = [red, green, blue].map(|value| over(value, alpha));
        is_transparent |= alpha < 255;
        is_seen |= alpha >= VISIBLE;
        darkest = laid.into_iter().fold(darkest, u8::min);
        pixels.extend(laid);
    }
    let remark = match (is_transparent && darkest >= WHITE, is_seen) {
        (false, _) => None,
        (true, false) => Some("it is transparent everywhere, so nothing is seen".to_string()),
        (true, true) => Some(
            "it is transparent and its ink is white, so nothing is seen: transparent images are laid over white"
                .to_string(),
        ),
    };
    Ok(Picture { remark, ..Picture::new(image.width(), image.height(), 3, pixels)? })
}

impl Picture {
    fn new(width: u32, height: u32, channels: usize, pixels: Vec<u8>) -> Result<Self, String> {
        if pixels.len() != width as usize * height as usize * channels {
            return Err("the picture is damaged: it has another number of pixels than it says".to_string());
        }
        Ok(Picture { width, height, channels, pixels, remark: None })
    }

    fn turned(self, orientation: Orientation) -> Self {
        let Picture { width, height, channels, pixels, remark } = self;
        let whole = "the pixels are as many as the size says";
        let mut image = match channels {
            1 => DynamicImage::from(GrayImage::from_raw(width, height, pixels).expect(whole)),
            _ => DynamicImage::from(RgbImage::from_raw(width, height, pixels).expect(whole)),
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

/// ITU-R BT.601, the luma of JPEG, so that a color JPEG and a PNG of it turn to the same grey.
fn luma(pixel: &[u8]) -> u8 {
    let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16) as u8
}

fn damaged(reason: &dyn std::fmt::Display) -> String {
    let reason = reason.to_string();
    format!("the picture is damaged, or of a kind that is not read ({})", crate::error::excerpt(&reason))
}

/// A decoder that panics on a damaged file has found that it is damaged.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err("the picture is damaged: its decoder failed".into()))
}
