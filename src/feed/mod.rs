//! Batches for training and for measuring, from memory or streamed.

mod finish;
mod gallery;
mod memory;
mod sampling;
mod stream;
#[cfg(test)]
mod tests;

use tch::{Device, Tensor};

pub use gallery::{Gallery, decode_all};
pub use memory::{Augmenter, InMemory, MemoryFeed};
pub use sampling::{ClassWeights, Sampling};
pub use stream::{StreamFeed, StreamHeldOut};

use rand::RngExt;

use crate::error::Result;
use crate::random::{Purpose, in_epoch, stream as random_stream};
use crate::transform::augment::Augmentation;

/// Some examples that go through the model together.
#[derive(Debug)]
pub struct Batch {
    /// Preprocessed inputs, float32 (N, shape…).
    pub inputs: Tensor,
    /// Classes, int64 (N).
    pub labels: Tensor,
    /// The other class of each input, where inputs are mixed.
    pub mixed: Option<Mixed>,
}

/// The second half of inputs that are mixed of two (mixup, CutMix).
#[derive(Debug)]
pub struct Mixed {
    /// The other class, int64 (N).
    pub labels: Tensor,
    /// How much the first class counts, float32 (N), from 0 to 1; the other one has the rest.
    pub weight: Tensor,
}

/// Batches one after the other, each made when it is asked for.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<Batch>> + 'a>;

/// One epoch's way through the training examples.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// The epoch, from 1.
    pub epoch: u32,
    /// Examples a batch; the last one may be smaller.
    pub batch_size: u32,
    /// The seed of the run.
    pub seed: u64,
    /// The batch to begin with, from 0, as if those before it had been taken.
    pub first: usize,
}

/// Where the examples come from that a model is fitted to.
pub trait TrainFeed {
    /// The examples of an epoch.
    fn rows(&self) -> usize;

    /// The batches of an epoch from `pass.first` on. They depend on nothing but `pass`.
    fn epoch(&self, pass: Pass) -> Batches<'_>;

    /// The places, among the training examples, of those in the batch `pass.first`. One that could not be read is counted
    /// as if it were there.
    fn places(&self, pass: Pass) -> Vec<usize>;

    /// The number of batches of an epoch.
    fn batches(&self, batch_size: u32) -> usize {
        self.rows().div_ceil(batch_size as usize)
    }
}

/// Where the examples come from that a model is measured on, and never fitted to.
pub trait HeldOutFeed {
    /// The number of examples.
    fn rows(&self) -> usize;

    /// Where the batches are.
    fn device(&self) -> Device;

    /// All examples in their order, as they are.
    fn in_order(&self) -> Batches<'_>;

    /// Whether the example at this place was found to be unreadable when it was its turn, and left out.
    fn is_left_out(&self, _place: usize) -> bool {
        false
    }
}

/// The part of an epoch's order that the batch `pass.first` takes.
fn places(order: &[i64], pass: Pass) -> Vec<usize> {
    let size = pass.batch_size as usize;
    order.iter().skip(pass.first * size).take(size).map(|place| *place as usize).collect()
}

/// A batch as the augmentation mixes it: the batch `number` of a pass.
fn mixed(batch: Batch, augmentation: &Augmentation, pass: Pass, number: usize) -> Batch {
    let ways = augmentation.mixing();
    if ways.is_empty() {
        return batch;
    }
    let mut generator = random_stream(pass.seed, Purpose::Mix, in_epoch(pass.epoch, number));
    ways[generator.random_range(0..ways.len())].apply(batch, &mut generator)
}
