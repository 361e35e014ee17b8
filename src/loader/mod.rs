//! Batches for training and evaluation, from memory or streamed from disk.

pub mod augment;
mod buckets;
pub(crate) mod choices;
mod collate;
mod gallery;
pub mod masking;
mod memory;
mod sampling;
pub mod sheet;
mod stored;
mod stream;
pub mod synthesis;
#[cfg(test)]
mod tests;
mod transfer;

use tch::{Device, Tensor};

pub use buckets::LengthBuckets;
pub use choices::RankingSet;
pub use gallery::{EncodedExamples, decode_all};
pub use memory::{Augmenter, MemoryExamples, MemoryLoader};
pub use sampling::{ClassWeights, Sampling};
pub use stored::{StoredEvaluationLoader, StoredExamples, StoredLoader};
pub use stream::{StreamEvaluationLoader, StreamLoader};

use rand::RngExt;

use crate::data::random::{Purpose, epoch_stream, stream as random_stream};
use crate::distributed::share;
use crate::error::Result;
use crate::loader::augment::Augmentation;

/// A batch of examples.
///
/// ```
/// use cresset::loader::Batch;
/// use tch::{Device, Kind, Tensor};
///
/// let inputs = Tensor::zeros([2, 1, 8, 8], (Kind::Float, Device::Cpu));
/// let batch = Batch::new(inputs, Tensor::from_slice(&[3i64, 7]));
/// assert_eq!(batch.labels.size(), [2]);
/// assert!(batch.mixed.is_none() && !batch.is_last);
/// ```
#[derive(Debug)]
pub struct Batch {
    /// Preprocessed inputs, float32 (N, shape…).
    pub inputs: Tensor,
    /// Classes, int64 (N).
    pub labels: Tensor,
    /// The second label of each input, if inputs are mixed (mixup, CutMix).
    pub mixed: Option<Mixed>,
    /// The fold of each example of a bag, int64 (N): the member that is not trained on it.
    pub folds: Option<Tensor>,
    /// What a teacher says about the examples, if it was asked before training.
    pub taught: Option<Taught>,
    /// Weight of its mean loss in the mean over all ranks, which share one global batch: 1 if the shares are equal, 0 if
    /// this rank has no example and only takes part in the collectives.
    pub weight: f64,
    /// Index in the epoch, from 0.
    pub number: usize,
    /// Whether it is the last batch of the epoch.
    pub is_last: bool,
    /// Position in the epoch's order at which the next batch starts.
    pub end: usize,
}

impl Batch {
    /// The first batch of an epoch in a single process, not the last.
    pub fn new(inputs: Tensor, labels: Tensor) -> Self {
        Batch {
            inputs,
            labels,
            mixed: None,
            folds: None,
            taught: None,
            weight: 1.,
            number: 0,
            is_last: false,
            end: 0,
        }
    }

    /// The batch with the index, weight and position of `slice`.
    fn with_slice(self, slice: BatchSlice) -> Self {
        let BatchSlice { number, weight, is_last, end, .. } = slice;
        Batch { number, weight, is_last, end, ..self }
    }
}

/// Labels of the second inputs of a mixed batch (mixup, CutMix).
///
/// ```
/// use cresset::loader::{Batch, Mixed};
/// use tch::Tensor;
///
/// // A batch of mixup: 0.7 of the first image, 0.3 of the second one.
/// let batch = Batch::new(Tensor::from_slice2(&[[0.3f32, 0.7]]), Tensor::from_slice(&[0i64]));
/// let mixed = Mixed { labels: Tensor::from_slice(&[1i64]), weight: Tensor::from_slice(&[0.7f32]) };
/// let batch = Batch { mixed: Some(mixed), ..batch };
/// assert!(batch.mixed.is_some());
/// ```
#[derive(Debug)]
pub struct Mixed {
    /// Class of the second input, int64 (N).
    pub labels: Tensor,
    /// Weight of the first class, float32 (N), from 0 to 1. The second class has the rest.
    pub weight: Tensor,
}

