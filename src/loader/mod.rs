//! Batches for training and for measuring, from memory or streamed.

pub mod augment;
mod finish;
mod gallery;
pub mod masking;
mod memory;
mod sampling;
pub mod sheet;
mod stream;
pub mod synthesis;
#[cfg(test)]
mod tests;
mod transfer;

use tch::{Device, Tensor};

pub use gallery::{Gallery, decode_all};
pub use memory::{Augmenter, InMemory, MemoryFeed};
pub use sampling::{ClassWeights, Sampling};
pub use stream::{StreamFeed, StreamHeldOut};

use rand::RngExt;

use crate::data::random::{Purpose, in_epoch, stream as random_stream};
use crate::distributed::share;
use crate::error::Result;
use crate::loader::augment::Augmentation;

/// Some examples that go through the model together.
#[derive(Debug)]
pub struct Batch {
    /// Preprocessed inputs, float32 (N, shape…).
    pub inputs: Tensor,
    /// Classes, int64 (N).
    pub labels: Tensor,
    /// The other class of each input, where inputs are mixed.
    pub mixed: Option<Mixed>,
    /// How much its mean loss counts in the mean over all processes, which have shares of one batch together: 1 where the
    /// shares are equal, 0 where this process has none of its own and only keeps the others company.
    pub weight: f64,
    /// Its number in the epoch, from 0.
    pub number: usize,
    /// Whether it is the last one of the epoch.
    pub is_last: bool,
    /// The place in the epoch's order behind it, where the next batch begins.
    pub end: usize,
}

impl Batch {
    /// The first batch of a single process, with more to come.
    pub fn new(inputs: Tensor, labels: Tensor) -> Self {
        Batch { inputs, labels, mixed: None, weight: 1., number: 0, is_last: false, end: 0 }
    }

    /// The same, as this slice of an epoch.
    fn of(self, slice: Slice) -> Self {
        let Slice { number, weight, is_last, end, .. } = slice;
        Batch { number, weight, is_last, end, ..self }
    }
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
    /// Examples a batch of one process; the last one may be smaller, or a little larger.
    pub batch_size: u32,
    /// The seed of the run.
    pub seed: u64,
    /// The place of the epoch's order to begin at, from 0, as if the examples before it had been taken.
    pub start: usize,
    /// Which of the processes that share every batch this is, from 0.
    pub rank: u32,
    /// How many they are.
    pub processes: u32,
}

impl Pass {
    /// A whole epoch of a single process.
    pub fn new(epoch: u32, batch_size: u32, seed: u64) -> Self {
        Pass { epoch, batch_size, seed, start: 0, rank: 0, processes: 1 }
    }

    /// Examples a batch of all processes together.
    pub fn step(&self) -> usize {
        self.batch_size as usize * self.processes as usize
    }

    /// This process's shares of the batches of an epoch of `rows` examples.
    ///
    /// What is left at the end of the epoch is a batch of its own, unless a process would have less than two examples of it:
    /// then it belongs to the batch before, because batch normalisation can make nothing of a single value.
    fn slices(self, rows: usize) -> impl ExactSizeIterator<Item = Slice> + use<> {
        let left = rows.saturating_sub(self.start);
        let (whole, rest) = (left / self.step(), left % self.step());
        let is_merged = whole > 0 && self.batch_size > 1 && rest < 2 * self.processes as usize;
        let count = if is_merged { whole } else { left.div_ceil(self.step()) };
        (0..count).map(move |index| {
            let start = self.start + index * self.step();
            let end = if index + 1 == count { rows } else { start + self.step() };
            self.slice(start, end - start, rows)
        })
    }

    /// The fewest examples that a process has of any batch of an epoch of `rows` examples.
    pub fn smallest_share(&self, rows: usize) -> usize {
        let shares = |rank| Pass { rank, ..*self }.slices(rows).map(|slice| slice.length);
        (0..self.processes).flat_map(shares).min().unwrap_or(0)
    }

    /// This process's share of the `length` examples from `start` on.
    fn slice(&self, start: usize, length: usize, rows: usize) -> Slice {
        let end = start + length;
        let (number, is_last) = (start / self.step(), end == rows);
        let (offset, own) = share(length, self.rank, self.processes);
        if own == 0 {
            // All take part in every step, and the model needs an example for it.
            return Slice { start, length: 1, number, weight: 0., is_last, end };
        }
        let weight = own as f64 * f64::from(self.processes) / length as f64;
        Slice { start: start + offset, length: own, number, weight, is_last, end }
    }
}

/// A process's share of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Slice {
    /// Where it begins in the epoch's order.
    start: usize,
    /// Its examples.
    length: usize,
    /// The number of the batch.
    number: usize,
    weight: f64,
    is_last: bool,
    /// The place behind all shares of the batch.
    end: usize,
}

/// Where the examples come from that a model is fitted to.
pub trait TrainFeed {
    /// The examples of an epoch.
    fn rows(&self) -> usize;

    /// The batches of an epoch from `pass.start` on. They depend on nothing but `pass`.
    fn epoch(&self, pass: Pass) -> Batches<'_>;

    /// The places, among the training examples, of those in the batch at `pass.start`. One that could not be read is
    /// counted as if it were there.
    fn places(&self, pass: Pass) -> Vec<usize>;

    /// The number of batches of an epoch from `pass.start` on.
    fn batches(&self, pass: Pass) -> usize {
        pass.slices(self.rows()).len()
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

    /// The places of the examples that were not left out.
    fn kept(&self) -> Vec<usize> {
        (0..self.rows()).filter(|place| !self.is_left_out(*place)).collect()
    }
}

/// The part of an epoch's order that this process takes for the batch at `pass.start`.
fn places(order: &[i64], pass: Pass) -> Vec<usize> {
    let Some(slice) = pass.slices(order.len()).next() else { return Vec::new() };
    order[slice.start..slice.start + slice.length].iter().map(|place| *place as usize).collect()
}

/// A batch as the augmentation mixes it.
fn mixed(batch: Batch, augmentation: &Augmentation, pass: Pass) -> Batch {
    let ways = augmentation.mixing();
    if ways.is_empty() {
        return batch;
    }
    let mut generator = random_stream(pass.seed, Purpose::Mix, in_epoch(pass.epoch, batch.number));
    ways[generator.random_range(0..ways.len())].apply(batch, &mut generator)
}
