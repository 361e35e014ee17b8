//! Examples in memory, as one tensor on the device.

use tch::{Device, Kind, Tensor};

use super::{
    Batch, BatchSlice, Batches, EvaluationLoader, LengthBuckets, Pass, Sampling, Taught, TrainLoader,
    batch_indexes, mix,
};
use crate::data::random::{Purpose, epoch_stream, stream};
use crate::data::{InputShape, ValueRange};
use crate::loader::augment::Augmentation;
use crate::loader::masking::CategoryMasking;
use crate::model::preprocessing::Preprocessing;
use crate::model::preprocessing::TensorDataset;

/// Examples in memory, and their preprocessing if it is done per batch.
///
/// ```
/// use cresset::loader::{EvaluationLoader, MemoryExamples};
/// use cresset::model::preprocessing::TensorDataset;
/// use tch::{Device, Kind, Tensor};
///
/// let inputs = Tensor::zeros([3, 4], (Kind::Float, Device::Cpu));
/// let examples = MemoryExamples::ready(TensorDataset { inputs, labels: Tensor::from_slice(&[0i64, 1, 0]) });
/// assert_eq!(examples.rows(), 3);
/// ```
#[derive(Debug)]
pub struct MemoryExamples {
    part: TensorDataset,
    pending: Option<Preprocessing>,
    /// The fold of each example of a bag.
    folds: Option<Tensor>,
    /// The logits of a teacher for each example, float32 (N, classes).
    taught: Option<Tensor>,
}

/// Batch size of evaluation: large enough to keep the cores busy, small enough for memory.
const EVALUATION_BATCH: i64 = 1024;

/// Tokens of a batch of evaluation: a transformer has vectors of all of them at once, in several copies.
const EVALUATION_TOKENS: i64 = 1 << 15;

/// Batch size of evaluation for texts of at most so many tokens.
pub(super) fn evaluation_batch_of_texts(tokens: i64) -> i64 {
    (EVALUATION_TOKENS / tokens.max(1)).clamp(1, EVALUATION_BATCH)
}

impl MemoryExamples {
    /// Preprocessed examples.
    pub fn ready(part: TensorDataset) -> Self {
        MemoryExamples { part, pending: None, folds: None, taught: None }
    }

    /// Raw examples. Floats are preprocessed once, here; bytes are preprocessed per batch, which takes a quarter of the memory, and so
    /// are token ids.
    pub fn raw(part: TensorDataset, preprocessing: &Preprocessing) -> Self {
        // The padding that all texts of a batch have is left out.
        if part.inputs.kind() == Kind::Uint8 || preprocessing.kind.is_tokens() {
            return MemoryExamples::raw_per_batch(part, preprocessing);
        }
        let TensorDataset { inputs, labels } = part;
        MemoryExamples::ready(TensorDataset { inputs: preprocessed(inputs, preprocessing), labels })
    }

    /// Raw examples that are preprocessed per batch, after augmentation.
    pub(crate) fn raw_per_batch(part: TensorDataset, preprocessing: &Preprocessing) -> Self {
        MemoryExamples { pending: Some(preprocessing.clone()), ..MemoryExamples::ready(part) }
    }

    /// Sets the fold of each example of a bag, from 0.
    pub(crate) fn in_folds(self, folds: Option<Vec<i64>>) -> Self {
        let folds = folds.map(|folds| Tensor::from_slice(&folds).to_device(self.device()));
        MemoryExamples { folds, ..self }
    }

    /// Sets the logits of a teacher for each example, (N, classes). Examples without a label have the label -1.
    pub(crate) fn taught(self, logits: Option<Tensor>) -> Self {
        MemoryExamples { taught: logits, ..self }
    }

    /// The number of examples of a batch of evaluation.
    fn evaluation_batch(&self) -> i64 {
        match &self.pending {
            Some(preprocessing) if preprocessing.kind.is_tokens() => {
                evaluation_batch_of_texts(preprocessing.shape.features())
            }
            _ => EVALUATION_BATCH,
        }
    }

    fn batch(&self, inputs: Tensor, labels: Tensor) -> Batch {
        match &self.pending {
            Some(preprocessing) => Batch::new(preprocessing.apply(&inputs), labels),
            None => Batch::new(inputs, labels),
        }
    }
}