/// What a teacher that was asked before training says about the examples of a batch.
///
/// ```
/// use cresset::loader::{Batch, Taught};
/// use tch::Tensor;
///
/// // The second text has no label.
/// let batch = Batch::new(Tensor::from_slice2(&[[5f32], [7.]]), Tensor::from_slice(&[0i64, -1]));
/// let logits = Tensor::from_slice2(&[[2f32, 0.], [0., 3.]]);
/// let taught = Taught { logits, labelled: Some(Tensor::from_slice(&[0i64])) };
/// assert!(Batch { taught: Some(taught), ..batch }.taught.is_some());
/// ```
#[derive(Debug)]
pub struct Taught {
    /// The logits of the teacher, float32 (N, classes).
    pub logits: Tensor,
    /// The places in the batch of the examples with labels, int64; none if all have labels. The label of the others is -1.
    pub labelled: Option<Tensor>,
}

/// A lazy iterator over batches.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<Batch>> + 'a>;

/// One pass over the training examples.
///
/// ```
/// use cresset::loader::Pass;
///
/// let pass = Pass::new(1, 32, 0);
/// assert_eq!(pass.step(), 32);
/// // Two processes with 32 examples each take steps of 64 examples.
/// assert_eq!(Pass { processes: 2, ..pass }.step(), 64);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// The epoch, from 1.
    pub epoch: u32,
    /// Batch size of one rank. The last batch may be smaller or slightly larger.
    pub batch_size: u32,
    /// The seed of the run.
    pub seed: u64,
    /// Position in the epoch's order to start at, from 0. Examples before it are skipped.
    pub start: usize,
    /// Rank of this process, from 0.
    pub rank: u32,
    /// World size: the number of processes that share every batch.
    pub processes: u32,
}

impl Pass {
    /// A whole epoch in a single process.
    pub fn new(epoch: u32, batch_size: u32, seed: u64) -> Self {
        Pass { epoch, batch_size, seed, start: 0, rank: 0, processes: 1 }
    }

    /// Global batch size, over all ranks.
    pub fn step(&self) -> usize {
        self.batch_size as usize * self.processes as usize
    }

    /// This rank's slices of the batches of an epoch of `rows` examples.
    ///
    /// The remainder of the epoch is one more batch, unless a rank would get fewer than two examples of it: then it is merged
    /// into the batch before, because batch normalization cannot train on a single value.
    fn slices(self, rows: usize) -> impl ExactSizeIterator<Item = BatchSlice> + use<> {
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

    /// The smallest number of examples that a rank gets of any batch, in an epoch of `rows` examples.
    pub(crate) fn smallest_local_batch(&self, rows: usize) -> usize {
        let shares = |rank| Pass { rank, ..*self }.slices(rows).map(|slice| slice.length);
        (0..self.processes).flat_map(shares).min().unwrap_or(0)
    }

    /// This rank's slice of the batch of `length` examples at `start`.
    fn slice(&self, start: usize, length: usize, rows: usize) -> BatchSlice {
        let end = start + length;
        let (number, is_last) = (start / self.step(), end == rows);
        let (offset, own) = share(length, self.rank, self.processes);
        if own == 0 {
            // Every rank takes part in every step, and the model needs at least one example.
            return BatchSlice { start, length: 1, number, weight: 0., is_last, end };
        }
        let weight = own as f64 * f64::from(self.processes) / length as f64;
        BatchSlice { start: start + offset, length: own, number, weight, is_last, end }
    }
}

/// The part of a batch that one rank takes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct BatchSlice {
    /// Start in the epoch's order.
    start: usize,
    /// Number of examples.
    length: usize,
    /// Index of the batch.
    number: usize,
    weight: f64,
    is_last: bool,
    /// End of the global batch in the epoch's order.
    end: usize,
}

