//! Rows of a table in a file, for tables larger than memory.
//!
//! An epoch reads the blocks of the file in random order, some at a time, and shuffles the rows of these. A thread reads ahead, and
//! preprocesses the rows for a model on the CPU.

mod evaluation;
mod order;

use std::ops::Range;
use std::sync::Arc;

use order::{EpochOrder, Group, TrainingRows};
use tch::{Device, Tensor};

use super::transfer::to_device;
use super::{Batch, BatchSlice, Batches, Pass, TrainLoader};
use crate::data::parallel::OrderedMap;
use crate::data::stored::{LabelsOfRows, StoredBlock, StoredRows};
use crate::data::{Dataset, Inputs, Targets};
use crate::error::Result;
use crate::loader::masking::CategoryMasking;
use crate::model::preprocessing::{Preprocessing, RowPreprocessing, target_tensor};
pub use evaluation::StoredEvaluationLoader;

/// Batches that are read ahead.
const AHEAD: usize = 4;

/// Rows in a file, and what their labels mean.
#[derive(Debug, Clone)]
pub struct StoredExamples {
    rows: Arc<StoredRows>,
    targets: Arc<Targets>,
    outputs: usize,
}

impl StoredExamples {
    /// The rows of a data set; `None` if they are in memory.
    pub fn of(dataset: &Dataset) -> Option<Self> {
        let Inputs::Stored(rows) = &dataset.inputs else { return None };
        // Numbers that are too many for texts are in the file.
        let targets = match &dataset.targets {
            Targets::Values(values) if values.len() == dataset.rows() => Targets::Values(Vec::new()),
            targets => targets.clone(),
        };
        Some(StoredExamples {
            rows: Arc::clone(rows),
            targets: Arc::new(targets),
            outputs: dataset.classes.len(),
        })
    }

    /// Rows whose labels are indexes into `targets`, or numbers; `outputs` is the number of outputs of the model.
    pub fn new(rows: Arc<StoredRows>, targets: Targets, outputs: usize) -> Self {
        StoredExamples { rows, targets: Arc::new(targets), outputs }
    }

    fn read(&self, blocks: &[StoredBlock], rows: &[(u32, u32)]) -> Result<RowsRead> {
        Ok(RowsRead { features: self.rows.features(blocks, rows)?, labels: self.rows.labels(blocks, rows) })
    }
}

/// Where a batch begins in an epoch.
#[derive(Clone, Copy)]
struct Place {
    pass: Pass,
    start: usize,
}

/// Makes batches in the thread that reads their rows. For a model on the CPU, it preprocesses them, too, beside the training step.
struct Assembly {
    examples: StoredExamples,
    /// None where batches stay raw.
    preprocessing: Option<Preprocessing>,
    /// The same in one pass, if that is possible.
    in_one_pass: Option<RowPreprocessing>,
    masking: Option<CategoryMasking>,
}

impl Assembly {
    fn new(
        examples: &StoredExamples,
        preprocessing: Option<&Preprocessing>,
        masking: Option<&CategoryMasking>,
        device: Device,
    ) -> Self {
        let preprocessing = preprocessing.filter(|_| device == Device::Cpu);
        Assembly {
            examples: examples.clone(),
            preprocessing: preprocessing.cloned(),
            in_one_pass: preprocessing.and_then(RowPreprocessing::of),
            masking: masking.cloned(),
        }
    }

    /// The inputs and targets of rows.
    fn batch(&self, RowsRead { features, labels }: RowsRead, place: Option<Place>) -> Batch {
        let raw = || Tensor::from_slice(&features).view([-1, self.examples.rows.width() as i64]);
        let inputs = match (&self.preprocessing, &self.in_one_pass) {
            (None, _) => raw(),
            (Some(preprocessing), None) => {
                // The threads of the training step have the other cores.
                tch::set_num_threads(1);
                finished(preprocessing, self.masking.as_ref(), &raw(), place)
            }
            (Some(_), Some(preprocessing)) => {
                let mut values = preprocessing.apply(&features);
                if let (Some(masking), Some(Place { pass, start })) = (&self.masking, place) {
                    masking.apply_to_values(&mut values, pass.seed, pass.epoch, start);
                }
                Tensor::from_slice(&values).view([-1, preprocessing.width() as i64])
            }
        };
        let labels = match labels {
            LabelsOfRows::Indexes(labels) => {
                target_tensor(&self.examples.targets, &labels, self.examples.outputs)
            }
            LabelsOfRows::Values(values) => Tensor::from_slice(&values).view([-1, 1]),
        };
        Batch::new(inputs, labels)
    }
}

/// Preprocessed rows with masked categories, of raw ones.
fn finished(
    preprocessing: &Preprocessing,
    masking: Option<&CategoryMasking>,
    raw: &Tensor,
    place: Option<Place>,
) -> Tensor {
    let rows = preprocessing.apply(raw);
    match (masking, place) {
        (Some(masking), Some(Place { pass, start })) => masking.apply(&rows, pass.seed, pass.epoch, start),
        _ => rows,
    }
}

/// Raw features and labels.
struct RowsRead {
    features: Vec<f32>,
    labels: LabelsOfRows,
}

/// Training rows in a file.
#[derive(Debug)]
pub struct StoredLoader {
    examples: StoredExamples,
    rows: Arc<TrainingRows>,
    preprocessing: Preprocessing,
    masking: Option<CategoryMasking>,
    /// Whether batches have texts of similar length.
    has_buckets: bool,
    device: Device,
}

