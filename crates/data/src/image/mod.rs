//! Images as examples and as model inputs.

mod decode;
mod decoding;
mod depth;
mod fit;
mod kind;
mod source;
#[cfg(test)]
mod tests;

use std::path::Path;

use image::ImageFormat;

use super::{InputShape, ValueRange};
use crate::error::{Error, Location, Result};
pub use decode::{Header, MAX_PIXELS};
pub use decoding::{CENTER_CROPS, Decoding, Interpolation};
pub use depth::max_of_bits;
pub use fit::{Fitter, Region, to_channels_first};
pub use kind::{Foreign, Kind};
pub use source::ImageSource;

/// The number of values per pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// One: luma.
    Grey,
    /// Three: red, green and blue.
    Color,
}

impl Channels {
    /// The number of channels.
    pub fn count(self) -> usize {
        match self {
            Channels::Grey => 1,
            Channels::Color => 3,
        }
    }

    /// The channels, height and width of an input shape, if image files can be converted to it.
    pub fn of(shape: &InputShape) -> Option<(Channels, u32, u32)> {
        let side = |side: i64| u32::try_from(side).ok();
        match shape.image()? {
            (1, height, width) => Some((Channels::Grey, side(height)?, side(width)?)),
            (3, height, width) => Some((Channels::Color, side(height)?, side(width)?)),
            _ => None,
        }
    }
}

/// A decoded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The number of channels, 1 or 3.
    pub channels: usize,
    /// The values in (height, width, channels) order; 0 is black.
    pub pixels: Vec<u8>,
    /// A warning: the image was brightened or appears blank.
    pub remark: Option<String>,
}

/// The supported formats.
const FORMATS: [ImageFormat; 6] = [
    ImageFormat::Bmp,
    ImageFormat::Gif,
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::Tiff,
    ImageFormat::WebP,
];

/// Whether the extension is that of a supported image format.
pub fn is_image(path: &Path) -> bool {
    ImageFormat::from_path(path).is_ok_and(|format| FORMATS.contains(&format))
}

/// Reads an image as a model's raw input (channels, height, width), like [`InputReader`].
///
/// # Errors
/// A file that is not an image or damaged, or a model whose input is not an image.
pub fn read(path: &Path, shape: &InputShape, range: ValueRange) -> Result<Vec<f32>> {
    let reader = InputReader::new(shape, range).map_err(|problem| Error::data(path, problem))?;
    read_by(reader, path)
}

/// Reads an image with an existing reader.
pub fn read_by(mut reader: InputReader, path: &Path) -> Result<Vec<f32>> {
    let values = encoded(path).and_then(|encoded| reader.read(&encoded));
    let values = values.map_err(|problem| Error::data(path, problem))?;
    if let Some(remark) = reader.take_warning() {
        tracing::warn!("{}: {remark}", Location::from(path));
    }
    Ok(values)
}

/// Reads the bytes of an image file.
pub fn encoded(path: &Path) -> std::result::Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|e| format!("cannot read the file: {e}"))
}

/// Reads images as a model's raw inputs. It reuses its buffers.
pub struct InputReader {
    fitter: Fitter,
    channels: usize,
    /// The raw value of each byte value.
    values: [f32; 256],
    pixels: Vec<u8>,
}

impl InputReader {
    /// Creates a reader for inputs of this shape, with black to white mapped to `range`.
    ///
    /// # Errors
    /// A model whose input is not an image.
    pub fn new(shape: &InputShape, range: ValueRange) -> std::result::Result<Self, String> {
        let Some((channels, height, width)) = Channels::of(shape) else {
            return Err(match shape.image() {
                Some((channels, ..)) => format!(
                    "the model takes images with {channels} channels, but image files have 1 (gray) or 3 (color); use a CSV file of values"
                ),
                None => {
                    format!("the model takes rows of {} values, not images; use a CSV file", shape.features())
                }
            });
        };
        let fitter = Fitter::new(channels, height, width);
        let scale = (f64::from(range.max - range.min) / 255.) as f32;
        Ok(InputReader {
            pixels: vec![0; fitter.bytes()],
            fitter,
            channels: channels.count(),
            values: std::array::from_fn(|byte| byte as f32 * scale + range.min),
        })
    }

    /// Sets how images are decoded and resized.
    pub fn with_decoding(self, decoding: Decoding) -> Self {
        InputReader { fitter: self.fitter.with_decoding(decoding), ..self }
    }

    /// Takes the warning about the last image, if any.
    pub fn take_warning(&mut self) -> Option<String> {
        self.fitter.take_warning()
    }

    /// Decodes an image to values (channels, height, width): center-cropped to the model's aspect ratio,
    /// resized to its input size, in gray or color as the model requires.
    ///
    /// # Errors
    /// Bytes that are not an image, or a damaged image.
    pub fn read(&mut self, encoded: &[u8]) -> std::result::Result<Vec<f32>, String> {
        let crop = self.fitter.center_crop();
        self.fitter.fit(encoded, crop, &mut self.pixels)?;
        let mut values = Vec::with_capacity(self.pixels.len());
        for channel in 0..self.channels {
            let bytes = self.pixels.iter().skip(channel).step_by(self.channels);
            values.extend(bytes.map(|byte| self.values[usize::from(*byte)]));
        }
        Ok(values)
    }
}