impl EvaluationLoader for MemoryExamples {
    fn rows(&self) -> usize {
        self.part.rows()
    }

    fn device(&self) -> Device {
        self.part.labels.device()
    }

    fn is_in_folds(&self) -> bool {
        self.folds.is_some()
    }

    fn in_order(&self) -> Batches<'_> {
        let rows = self.part.rows() as i64;
        let TensorDataset { inputs, labels } = &self.part;
        let at_once = self.evaluation_batch();
        Box::new((0..rows).step_by(at_once as usize).map(move |start| {
            let length = at_once.min(rows - start);
            let folds = self.folds.as_ref().map(|folds| folds.narrow(0, start, length));
            let batch = self.batch(inputs.narrow(0, start, length), labels.narrow(0, start, length));
            Ok(Batch { folds, ..batch })
        }))
    }
}

/// Preprocesses raw values, float32 (N, features): in place and in chunks if the number of values stays the same.
fn preprocessed(raw: Tensor, preprocessing: &Preprocessing) -> Tensor {
    let rows = raw.size()[0];
    let first = preprocessing.apply(&raw.narrow(0, 0, rows.min(1)));
    let is_in_place = rows > 0
        && raw.is_contiguous()
        && first.kind() == raw.kind()
        && first.numel() as i64 * rows == raw.numel() as i64;
    if !is_in_place {
        return preprocessing.apply(&raw);
    }
    let at_once = (AT_ONCE / raw.size()[1].max(1)).max(1);
    for start in (0..rows).step_by(at_once as usize) {
        let mut part = raw.narrow(0, start, at_once.min(rows - start));
        let done = preprocessing.apply(&part);
        part.copy_(&done.view_as(&part));
    }
    let sizes = [&[rows], &first.size()[1..]].concat();
    raw.view(sizes.as_slice())
}

/// Values per chunk of preprocessing and of gathering.
const AT_ONCE: i64 = 1 << 20;

/// Augments raw images in memory, per batch.
///
/// ```
/// use cresset::data::ValueRange;
/// use cresset::loader::{Augmenter, MemoryExamples, MemoryLoader, Pass, Sampling, TrainLoader};
/// use cresset::model::preprocessing::TensorDataset;
/// use cresset::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// let inputs = Tensor::rand([6, 1, 8, 8], (Kind::Float, Device::Cpu));
/// let labels = Tensor::from_slice(&[0i64, 1]).repeat([3]);
/// let examples = MemoryExamples::ready(TensorDataset { inputs, labels });
/// let augmenter = Augmenter {
///     augmentation: "flip,crop=1".parse().unwrap(),
///     shape: InputShape(vec![1, 8, 8]),
///     range: ValueRange { min: 0., max: 1. },
/// };
/// let loader = MemoryLoader::new(examples, Sampling::Shuffled, Some(augmenter));
/// let batch = loader.epoch(Pass::new(1, 6, 0)).next().unwrap()?;
/// assert_eq!(batch.inputs.size(), [6, 1, 8, 8]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Augmenter {
    /// The augmentation.
    pub augmentation: Augmentation,
    /// The shape of an image.
    pub shape: InputShape,
    /// The values of black and white.
    pub range: ValueRange,
}

impl Augmenter {
    /// Augments raw images (N, features) that start at position `first` of an epoch.
    fn apply(&self, raw: &Tensor, pass: Pass, first: usize) -> Tensor {
        let rows = raw.size()[0];
        let sizes: Vec<i64> = std::iter::once(rows).chain(self.shape.0.iter().copied()).collect();
        let generator = |row| stream(pass.seed, Purpose::Augment, epoch_stream(pass.epoch, first + row));
        let mut generators: Vec<_> = (0..rows as usize).map(generator).collect();
        self.augmentation.apply_raw(&raw.view(sizes.as_slice()), self.range, &mut generators)
    }
}

