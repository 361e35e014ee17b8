//! Encoded pictures to pixels, in bounded memory whatever the file claims.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use jpeg_decoder::PixelFormat;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{Channels, Picture};

/// The most pixels of a picture that is decoded, 2²⁷: some 400 MB in color. A file of a few bytes can claim far more.
const MOST_PIXELS: u64 = 1 << 27;

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
        let format =
            image::guess_format(bytes).map_err(|_| "this is no picture in a known format".to_string())?;
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
        let is_color = decoder.color_type().has_color();
        Ok(Header { is_color, ..Header::upright(width, height, format, orientation) })
    }

    fn upright(width: u32, height: u32, format: ImageFormat, orientation: Option<Orientation>) -> Self {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        let orientation = orientation.unwrap_or(Orientation::NoTransforms);
        let is_turned = matches!(orientation, Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH);
        let (width, height) = if is_turned { (height, width) } else { (width, height) };
        Header { width, height, format, orientation, is_color: true, is_scalable: false }
    }

    /// Decodes the picture that the header was read of, upright, 8 bits a value; transparent parts over black.
    ///
    /// A JPEG may come at a part of its size that is not below `1 / shrink`, which takes less time and memory.
    ///
    /// The pixels may be written to `buffer`, whose contents are dropped.
    ///
    /// # Errors
    /// A damaged picture; a JPEG that ends too early is one, though its beginning could be shown.
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
            _ => other(bytes, self.format),
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

fn other(bytes: &[u8], format: ImageFormat) -> Result<Picture, String> {
    let image = DynamicImage::from_decoder(other_decoder(bytes, format)?).map_err(|e| damaged(&e))?;
    let (width, height) = (image.width(), image.height());
    let alpha = image.color().has_alpha();
    if !image.color().has_color() && !alpha {
        return Picture::new(width, height, 1, image.into_luma8().into_raw());
    }
    if !alpha {
        return Picture::new(width, height, 3, image.into_rgb8().into_raw());
    }
    let over_black = |value: u8, alpha: u8| ((u16::from(value) * u16::from(alpha) + 127) / 255) as u8;
    let image = image.into_rgba8();
    let pixels = image.pixels().flat_map(|pixel| {
        let [red, green, blue, alpha] = pixel.0;
        [red, green, blue].map(|value| over_black(value, alpha))
    });
    Picture::new(width, height, 3, pixels.collect())
}

impl Picture {
    fn new(width: u32, height: u32, channels: usize, pixels: Vec<u8>) -> Result<Self, String> {
        if pixels.len() != width as usize * height as usize * channels {
            return Err("the picture is damaged: it has another number of pixels than it says".to_string());
        }
        Ok(Picture { width, height, channels, pixels })
    }

    fn turned(self, orientation: Orientation) -> Self {
        let Picture { width, height, channels, pixels } = self;
        let whole = "the pixels are as many as the size says";
        let mut image = match channels {
            1 => DynamicImage::from(GrayImage::from_raw(width, height, pixels).expect(whole)),
            _ => DynamicImage::from(RgbImage::from_raw(width, height, pixels).expect(whole)),
        };
        image.apply_orientation(orientation);
        Picture { width: image.width(), height: image.height(), channels, pixels: image.into_bytes() }
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
