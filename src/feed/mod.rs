//! Batches for training and for measuring, from memory or streamed.

mod memory;
mod sampling;

use tch::{Device, Tensor};

pub use memory::{InMemory, MemoryFeed};
pub use sampling::{ClassWeights, Sampling};

use crate::error::Result;

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
}