/// Training examples in memory.
///
/// ```
/// use cresset::loader::{MemoryExamples, MemoryLoader, Pass, Sampling, TrainLoader};
/// use cresset::model::preprocessing::TensorDataset;
/// use tch::{Device, Kind, Tensor};
///
/// let inputs = Tensor::zeros([10, 4], (Kind::Float, Device::Cpu));
/// let labels = Tensor::from_slice(&[0i64, 1]).repeat([5]);
/// let examples = MemoryExamples::ready(TensorDataset { inputs, labels });
/// let loader = MemoryLoader::new(examples, Sampling::Balanced, None);
/// assert_eq!(loader.batches(Pass::new(1, 4, 0)), 3);
/// ```
#[derive(Debug)]
pub struct MemoryLoader {
    examples: MemoryExamples,
    labels: Vec<i64>,
    sampling: Sampling,
    augmenter: Option<Augmenter>,
    masking: Option<CategoryMasking>,
    buckets: Option<LengthBuckets>,
}

impl MemoryLoader {
    /// Feeds the examples in the order of `sampling`.
    pub fn new(examples: MemoryExamples, sampling: Sampling, augmenter: Option<Augmenter>) -> Self {
        let labels = match examples.part.labels.dim() {
            1 => Vec::<i64>::try_from(&examples.part.labels).expect("classes are int64 (N)"),
            // Without classes, there is nothing to balance.
            _ => vec![0; examples.part.rows()],
        };
        MemoryLoader { examples, labels, sampling, augmenter, masking: None, buckets: None }
    }

    /// Sets the masking of categories.
    pub fn masked(self, masking: Option<CategoryMasking>) -> Self {
        MemoryLoader { masking, ..self }
    }

    /// Sets whether batches of token ids have texts of similar length.
    pub fn in_buckets(self, are_used: bool) -> Self {
        let buckets = are_used.then(|| LengthBuckets::of(&self.examples.part.inputs));
        MemoryLoader { buckets, ..self }
    }

    /// The order of the examples in an epoch.
    fn order(&self, pass: Pass) -> Vec<i64> {
        let order = self.sampling.order(&self.labels, pass.seed, pass.epoch);
        match &self.buckets {
            Some(buckets) => buckets.arrange(order, pass),
            None => order,
        }
    }

    /// The places of the examples with labels among these; none if all examples of the epoch have one.
    fn labelled(&self, rows: &[i64]) -> Option<Tensor> {
        let has_label = |row: &i64| self.labels[*row as usize] >= 0;
        if self.labels.iter().all(|label| *label >= 0) {
            return None;
        }
        let places: Vec<i64> =
            (0..).zip(rows).filter(|(_, row)| has_label(row)).map(|(place, _)| place).collect();
        Some(Tensor::from_slice(&places).to_device(self.examples.device()))
    }

    /// The batch of a slice. `inputs` are raw if there is an augmentation.
    fn batch(&self, inputs: Tensor, labels: Tensor, pass: Pass, slice: BatchSlice) -> Batch {
        if let Some(masking) = &self.masking {
            let inputs = masking.apply(&inputs, pass.seed, pass.epoch, slice.start);
            return self.examples.batch(inputs, labels).with_slice(slice);
        }
        let Some(augmenter) = &self.augmenter else {
            return self.examples.batch(inputs, labels).with_slice(slice);
        };
        let batch =
            self.examples.batch(augmenter.apply(&inputs, pass, slice.start), labels).with_slice(slice);
        mix(batch, &augmenter.augmentation, pass)
    }
}

impl TrainLoader for MemoryLoader {
    fn rows(&self) -> usize {
        self.labels.len()
    }

    fn indexes(&self, pass: Pass) -> Vec<usize> {
        batch_indexes(&self.order(pass), pass)
    }

