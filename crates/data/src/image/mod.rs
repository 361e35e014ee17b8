//! Pictures as examples and as a model's input.

mod decode;
mod depth;
mod fit;
mod kind;
mod source;
#[cfg(test)]
mod tests;

use std::path::Path;

use image::ImageFormat;

use super::{InputShape, ValueRange};
use crate::error::{Error, Place, Result};
pub use decode::{Header, MOST_PIXELS};
pub use depth::most_of;
pub use fit::{Fitter, Region, channel_by_channel};
pub use kind::{Foreign, Kind};
pub use source::ImageSource;

/// How many values a pixel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// One: its luma.
    Grey,
    /// Three: red, green and blue.
    Color,
}

impl Channels {
    /// As a number.
    pub fn count(self) -> usize {
        match self {
            Channels::Grey => 1,
            Channels::Color => 3,
        }
    }

    /// The channels of an image of this shape, if pictures can be brought to it.
    pub fn of(shape: &InputShape) -> Option<(Channels, u32, u32)> {
        let side = |side: i64| u32::try_from(side).ok();
        match shape.image()? {
            (1, height, width) => Some((Channels::Grey, side(height)?, side(width)?)),
            (3, height, width) => Some((Channels::Color, side(height)?, side(width)?)),
            _ => None,
        }
    }
}

/// A decoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// 1 or 3.
    pub channels: usize,
    /// Row after row, the channels of a pixel together; 0 is black.
    pub pixels: Vec<u8>,
    /// What is to be said of it: that it was brightened, or that nothing is seen of it.
    pub remark: Option<String>,
}

/// The formats that are decoded, as the ends of their files' names.
const FORMATS: [ImageFormat; 6] = [
    ImageFormat::Bmp,
    ImageFormat::Gif,
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::Tiff,
    ImageFormat::WebP,
];

/// Is this the name of a picture in one of the formats that are decoded?
pub fn is_image(path: &Path) -> bool {
    ImageFormat::from_path(path).is_ok_and(|format| FORMATS.contains(&format))
}

/// Reads a picture as a model's raw input (channels, height, width), as [`InputReader`] does.
///
/// # Errors
/// A file that is no picture or a damaged one, and a model whose input is no image.
pub fn read(path: &Path, shape: &InputShape, range: ValueRange) -> Result<Vec<f32>> {
    let reader = InputReader::new(shape, range).map_err(|problem| Error::data(path, problem))?;
    read_by(reader, path)
}

/// The same by a reader.
pub fn read_by(mut reader: InputReader, path: &Path) -> Result<Vec<f32>> {
    let values = encoded(path).and_then(|encoded| reader.read(&encoded));
    let values = values.map_err(|problem| Error::data(path, problem))?;
    if let Some(remark) = reader.take_remark() {
        tracing::warn!("{}: {remark}", Place::from(path));
    }
    Ok(values)
}

/// The bytes of a picture's file.
pub fn encoded(path: &Path) -> std::result::Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|e| format!("cannot read the file: {e}"))
}

/// Reads pictures as a model's raw inputs, with buffers that are kept from one to the next.
pub struct InputReader {
    fitter: Fitter,
    /// Height and width.
    target: (u32, u32),
    channels: usize,
    /// The raw value of each byte.
    values: [f32; 256],
    pixels: Vec<u8>,
}

impl InputReader {
    /// For a model that takes inputs of this shape, with black to white stretched over `range`.
    ///
    /// # Errors
    /// A model whose input is no image.
    pub fn new(shape: &InputShape, range: ValueRange) -> std::result::Result<Self, String> {
        let Some((channels, height, width)) = Channels::of(shape) else {
            return Err(match shape.image() {
                Some((channels, ..)) => format!(
                    "the model takes images of {channels} channels, and image files are read in grey or in color; give it a CSV file of values"
                ),
                None => format!(
                    "the model takes rows of {} values, and no pictures; give it a CSV file",
                    shape.features()
                ),
            });
        };
        let fitter = Fitter::new(channels, height, width);
        let scale = (f64::from(range.max - range.min) / 255.) as f32;
        Ok(InputReader {
            pixels: vec![0; fitter.bytes()],
            fitter,
            target: (height, width),
            channels: channels.count(),
            values: std::array::from_fn(|byte| byte as f32 * scale + range.min),
        })
    }

    /// The same for images that use so many of the 16 bits that they have a value, if that is known.
    pub fn with_depth(self, depth: Option<u8>) -> Self {
        InputReader { fitter: self.fitter.with_depth(depth), ..self }
    }

    /// What is to be said of the image that was read last, if anything is.
    pub fn take_remark(&mut self) -> Option<String> {
        self.fitter.take_remark()
    }

    /// An encoded picture as values (channels, height, width): its middle in the model's proportions, resized to the model's
    /// size, in grey or in color as the model takes it.
    ///
    /// # Errors
    /// Bytes that are no picture, or a damaged one.
    pub fn read(&mut self, encoded: &[u8]) -> std::result::Result<Vec<f32>, String> {
        self.fitter.fit(encoded, |size| Region::middle(size, self.target), &mut self.pixels)?;
        let mut values = Vec::with_capacity(self.pixels.len());
        for channel in 0..self.channels {
            let bytes = self.pixels.iter().skip(channel).step_by(self.channels);
            values.extend(bytes.map(|byte| self.values[usize::from(*byte)]));
        }
        Ok(values)
    }
}
