//! Pictures brought to a model's size.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::{Channels, Header, Picture};

/// A stretch of a picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// Its left side.
    pub left: f64,
    /// Its upper side.
    pub top: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
}

impl Region {
    /// The largest part in the middle that has the shape of `height` × `width`: what is seen of a picture that is to be
    /// whole in neither direction, but to have its proportions.
    pub fn middle(of: (u32, u32), (height, width): (u32, u32)) -> Self {
        let (full_width, full_height) = (f64::from(of.0), f64::from(of.1));
        let scale = (full_width / f64::from(width)).min(full_height / f64::from(height));
        let (width, height) = (f64::from(width) * scale, f64::from(height) * scale);
        Region { left: (full_width - width) / 2., top: (full_height - height) / 2., width, height }
    }
}

/// Decodes pictures and brings them to one size. It keeps its buffers from picture to picture.
#[derive(Debug)]
pub struct Fitter {
    channels: Channels,
    height: u32,
    width: u32,
    resizer: Resizer,
    pixels: Vec<u8>,
    /// The bits that are used of 16, if that is known of all images.
    depth: Option<u8>,
    remark: Option<String>,
}

impl Fitter {
    /// For pictures of this size in pixels.
    pub fn new(channels: Channels, height: u32, width: u32) -> Self {
        let (pixels, depth, remark) = (Vec::new(), None, None);
        Fitter { channels, height, width, resizer: Resizer::new(), pixels, depth, remark }
    }

    /// The same for images that use so many of the 16 bits that they have a value, if that is known.
    pub fn with_depth(self, depth: Option<u8>) -> Self {
        Fitter { depth, ..self }
    }

    /// What is to be said of the image that was decoded last, if anything is.
    pub fn take_remark(&mut self) -> Option<String> {
        self.remark.take()
    }

    /// The number of bytes of a picture.
    pub fn bytes(&self) -> usize {
        self.channels.count() * self.height as usize * self.width as usize
    }

    /// Decodes a picture and writes the part that `region` names, given width and height, to `out`: uint8, row after row
    /// and the channels of a pixel together.
    ///
    /// # Errors
    /// No picture, or a damaged one.
    pub fn fit(
        &mut self,
        encoded: &[u8],
        region: impl FnOnce((u32, u32)) -> Region,
        out: &mut [u8],
    ) -> Result<(), String> {
        self.remark = None;
        let mut header = Header::read(encoded)?;
        header.depth = self.depth;
        let region = region((header.width, header.height));
        // At the part of its size at which the region still has as many pixels as are wanted.
        let spare = (region.width / f64::from(self.width)).min(region.height / f64::from(self.height));
        let shrink = [8, 4, 2].into_iter().find(|part| spare >= f64::from(*part)).unwrap_or(1);
        let picture = header.decode(encoded, self.channels, shrink, std::mem::take(&mut self.pixels))?;
        let result = self.resize(&picture, &header, region, out);
        self.remark = picture.remark;
        self.pixels = picture.pixels;
        result
    }

    /// Brings a region, in pixels of the picture's full size, to size.
    fn resize(
        &mut self,
        picture: &Picture,
        header: &Header,
        region: Region,
        out: &mut [u8],
    ) -> Result<(), String> {
        let Region { left, top, width, height } = region;
        let (x, y) = (
            f64::from(picture.width) / f64::from(header.width),
            f64::from(picture.height) / f64::from(header.height),
        );
        let is_whole = width == f64::from(self.width) && height == f64::from(self.height);
        if is_whole && (picture.width, picture.height) == (self.width, self.height) {
            out.copy_from_slice(&picture.pixels);
            return Ok(());
        }
        let kind = match self.channels {
            Channels::Grey => PixelType::U8,
            Channels::Color => PixelType::U8x3,
        };
        let fault = |e: &dyn std::fmt::Display| format!("the picture cannot be resized ({e})");
        let from =
            ImageRef::new(picture.width, picture.height, &picture.pixels, kind).map_err(|e| fault(&e))?;
        let mut to = Image::from_slice_u8(self.width, self.height, out, kind).map_err(|e| fault(&e))?;
        // Rounding may take the sides a hair beyond the picture.
        let (left, top) = (left * x, top * y);
        let width = (width * x).min(f64::from(picture.width) - left);
        let height = (height * y).min(f64::from(picture.height) - top);
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .crop(left, top, width, height);
        self.resizer.resize(&from, &mut to, &options).map_err(|e| fault(&e))
    }
}

/// Pixels with their channels together, (height · width, channels), to one channel after the other.
pub fn channel_by_channel(pixels: &[u8], channels: usize, out: &mut Vec<u8>) {
    for channel in 0..channels {
        out.extend(pixels.iter().skip(channel).step_by(channels));
    }
}
