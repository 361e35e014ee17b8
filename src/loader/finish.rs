//! Decoded pictures to the inputs of a batch.

use std::sync::{Arc, Mutex};

use cresset_bridge::memory::sole_floats;
use tch::{Device, Kind, Tensor};

use super::gallery::{Decoder, Gallery};
use crate::model::preprocessing::Preprocessing;

/// A picture that is ready for a batch.
pub enum Finished {
    /// Bytes, (height, width, channels), for a device that preprocesses them: a quarter of what floats would take on the
    /// way to it.
    Bytes(Vec<u8>),
    /// The model's input, (channels, height, width).
    Floats(Vec<f32>),
}

/// Buffers of pictures on their way: what a batch has taken up goes back to the decoding threads. Fresh memory for each
/// picture would cost more than what is computed in it, because the system hands it out page by page.
pub type Spares = Arc<Mutex<Vec<Vec<f32>>>>;

/// What a decoding thread does last. For a model on the CPU it preprocesses each picture while it is in the cache.
pub struct Finish {
    /// The number of values of a pixel.
    pub channels: usize,
    /// The input for each byte of each channel, where that is to be looked up.
    tables: Option<Vec<[f32; 256]>>,
    spares: Spares,
}

impl Finish {
    /// For pictures of a gallery on their way to `device`, raw where no preprocessing is given.
    pub fn new(
        gallery: &Gallery,
        preprocessing: Option<&Preprocessing>,
        device: Device,
        spares: &Spares,
    ) -> Self {
        let channels = gallery.channel_count();
        let tables = preprocessing.filter(|_| device == Device::Cpu).and_then(|own| tables(own, channels));
        Finish { channels, tables, spares: Arc::clone(spares) }
    }

    /// The picture as its batch takes it, from pixels that came from `decoder`.
    pub fn apply(&self, pixels: Vec<u8>, decoder: &mut Decoder) -> Finished {
        let Some(tables) = &self.tables else { return Finished::Bytes(pixels) };
        let spare = self.spares.lock().expect("no thread panics while it holds the lock").pop();
        let mut values = spare.unwrap_or_default();
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
            [grey, ..] => {
                values.iter_mut().zip(&pixels).for_each(|(value, byte)| *value = grey[usize::from(*byte)]);
            }
            [] => unreachable!("a picture has channels"),
        }
        decoder.give_back(pixels);
        Finished::Floats(values)
    }
}

/// What the preprocessing makes of each byte in each channel, by the same arithmetic, so that a batch has the same bits
/// wherever it is preprocessed. None if that depends on more than the channel.
fn tables(preprocessing: &Preprocessing, channels: usize) -> Option<Vec<[f32; 256]>> {
    let is_by_channel = |values: &[f32]| values.len() == 1 || values.len() == channels;
    let Preprocessing { offset, scale, fill, .. } = preprocessing;
    if fill.is_some() || !is_by_channel(offset) || !is_by_channel(scale) {
        return None;
    }
    let of = |values: &[f32], channel: usize| values[channel.min(values.len() - 1)];
    let table =
        |channel: usize| std::array::from_fn(|byte| (byte as f32 - of(offset, channel)) / of(scale, channel));
    Some((0..channels).map(table).collect())
}

/// Puts the pictures of batches together.
pub struct Gathered {
    sizes: [i64; 3],
    most: usize,
    bytes: Vec<u8>,
    /// Tensors for batches of floats, used again when nobody holds them any more.
    tensors: Vec<Tensor>,
    spares: Spares,
}

/// The inputs of a batch, (N, channels, height, width), from what was gathered and has arrived on its device: preprocessed
/// float32, or bytes where no preprocessing is given.
pub fn inputs(gathered: Tensor, preprocessing: Option<&Preprocessing>) -> Tensor {
    if gathered.kind() == Kind::Float {
        return gathered;
    }
    let raw = gathered.permute([0, 3, 1, 2]);
    preprocessing.map_or_else(|| raw.contiguous(), |own| own.apply(&raw))
}

/// The tensors that are kept: one that is trained on, one that is filled.
const KEPT: usize = 2;

impl Gathered {
    /// For batches of at most so many pictures of a gallery.
    pub fn new(gallery: &Gallery, most: usize, spares: Spares) -> Self {
        let sizes = [gallery.height.into(), gallery.width.into(), gallery.channel_count() as i64];
        Gathered { sizes, most, bytes: Vec::new(), tensors: Vec::new(), spares }
    }

    /// The pictures of a batch together, on the CPU: preprocessed float32 (N, channels, height, width), or bytes (N, height,
    /// width, channels). All pictures are of one kind.
    pub fn gather(&mut self, pictures: Vec<Finished>) -> Tensor {
        let [height, width, channels] = self.sizes;
        if matches!(pictures[..], [Finished::Floats(_), ..]) {
            return self.floats(pictures);
        }
        self.bytes.clear();
        for picture in &pictures {
            let Finished::Bytes(bytes) = picture else { unreachable!("all pictures are of one kind") };
            self.bytes.extend_from_slice(bytes);
        }
        Tensor::from_slice(&self.bytes).view([-1, height, width, channels])
    }

    fn floats(&mut self, pictures: Vec<Finished>) -> Tensor {
        let [height, width, channels] = self.sizes;
        let free = self.tensors.iter_mut().position(|tensor| sole_floats(tensor).is_some());
        let mut tensor = free.map(|free| self.tensors.swap_remove(free)).unwrap_or_else(|| {
            Tensor::empty([self.most as i64, channels, height, width], (Kind::Float, Device::Cpu))
        });
        let count = pictures.len() as i64;
        let memory = sole_floats(&mut tensor).expect("the tensor is free or new");
        let mut spares = Vec::with_capacity(pictures.len());
        for (picture, place) in
            pictures.into_iter().zip(memory.chunks_exact_mut((channels * height * width) as usize))
        {
            let Finished::Floats(values) = picture else { unreachable!("all pictures are of one kind") };
            place.copy_from_slice(&values);
            spares.push(values);
        }
        self.spares.lock().expect("no thread panics while it holds the lock").extend(spares);
        if self.tensors.len() < KEPT {
            self.tensors.push(tensor.shallow_clone());
        }
        if count < self.most as i64 { tensor.narrow(0, 0, count) } else { tensor }
    }
}