    /// Gathers many batches with one large `index_select`, so that a batch is a view without a copy: the whole epoch on a GPU,
    /// and chunks on the CPU, so that large data is not in memory twice.
    fn epoch(&self, pass: Pass) -> Batches<'_> {
        let order = self.order(pass);
        let slices: Vec<_> = pass.slices(order.len()).collect();
        let own = slices.iter().flat_map(|slice| &order[slice.start..slice.start + slice.length]);
        let own: Vec<i64> = own.copied().collect();
        let own = Tensor::from_slice(&own).to_device(self.examples.device());
        let TensorDataset { inputs, labels } = &self.examples.part;
        let rows = own.size()[0];
        let at_once = match self.examples.device() {
            Device::Cpu => AT_ONCE * inputs.size()[0] / inputs.numel().max(1) as i64,
            _ => rows,
        };
        let (mut start, mut gathered) = (0, (0, inputs.narrow(0, 0, 0), labels.narrow(0, 0, 0)));
        Box::new(slices.into_iter().map(move |slice| {
            let length = slice.length as i64;
            let (first, values, _) = &gathered;
            if start + length > first + values.size()[0] {
                let own = own.narrow(0, start, at_once.max(length).min(rows - start));
                gathered = (start, inputs.index_select(0, &own), labels.index_select(0, &own));
            }
            let (first, inputs, labels) = &gathered;
            let of = |gathered: &Tensor| gathered.narrow(0, start - first, length);
            let (inputs, labels) = (of(inputs), of(labels));
            let rows = own.narrow(0, start, length);
            let folds = self.examples.folds.as_ref().map(|folds| folds.index_select(0, &rows));
            let taught = self.examples.taught.as_ref().map(|logits| Taught {
                logits: logits.index_select(0, &rows),
                labelled: self.labelled(&order[slice.start..slice.start + slice.length]),
            });
            start += length;
            Ok(Batch { folds, taught, ..self.batch(inputs, labels, pass, slice) })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed() -> MemoryLoader {
        let inputs = Tensor::from_slice(&(0..10).map(|row| row as f32).collect::<Vec<_>>()).view([10, 1]);
        let labels = Tensor::from_slice(&(0..10i64).collect::<Vec<_>>());
        MemoryLoader::new(MemoryExamples::ready(TensorDataset { inputs, labels }), Sampling::Shuffled, None)
    }

    fn labels(first: usize) -> Vec<Vec<i64>> {
        let pass = Pass { start: 4 * first, ..Pass::new(1, 4, 3) };
        feed().epoch(pass).map(|batch| Vec::try_from(batch.unwrap().labels).unwrap()).collect()
    }

    #[test]
    fn an_epoch_gives_every_row_once_with_its_label() {
        assert_eq!(feed().batches(Pass::new(1, 4, 3)), 3);
        let mut seen = Vec::new();
        for batch in feed().epoch(Pass::new(1, 4, 3)) {
            let Batch { inputs, labels, .. } = batch.unwrap();
            let values = Vec::<f32>::try_from(inputs.flatten(0, -1)).unwrap();
            let classes = Vec::<i64>::try_from(labels).unwrap();
            assert!(values.iter().zip(&classes).all(|(value, class)| *value == *class as f32));
            seen.extend(classes);
        }
        assert_ne!(seen, (0..10).collect::<Vec<_>>());
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
    }

    /// A chunk holds two of these wide rows, or one batch if that is larger.
    #[test]
    fn batches_of_large_data_are_gathered_in_chunks() {
        let width = AT_ONCE / 2;
        let rows = Tensor::from_slice(&[0f32, 1., 2., 3., 4.]).view([5, 1]).repeat([1, width]);
        let labels = Tensor::from_slice(&[0i64, 1, 2, 3, 4]);
        let feed = MemoryLoader::new(
            MemoryExamples::ready(TensorDataset { inputs: rows, labels }),
            Sampling::Shuffled,
            None,
        );
        for size in [1, 2, 3] {
            let mut seen = Vec::new();
            for batch in feed.epoch(Pass::new(1, size, 3)) {
                let Batch { inputs, labels, .. } = batch.unwrap();
                let firsts = Vec::<f32>::try_from(inputs.select(1, 0).contiguous()).unwrap();
                let classes = Vec::<i64>::try_from(labels).unwrap();
                assert!(firsts.iter().zip(&classes).all(|(value, class)| *value == *class as f32));
                seen.extend(classes);
            }
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2, 3, 4], "batches of {size}");
        }
    }

    #[test]
    fn an_epoch_can_start_at_any_batch() {
        let all = labels(0);
        for first in 0..=3 {
            assert_eq!(labels(first), all[first..]);
        }
    }
}