impl StoredLoader {
    /// Feeds the rows at `train`, in ascending order.
    pub fn new(
        examples: &StoredExamples,
        train: &[i64],
        preprocessing: &Preprocessing,
        masking: Option<CategoryMasking>,
        device: Device,
    ) -> Self {
        let rows = Arc::new(TrainingRows::new(&examples.rows, train));
        StoredLoader {
            examples: examples.clone(),
            rows,
            preprocessing: preprocessing.clone(),
            masking,
            has_buckets: false,
            device,
        }
    }

    /// Sets whether batches of texts have texts of similar length, among those that are shuffled together.
    pub fn in_buckets(self, are_used: bool) -> Self {
        StoredLoader { has_buckets: are_used, ..self }
    }

    fn order(&self, pass: Pass) -> EpochOrder {
        let size = self.has_buckets.then_some(pass.batch_size as usize);
        EpochOrder::new(&self.examples.rows, &self.rows, (pass.seed, pass.epoch), size)
    }
}

/// Reads the rows of an epoch. It keeps the group that it has read last.
struct EpochReader {
    examples: StoredExamples,
    order: EpochOrder,
    group: Option<Group>,
}

impl EpochReader {
    /// The rows at these positions.
    fn read(&mut self, positions: Range<usize>) -> Result<RowsRead> {
        let mut all: Option<RowsRead> = None;
        let mut start = positions.start;
        while start < positions.end {
            let group = self.order.group_of(start);
            let first = self.order.starts[group];
            let end = positions.end.min(self.order.starts[group + 1]);
            let Group { blocks, rows, .. } = match self.group.take_if(|known| known.index == group) {
                Some(known) => self.group.insert(known),
                None => {
                    // Frees the blocks of the group before.
                    self.group = None;
                    self.group.insert(self.order.read(group)?)
                }
            };
            let part = self.examples.read(blocks, &rows[start - first..end - first])?;
            match &mut all {
                None => all = Some(part),
                Some(all) => all.append(part),
            }
            start = end;
        }
        Ok(all.unwrap_or(RowsRead { features: Vec::new(), labels: LabelsOfRows::Indexes(Vec::new()) }))
    }
}

impl RowsRead {
    fn append(&mut self, more: RowsRead) {
        self.features.extend(more.features);
        match (&mut self.labels, more.labels) {
            (LabelsOfRows::Indexes(own), LabelsOfRows::Indexes(more)) => own.extend(more),
            (LabelsOfRows::Values(own), LabelsOfRows::Values(more)) => own.extend(more),
            _ => unreachable!("all labels of a table are of the same kind"),
        }
    }
}

impl TrainLoader for StoredLoader {
    fn rows(&self) -> usize {
        self.rows.count
    }

    fn indexes(&self, pass: Pass) -> Vec<usize> {
        let Some(slice) = pass.slices(self.rows.count).next() else { return Vec::new() };
        let order = self.order(pass);
        let mut known: Option<(usize, Vec<(u32, u32)>)> = None;
        let mut indexes = Vec::with_capacity(slice.length);
        for position in slice.start..slice.start + slice.length {
            let group = order.group_of(position);
            if known.as_ref().is_none_or(|(known, _)| *known != group) {
                let rows = match self.has_buckets {
                    true => order.read(group).map(|group| group.rows),
                    false => Ok(order.rows_of(group)),
                };
                // A file that cannot be read has ended the epoch before.
                let Ok(rows) = rows else { return Vec::new() };
                known = Some((group, rows));
            }
            let (_, rows) = known.as_ref().expect("it was set");
            let (block, row) = rows[position - order.starts[group]];
            let row = order.stored.range(order.groups[group][block as usize]).start + row as usize;
            indexes.push(self.rows.of(0..row).count());
        }
        indexes
    }

    fn epoch(&self, pass: Pass) -> Batches<'_> {
        let place = move |start| Place { pass, start };
        let slices: Vec<BatchSlice> = pass.slices(self.rows.count).collect();
        let positions: Vec<_> = slices.iter().map(|slice| slice.start..slice.start + slice.length).collect();
        let worker = || {
            let order = self.order(pass);
            let mut reader = EpochReader { examples: self.examples.clone(), order, group: None };
            let assembly =
                Assembly::new(&self.examples, Some(&self.preprocessing), self.masking.as_ref(), self.device);
            move |positions: Range<usize>| {
                let start = positions.start;
                Ok(assembly.batch(reader.read(positions)?, Some(place(start))))
            }
        };
        // One thread, because a group is read once.
        let read = OrderedMap::new(1, positions.into_iter(), AHEAD, worker);
        let starts: Vec<usize> = slices.iter().map(|slice| slice.start).collect();
        let batches = read.zip(slices).map(|(batch, slice): (Result<Batch>, _)| Ok(batch?.with_slice(slice)));
        let batches = to_device(batches, self.device);
        if self.device == Device::Cpu {
            return batches;
        }
        Box::new(batches.zip(starts).map(move |(batch, start)| {
            let batch = batch?;
            let inputs =
                finished(&self.preprocessing, self.masking.as_ref(), &batch.inputs, Some(place(start)));
            Ok(Batch { inputs, ..batch })
        }))
    }
}
