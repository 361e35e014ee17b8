//! Crops and resizes images to a model's input size.

use fast_image_resize::images::TypedImage;
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use super::{Channels, Decoding, Header, Interpolation, Picture};

/// A rectangle of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// The left edge.
    pub left: f64,
    /// The top edge.
    pub top: f64,
    /// The width.
    pub width: f64,
    /// The height.
    pub height: f64,
}

impl Region {
    /// A centered rectangle with the aspect ratio of `height` × `width` (a center crop), for an image of (width, height) `of`.
    /// Its sides are `share` of those of the largest one.
    pub fn middle(of: (u32, u32), (height, width): (u32, u32), share: f64) -> Self {
        let (full_width, full_height) = (f64::from(of.0), f64::from(of.1));
        let scale = share * (full_width / f64::from(width)).min(full_height / f64::from(height));
        let (width, height) = (f64::from(width) * scale, f64::from(height) * scale);
        Region { left: (full_width - width) / 2., top: (full_height - height) / 2., width, height }
    }
}

/// Decodes, crops and resizes images. It reuses its buffers.
#[derive(Debug)]
pub struct Fitter {
    channels: Channels,
    height: u32,
    width: u32,
    resizer: Resizer,
    pixels: Vec<u8>,
    decoding: Decoding,
    remark: Option<String>,
}

impl Fitter {
    /// Creates a fitter for an output size in pixels.
    pub fn new(channels: Channels, height: u32, width: u32) -> Self {
        let (pixels, decoding, remark) = (Vec::new(), Decoding::default(), None);
        Fitter { channels, height, width, resizer: Resizer::new(), pixels, decoding, remark }
    }

    /// Sets how images are decoded and resized.
    pub fn with_decoding(self, decoding: Decoding) -> Self {
        Fitter { decoding, ..self }
    }

    /// The center crop of an image of (width, height).
    pub fn center_crop(&self) -> impl Fn((u32, u32)) -> Region + use<> {
        let (target, share) = ((self.height, self.width), self.decoding.center_crop);
        move |size| Region::middle(size, target, share)
    }

    /// Takes the warning about the last decoded image, if any.
    pub fn take_warning(&mut self) -> Option<String> {
        self.remark.take()
    }

    /// The number of output bytes.
    pub fn bytes(&self) -> usize {
        self.channels.count() * self.height as usize * self.width as usize
    }

    /// Decodes an image, resizes the part that `region` returns for (width, height), and writes it to `out`:
    /// uint8, in (height, width, channels) order.
    ///
    /// # Errors
    /// Bytes that are not an image, or a damaged image.
    pub fn fit(
        &mut self,
        encoded: &[u8],
        region: impl FnOnce((u32, u32)) -> Region,
        out: &mut [u8],
    ) -> Result<(), String> {
        self.remark = None;
        let mut header = Header::read(encoded)?;
        header.depth = self.decoding.depth;
        let region = region((header.width, header.height));
        // The largest reduction that keeps as many pixels in the region as the output needs.
        let excess = (region.width / f64::from(self.width)).min(region.height / f64::from(self.height));
        let shrink = [8, 4, 2].into_iter().find(|part| excess >= f64::from(*part)).unwrap_or(1);
        let mut decoded = header.decode(encoded, self.channels, shrink, std::mem::take(&mut self.pixels))?;
        let result = self.resize(&mut decoded, &header, region, out);
        self.remark = decoded.remark;
        self.pixels = decoded.pixels;
        result
    }

    /// Resizes a region, given in pixels of the full-size image.
    fn resize(
        &mut self,
        decoded: &mut Picture,
        header: &Header,
        region: Region,
        out: &mut [u8],
    ) -> Result<(), String> {
        let Region { left, top, width, height } = region;
        let (x, y) = (
            f64::from(decoded.width) / f64::from(header.width),
            f64::from(decoded.height) / f64::from(header.height),
        );
        let is_whole = width == f64::from(self.width) && height == f64::from(self.height);
        if is_whole && (decoded.width, decoded.height) == (self.width, self.height) {
            out.copy_from_slice(&decoded.pixels);
            return Ok(());
        }
        // Rounding errors may exceed the image slightly.
        let (left, top) = (left * x, top * y);
        let width = (width * x).min(f64::from(decoded.width) - left);
        let height = (height * y).min(f64::from(decoded.height) - top);
        let filter = match self.decoding.interpolation {
            Interpolation::Bilinear => FilterType::Bilinear,
            Interpolation::Bicubic => FilterType::CatmullRom,
        };
        let options =
            ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).crop(left, top, width, height);
        match self.channels {
            Channels::Grey => self.resize_pixels::<U8>(decoded, &options, out),
            Channels::Color => self.resize_pixels::<U8x3>(decoded, &options, out),
        }
    }

    /// Resizes pixels of one type. fast_image_resize has hundreds of functions for each type of pixel and of image: with
    /// the type known and both images of the same type, a quarter of its code is compiled.
    fn resize_pixels<P: PixelTrait>(
        &mut self,
        decoded: &mut Picture,
        options: &ResizeOptions,
        out: &mut [u8],
    ) -> Result<(), String> {
        let error = |e: &dyn std::fmt::Display| format!("the image cannot be resized ({e})");
        let from = TypedImage::<P>::from_buffer(decoded.width, decoded.height, &mut decoded.pixels)
            .map_err(|e| error(&e))?;
        let mut to = TypedImage::<P>::from_buffer(self.width, self.height, out).map_err(|e| error(&e))?;
        self.resizer.resize_typed(&from, &mut to, options).map_err(|e| error(&e))
    }
}

/// Converts pixels from (height · width, channels) to (channels, height · width) order.
pub fn to_channels_first(pixels: &[u8], channels: usize, out: &mut Vec<u8>) {
    for channel in 0..channels {
        out.extend(pixels.iter().skip(channel).step_by(channels));
    }
}
