//! Any number of inputs, classified batch by batch: threads read and decode ahead of the model, and the order is kept.

use std::collections::VecDeque;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use super::sources::Sources;
use super::{Classifier, Input, Notes, Taken};
use crate::data::parallel::Ordered;
use crate::error::{Error, Result, guard};

/// How inputs are brought together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Inputs a forward pass, at least 1. Those that cannot be read count.
    pub size: usize,
    /// Threads that read and decode. The results do not depend on it.
    pub threads: usize,
    /// Whether what the last layer is given is wanted, too.
    pub features: bool,
}

/// The probability of each class, or what is wrong with the input.
pub type Found = std::result::Result<Vec<f64>, String>;

/// What the model makes of an input.
#[derive(Debug, Clone, PartialEq)]
pub struct Classified {
    /// Where the input stands: a picture's path, or `file:line`.
    pub input: String,
    /// The probability of each class, or what is wrong with the input.
    pub probabilities: Found,
    /// What else is to be said of it.
    pub notes: Notes,
}

/// What the model makes of some inputs.
#[derive(Debug)]
pub struct ClassifiedBatch {
    /// The inputs, in their order.
    pub rows: Vec<Classified>,
    /// If they are wanted, what the last layer is given for each input that could be classified, in their order: float32
    /// (N, width), on the CPU.
    pub features: Option<Tensor>,
}

/// Batches of classified inputs, each computed when it is asked for.
pub struct Stream<'a> {
    classifier: &'a Classifier,
    batching: Batching,
    read: Ordered<Vec<Input>>,
    waiting: VecDeque<Input>,
    /// How many inputs there was something to be said of.
    remarks: usize,
}

/// Pictures or stretches of a table that are worked on ahead of the one that is waited for, for each thread, …
const AHEAD: usize = 4;
/// … and in all, or large batches would be in memory twice.
const MOST_AHEAD: usize = 128;

impl Classifier {
    /// Classifies everything that `sources` stand for. Memory is bounded whatever their number.
    ///
    /// # Errors
    /// Features are wanted of a model that has none. An input that cannot be read or classified is no error: it says so
    /// itself. The batches fail where the model does.
    pub fn stream(&self, sources: Sources, batching: Batching) -> Result<Stream<'_>> {
        if batching.features && !self.module.methods()?.iter().any(|method| method == "features") {
            let problem = "the model has no method `features`: it computes with 8-bit integers, or its last layer could not be told when it \
                           was exported";
            return Err(Error::artifact(&self.path, problem));
        }
        let taken = Arc::new(Taken { images: sources.images.clone(), ..self.taken() });
        let worker = || {
            let taken = Arc::clone(&taken);
            let mut pictures = None;
            move |job| taken.read(job, &mut pictures)
        };
        let ahead = (batching.size + AHEAD * batching.threads).min(MOST_AHEAD);
        let read = Ordered::new(batching.threads, sources.jobs(&taken), ahead, worker);
        Ok(Stream { classifier: self, batching, read, waiting: VecDeque::new(), remarks: 0 })
    }

    /// The probability of each class for raw inputs (N, …), one input after the other.
    pub(super) fn probabilities(&self, inputs: &Tensor) -> Result<Vec<f64>> {
        let probabilities = self.logits(inputs)?.softmax(-1, Kind::Double).to_device(Device::Cpu);
        Ok(Vec::try_from(probabilities.contiguous().view(-1))?)
    }

    /// For each raw input, one after the other in `rows`: the probability of each class, or why there is none.
    ///
    /// # Errors
    /// Rows of another width, and what the model fails with.
    pub fn classify(&self, rows: &[&[f32]]) -> Result<Vec<Found>> {
        let size = [rows.len() as i64, self.metadata.input.shape.features()];
        guard(|| self.found(&Tensor::from_slice(&rows.concat()).f_view(size)?))
    }

    /// The same for raw inputs (N, …).
    fn found(&self, raw: &Tensor) -> Result<Vec<Found>> {
        let probabilities = if raw.size()[0] == 0 { Vec::new() } else { self.probabilities(raw)? };
        let of_row = |row: &[f64]| match row.iter().all(|probability| probability.is_finite()) {
            true => Ok(row.to_vec()),
            false => Err(super::NO_NUMBER.to_string()),
        };
        Ok(probabilities.chunks_exact(self.metadata.classes.len()).map(of_row).collect())
    }

    /// What the last layer is given, float32 (N, width) on the CPU, for raw inputs (N, …).
    fn features(&self, inputs: &Tensor) -> Result<Tensor> {
        let features =
            tch::no_grad(|| self.module.call("features", &inputs.to_device(self.device)))?.remove(0);
        Ok(features.flatten(1, -1).to_device(Device::Cpu).to_kind(Kind::Float))
    }
}

impl Iterator for Stream<'_> {
    type Item = Result<ClassifiedBatch>;

    fn next(&mut self) -> Option<Result<ClassifiedBatch>> {
        while self.waiting.len() < self.batching.size {
            match self.read.next() {
                Some(inputs) => {
                    inputs.iter().for_each(|input| self.remark(input));
                    self.waiting.extend(inputs);
                }
                None => break,
            }
        }
        let size = self.batching.size.min(self.waiting.len());
        if size == self.batching.size {
            // A full batch, the first of many or the only one, is worth the time.
            self.classifier.optimize();
        }
        let inputs: Vec<_> = self.waiting.drain(..size).collect();
        (!inputs.is_empty()).then(|| guard(|| self.classified(inputs)))
    }
}

/// So many inputs are remarked upon one by one.
const REMARKED: usize = 5;

impl Stream<'_> {
    fn remark(&mut self, input: &Input) {
        let Some(remark) = &input.notes.remark else { return };
        self.remarks += 1;
        match self.remarks {
            count if count <= REMARKED => tracing::warn!("{}: {remark}", input.name),
            count if count == REMARKED + 1 => tracing::warn!("… and more inputs like these"),
            _ => {}
        }
    }

    fn classified(&self, inputs: Vec<Input>) -> Result<ClassifiedBatch> {
        let good: Vec<&[f32]> = inputs.iter().filter_map(|input| input.values.as_deref().ok()).collect();
        let features = self.classifier.metadata.input.shape.features();
        let raw = Tensor::from_slice(&good.concat()).view([good.len() as i64, features]);
        let found = self.classifier.found(&raw)?;
        let sound: Vec<bool> = found.iter().map(|found| found.is_ok()).collect();
        let mut found = found.into_iter();
        let of_input = |input: Input| {
            let probabilities =
                input.values.and_then(|_| found.next().expect("the model gave a row for each input"));
            Classified { input: input.name, probabilities, notes: input.notes }
        };
        let rows = inputs.into_iter().map(of_input).collect();
        let features = (self.batching.features && !sound.is_empty()).then(|| {
            let rows = Tensor::from_slice(&sound);
            Ok::<_, Error>(self.classifier.features(&raw)?.index(&[Some(rows)]))
        });
        Ok(ClassifiedBatch { rows, features: features.transpose()? })
    }
}
