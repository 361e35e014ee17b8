//! Drift of the served inputs and predictions.

use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use cresset::evaluate::drift::{DriftCounter, DriftReport, VariableDrift, VariableKind};
use cresset::predict::{Classifier, Scored};

use super::metrics::label;

/// The counts of a served model. All workers share them.
#[derive(Default)]
pub(super) struct Monitor(OnceLock<Option<Counts>>);

struct Counts {
    counter: Mutex<DriftCounter>,
    data_sha256: String,
}

impl Monitor {
    /// Begins to count for a loaded model, unless another worker did.
    pub fn begin(&self, classifier: &Classifier) {
        self.0.get_or_init(|| {
            let counter = Mutex::new(classifier.drift_counter()?);
            Some(Counts { counter, data_sha256: classifier.metadata().data_sha256.clone() })
        });
    }

    /// Counts a batch of raw inputs and their results.
    pub fn add(&self, rows: &[&[f32]], scores: &[std::result::Result<Scored, String>]) {
        let Some(counts) = self.counts() else { return };
        let mut counter = counts.lock();
        for (row, scored) in rows.iter().zip(scores) {
            if let Ok(scored) = scored {
                counter.add(row, &scored.probabilities);
            }
        }
    }

    /// The comparison with the training data; `None` if the model has no histograms of it.
    pub fn report(&self) -> Option<DriftReport> {
        let counts = self.counts()?;
        // Copied, so that the workers do not wait for the report.
        let counter = counts.lock().clone();
        Some(counter.report(&counts.data_sha256))
    }

    /// The figures of drift in the Prometheus text format.
    pub fn metrics(&self) -> String {
        let Some(DriftReport { rows, variables, .. }) = self.report() else { return String::new() };
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, lines: &[(String, f64)]| {
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect(INFALLIBLE);
            for (labels, value) in lines {
                writeln!(text, "{name}{labels} {value}").expect(INFALLIBLE);
            }
        };
        let of_kind = |kinds: &[VariableKind]| -> Vec<(String, f64)> {
            let chosen = variables.iter().filter(|variable| kinds.contains(&variable.kind));
            let line = |VariableDrift { kind, name, psi, .. }: &VariableDrift| match kind {
                VariableKind::Column | VariableKind::Image => {
                    (format!("{{column=\"{}\"}}", label(name)), *psi)
                }
                _ => (String::new(), *psi),
            };
            chosen.map(line).collect()
        };
        let help = "Population stability index of the inputs since the start, against the training data.";
        let inputs = of_kind(&[VariableKind::Column, VariableKind::Image]);
        family("cresset_drift_psi", "gauge", help, &inputs);
        let help = "Population stability index of the predictions, against the validation set.";
        family("cresset_drift_predictions_psi", "gauge", help, &of_kind(&[VariableKind::Predictions]));
        let help = "Population stability index of the confidence, against the validation set.";
        family("cresset_drift_confidence_psi", "gauge", help, &of_kind(&[VariableKind::Confidence]));
        let help = "Number of inputs that were compared with the training data.";
        family("cresset_drift_inputs", "gauge", help, &[(String::new(), rows as f64)]);
        text
    }

    fn counts(&self) -> Option<&Counts> {
        self.0.get()?.as_ref()
    }
}

impl Counts {
    fn lock(&self) -> MutexGuard<'_, DriftCounter> {
        self.counter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const INFALLIBLE: &str = "writing to a string does not fail";
