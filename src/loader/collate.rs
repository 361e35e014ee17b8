//! Builds batch inputs from decoded images.

use std::sync::{Arc, Mutex};

use cresset_bridge::memory::sole_floats;
use tch::{Device, Kind, Tensor};

use super::gallery::{Decoder, EncodedExamples};
use crate::model::preprocessing::Preprocessing;

/// A decoded image, to be copied into a batch.
pub(crate) enum DecodedImage {
    /// Bytes, (height, width, channels), preprocessed on the device: a quarter of the transfer size of floats.
    Bytes(Vec<u8>),
    /// The model's input, (channels, height, width).
    Floats(Vec<f32>),
}

/// A pool of image buffers. Buffers copied into a batch go back to the decoding threads: allocating memory for each image
/// would cost more than preprocessing it, because of the page faults.
pub(crate) type BufferPool = Arc<Mutex<Vec<Vec<f32>>>>;

/// The last step of a decoding thread. For a model on the CPU, it preprocesses each image while it is in the cache.
pub(crate) struct Converter {
    /// Channels of an image.
    pub channels: usize,
    /// Lookup tables from byte to input, one per channel.
    tables: Option<Vec<[f32; 256]>>,
    pool: BufferPool,
}

impl Converter {
    /// For images of a gallery and a model on `device`. Without preprocessing, images stay raw.
    pub fn new(
        gallery: &EncodedExamples,
        preprocessing: Option<&Preprocessing>,
        device: Device,
        pool: &BufferPool,
    ) -> Self {
        let channels = gallery.channel_count();
        let tables = preprocessing.filter(|_| device == Device::Cpu).and_then(|own| tables(own, channels));
        Converter { channels, tables, pool: Arc::clone(pool) }
    }

    /// Converts pixels that came from `decoder`.
    pub fn apply(&self, pixels: Vec<u8>, decoder: &mut Decoder) -> DecodedImage {
        let Some(tables) = &self.tables else { return DecodedImage::Bytes(pixels) };
        let buffer = self.pool.lock().expect("no thread panics while it holds the lock").pop();
        let mut values = buffer.unwrap_or_default();
        values.resize(pixels.len(), 0.);
        let size = pixels.len() / self.channels;
        match &tables[..] {
            [red, green, blue] => {
                let (reds, rest) = values.split_at_mut(size);
                let (greens, blues) = rest.split_at_mut(size);
                let pixels = pixels.as_chunks::<3>().0.iter();
                for (((pixel, r), g), b) in pixels.zip(reds).zip(greens).zip(blues) {
                    *r = red[usize::from(pixel[0])];
                    *g = green[usize::from(pixel[1])];
                    *b = blue[usize::from(pixel[2])];
                }
            }
            [gray, ..] => {
                values.iter_mut().zip(&pixels).for_each(|(value, byte)| *value = gray[usize::from(*byte)]);
            }
            [] => unreachable!("an image has channels"),
        }
        decoder.give_back(pixels);
        DecodedImage::Floats(values)
    }
}

/// The preprocessed value of each byte in each channel, computed with the same arithmetic as on the device, so that batches
/// are bit-equal. None if preprocessing depends on more than the channel.
fn tables(preprocessing: &Preprocessing, channels: usize) -> Option<Vec<[f32; 256]>> {
    let is_by_channel = |values: &[f32]| values.len() == 1 || values.len() == channels;
    let Preprocessing { offset, scale, fill, quantiles, .. } = preprocessing;
    if fill.is_some() || quantiles.is_some() || !is_by_channel(offset) || !is_by_channel(scale) {
        return None;
    }
    let of = |values: &[f32], channel: usize| values[channel.min(values.len() - 1)];
    let table =
        |channel: usize| std::array::from_fn(|byte| (byte as f32 - of(offset, channel)) / of(scale, channel));
    Some((0..channels).map(table).collect())
}

/// Collates images into batches.
pub(crate) struct Collator {
    sizes: [i64; 3],
    most: usize,
    bytes: Vec<u8>,
    /// Tensors for batches of floats, reused once no other reference to them exists.
    tensors: Vec<Tensor>,
    pool: BufferPool,
}

/// The inputs of a batch, (N, channels, height, width), from a gathered tensor on its device: preprocessed float32, or bytes
/// without preprocessing.
pub fn inputs(gathered: Tensor, preprocessing: Option<&Preprocessing>) -> Tensor {
    if gathered.kind() == Kind::Float {
        return gathered;
    }
    let raw = gathered.permute([0, 3, 1, 2]);
    preprocessing.map_or_else(|| raw.contiguous(), |own| own.apply(&raw))
}

/// Tensors to keep: one in use for training, one being filled.
const KEPT: usize = 2;

impl Collator {
    /// For batches of up to `most` images of a gallery.
    pub fn new(gallery: &EncodedExamples, most: usize, pool: BufferPool) -> Self {
        let sizes = [gallery.height.into(), gallery.width.into(), gallery.channel_count() as i64];
        Collator { sizes, most, bytes: Vec::new(), tensors: Vec::new(), pool }
    }

    /// Stacks the images of a batch on the CPU: preprocessed float32 (N, channels, height, width), or bytes (N, height,
    /// width, channels). All images must be of the same variant.
    pub(crate) fn collate(&mut self, images: Vec<DecodedImage>) -> Tensor {
        let [height, width, channels] = self.sizes;
        if matches!(images[..], [DecodedImage::Floats(_), ..]) {
            return self.floats(images);
        }
        self.bytes.clear();
        for image in &images {
            let DecodedImage::Bytes(bytes) = image else {
                unreachable!("all images are of the same variant")
            };
            self.bytes.extend_from_slice(bytes);
        }
        Tensor::from_slice(&self.bytes).view([-1, height, width, channels])
    }

    fn floats(&mut self, images: Vec<DecodedImage>) -> Tensor {
        let [height, width, channels] = self.sizes;
        let free = self.tensors.iter_mut().position(|tensor| sole_floats(tensor).is_some());
        let mut tensor = free.map(|free| self.tensors.swap_remove(free)).unwrap_or_else(|| {
            Tensor::empty([self.most as i64, channels, height, width], (Kind::Float, Device::Cpu))
        });
        let count = images.len() as i64;
        let memory = sole_floats(&mut tensor).expect("the tensor is free or new");
        let mut buffers = Vec::with_capacity(images.len());
        for (image, place) in
            images.into_iter().zip(memory.chunks_exact_mut((channels * height * width) as usize))
        {
            let DecodedImage::Floats(values) = image else {
                unreachable!("all images are of the same variant")
            };
            place.copy_from_slice(&values);
            buffers.push(values);
        }
        self.pool.lock().expect("no thread panics while it holds the lock").extend(buffers);
        if self.tensors.len() < KEPT {
            self.tensors.push(tensor.shallow_clone());
        }
        if count < self.most as i64 { tensor.narrow(0, 0, count) } else { tensor }
    }
}
