//! Counts inputs and predictions in the bins of the reference.

use std::sync::Arc;

use super::bins::{Bins, Variable};
use super::decision::{Decision, confidence};
use super::index::{by_chance, psi};
use super::picture::image_statistics;
use super::reference::DriftReference;
use super::report::{BinShare, DriftReport, VariableDrift, VariableKind};
use crate::model::Outputs;

/// Counts of inputs and predictions. The result depends on neither their order nor how they were divided between counters.
///
/// ```
/// use cresset::evaluate::drift::DriftCounter;
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let metadata = cresset::predict::metadata(&out.join("model.pt"))?;
/// let mut counter = DriftCounter::new(metadata.drift.unwrap().into(), &metadata.outputs);
/// counter.add(&[5.1, 3.5, 1.4, 0.2], &[0.9, 0.1, 0.]);
/// let report = counter.report(&metadata.data_sha256);
/// assert_eq!((report.rows, report.variables.len()), (1, 6));
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct DriftCounter {
    pub(super) reference: Arc<DriftReference>,
    outputs: Outputs,
    pub(super) rows: u64,
    pub(super) inputs: Vec<InputCounts>,
    labels: Vec<u64>,
    predictions: Vec<u64>,
    confidence: Vec<u64>,
}

/// The counts of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct InputCounts {
    pub counts: Vec<u64>,
    /// The minimum and the maximum of a number.
    pub range: Option<(f32, f32)>,
}

impl DriftCounter {
    /// An empty counter for a model with these outputs.
    pub fn new(reference: Arc<DriftReference>, outputs: &Outputs) -> Self {
        let zeros = |variable: &Variable| vec![0; variable.counts.len()];
        let input = |variable: &Variable| InputCounts { counts: zeros(variable), range: None };
        DriftCounter {
            outputs: outputs.clone(),
            rows: 0,
            inputs: reference.inputs.iter().map(input).collect(),
            labels: zeros(&reference.labels),
            predictions: zeros(&reference.predictions),
            confidence: reference.confidence.as_ref().map(zeros).unwrap_or_default(),
            reference,
        }
    }

    /// The number of inputs.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Counts an input: its raw values, one for each feature of the model, and its probabilities or predicted number.
    pub fn add(&mut self, raw: &[f32], probabilities: &[f64]) {
        self.rows += 1;
        let reference = &self.reference;
        let statistics: Vec<f32>;
        let values = match reference.channels {
            Some(channels) => {
                statistics = image_statistics(raw, channels).into_iter().map(|(_, value)| value).collect();
                &statistics[..]
            }
            None => raw,
        };
        for (variable, own) in reference.inputs.iter().zip(&mut self.inputs) {
            variable.count(values, &mut own.counts);
            let value = values[variable.start];
            if matches!(variable.bins, Bins::Number { .. }) && !value.is_nan() {
                let (least, most) = own.range.unwrap_or((value, value));
                own.range = Some((least.min(value), most.max(value)));
            }
        }
        Decision::of(&self.outputs, probabilities).count(&reference.predictions.bins, &mut self.predictions);
        if let Some(variable) = &reference.confidence {
            self.confidence[variable.bins.of_number(confidence(probabilities))] += 1;
        }
    }

    /// Counts the true label of an input.
    pub fn add_label(&mut self, label: &Decision) {
        label.count(&self.reference.labels.bins, &mut self.labels);
    }

    /// Adds the counts of another counter with the same reference.
    pub fn merge(&mut self, other: &DriftCounter) {
        let add = |own: &mut Vec<u64>, other: &[u64]| {
            own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
        };
        self.rows += other.rows;
        for (own, other) in self.inputs.iter_mut().zip(&other.inputs) {
            add(&mut own.counts, &other.counts);
            own.range = match (own.range, other.range) {
                (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
                (a, b) => a.or(b),
            };
        }
        add(&mut self.labels, &other.labels);
        add(&mut self.predictions, &other.predictions);
        add(&mut self.confidence, &other.confidence);
    }

    /// The comparison with the training data, whose SHA-256 the report has.
    pub fn report(&self, data_sha256: &str) -> DriftReport {
        let reference = &self.reference;
        let columns = reference.inputs.iter().zip(&self.inputs);
        let kind = match reference.channels {
            Some(_) => VariableKind::Image,
            None => VariableKind::Column,
        };
        let mut variables: Vec<_> =
            columns.map(|(variable, own)| compared(kind, variable, &own.counts)).collect();
        variables.push(compared(VariableKind::Predictions, &reference.predictions, &self.predictions));
        if let Some(variable) = &reference.confidence {
            variables.push(compared(VariableKind::Confidence, variable, &self.confidence));
        }
        if self.labels.iter().any(|count| *count > 0) {
            variables.push(compared(VariableKind::Labels, &reference.labels, &self.labels));
        }
        // The order is stable, so equal ones stay in the order of the columns.
        variables.sort_by(|a, b| b.psi.total_cmp(&a.psi));
        let (rows, data_sha256) = (self.rows, data_sha256.to_string());
        DriftReport { rows, data_sha256, problems: self.problems(), variables }
    }
}

fn compared(kind: VariableKind, variable: &Variable, counts: &[u64]) -> VariableDrift {
    let all = |counts: &[u64]| counts.iter().map(|count| *count as f64).sum::<f64>().max(1.);
    let (training, new) = (all(&variable.counts), all(counts));
    let bins = variable.bins.names().into_iter().zip(variable.counts.iter().zip(counts));
    VariableDrift {
        kind,
        name: variable.name.clone(),
        psi: psi(&variable.counts, counts),
        by_chance: by_chance(&variable.counts, counts),
        bins: bins
            .map(|(bin, (p, q))| BinShare { bin, training: *p as f64 / training, new: *q as f64 / new })
            .collect(),
    }
}