/// A source of training batches.
///
/// ```
/// use cresset::loader::{MemoryExamples, MemoryLoader, Pass, Sampling, TrainLoader};
/// use cresset::model::preprocessing::TensorDataset;
/// use tch::{Device, Kind, Tensor};
///
/// let inputs = Tensor::zeros([10, 4], (Kind::Float, Device::Cpu));
/// let labels = Tensor::from_slice(&[0i64, 1]).repeat([5]);
/// let examples = MemoryExamples::ready(TensorDataset { inputs, labels });
/// let loader = MemoryLoader::new(examples, Sampling::Shuffled, None);
///
/// let mut sizes = Vec::new();
/// for batch in loader.epoch(Pass::new(1, 4, 0)) {
///     sizes.push(batch?.inputs.size()[0]);
/// }
/// assert_eq!((loader.rows(), sizes), (10, vec![4, 4, 2]));
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub trait TrainLoader {
    /// The number of examples of an epoch.
    fn rows(&self) -> usize;

    /// The batches of an epoch from `pass.start`. They depend only on `pass`.
    fn epoch(&self, pass: Pass) -> Batches<'_>;

    /// Indexes, in the training set, of the examples in the batch at `pass.start`, unreadable ones included.
    fn indexes(&self, pass: Pass) -> Vec<usize>;

    /// The number of batches of an epoch from `pass.start`.
    fn batches(&self, pass: Pass) -> usize {
        pass.slices(self.rows()).len()
    }
}

/// A source of batches for evaluation.
///
/// ```
/// use cresset::loader::{EvaluationLoader, MemoryExamples};
/// use cresset::model::preprocessing::TensorDataset;
/// use tch::{Device, Kind, Tensor};
///
/// let inputs = Tensor::zeros([3, 4], (Kind::Float, Device::Cpu));
/// let examples = MemoryExamples::ready(TensorDataset { inputs, labels: Tensor::from_slice(&[0i64, 1, 0]) });
/// let batch = examples.in_order().next().unwrap()?;
/// assert_eq!(batch.labels, Tensor::from_slice(&[0i64, 1, 0]));
/// assert_eq!(examples.kept(), [0, 1, 2]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub trait EvaluationLoader {
    /// The number of examples.
    fn rows(&self) -> usize;

    /// The device of the batches.
    fn device(&self) -> Device;

    /// All examples in order, without augmentation.
    fn in_order(&self) -> Batches<'_>;

    /// The choices of users, if the examples are choices, which are evaluated by ranking all items.
    fn ranking(&self) -> Option<&RankingSet> {
        None
    }

    /// Whether the batches have the folds of a bag ([`Batch::folds`]).
    fn is_in_folds(&self) -> bool {
        false
    }

    /// Whether the example at this index was skipped because it could not be read.
    fn is_unreadable(&self, _index: usize) -> bool {
        false
    }

    /// The indexes of the examples that were not skipped.
    fn kept(&self) -> Vec<usize> {
        (0..self.rows()).filter(|index| !self.is_unreadable(*index)).collect()
    }
}

/// The examples that this rank takes for the batch at `pass.start`.
fn batch_indexes(order: &[i64], pass: Pass) -> Vec<usize> {
    let Some(slice) = pass.slices(order.len()).next() else { return Vec::new() };
    order[slice.start..slice.start + slice.length].iter().map(|index| *index as usize).collect()
}

/// Applies one of the mixing augmentations, chosen at random for each batch.
fn mix(batch: Batch, augmentation: &Augmentation, pass: Pass) -> Batch {
    let choices = augmentation.mixing();
    if choices.is_empty() {
        return batch;
    }
    let mut generator = random_stream(pass.seed, Purpose::Mix, epoch_stream(pass.epoch, batch.number));
    choices[generator.random_range(0..choices.len())].apply(batch, &mut generator)
}
