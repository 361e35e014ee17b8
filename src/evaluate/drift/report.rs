//! The comparison of inputs and predictions with the training data.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::index::DRIFTED;
use crate::error::{Error, Result, quoted};

/// The fewest inputs of which a report warns.
pub const LEAST_ROWS: u64 = 100;

/// The most variables in a warning.
const MAX_NAMED: usize = 5;

/// A comparison with the training data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    /// The number of inputs.
    pub rows: u64,
    /// SHA-256 of the training data.
    pub data_sha256: String,
    /// The reasons why the predictions are meaningless: a column without values that always had values in training, or a column of
    /// numbers in another unit, all outside the training range and at least 5 times as large or small. Empty with fewer than 20
    /// inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// The columns and outputs, the largest PSI first.
    pub variables: Vec<VariableDrift>,
}

/// The comparison of a column or an output with the training data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariableDrift {
    /// What it is.
    pub kind: VariableKind,
    /// The name of a column or a statistic.
    pub name: String,
    /// The population stability index ([`psi`](super::psi)).
    pub psi: f64,
    /// The PSI that so few inputs without drift exceed with a probability of 0.1 % ([`by_chance`](super::by_chance)).
    pub by_chance: f64,
    /// The shares of the bins.
    pub bins: Vec<BinShare>,
}

/// The shares of a bin, from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinShare {
    /// The values of the bin.
    pub bin: String,
    /// The share in the training data, or of predictions on the validation set.
    pub training: f64,
    /// The share of the new inputs.
    pub new: f64,
}

/// What a variable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VariableKind {
    /// A column of a table.
    Column,
    /// A statistic of images.
    Image,
    /// The predicted classes, labels or numbers.
    Predictions,
    /// The probability of the predicted class.
    Confidence,
    /// The true classes, labels or numbers.
    Labels,
}

impl VariableKind {
    fn name(self) -> &'static str {
        match self {
            VariableKind::Column => "column",
            VariableKind::Image => "image",
            VariableKind::Predictions => "predictions",
            VariableKind::Confidence => "confidence",
            VariableKind::Labels => "labels",
        }
    }
}

impl VariableDrift {
    /// Whether the PSI is above [`DRIFTED`], and more than chance.
    pub fn is_drifted(&self) -> bool {
        self.psi > DRIFTED && self.psi > self.by_chance
    }

    /// The name in messages and reports.
    pub fn title(&self) -> String {
        match self.kind {
            VariableKind::Column => format!("column {}", quoted(&self.name)),
            VariableKind::Image => format!("image {}", self.name),
            kind => kind.name().to_string(),
        }
    }
}

/// What to do with inputs whose predictions are meaningless ([`DriftReport::problems`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DriftPolicy {
    /// Fail.
    #[default]
    Refuse,
    /// Predict.
    Allow,
}

impl DriftReport {
    /// Refuses inputs whose predictions are meaningless.
    ///
    /// # Errors
    /// The first of [`DriftReport::problems`].
    pub fn require_meaning(&self) -> Result<()> {
        let Some(problem) = self.problems.first() else { return Ok(()) };
        let more = match self.problems.len() {
            1 => String::new(),
            all => format!(" ({} more columns differ as much)", all - 1),
        };
        Err(Error::Usage(format!(
            "{problem}{more}. Predictions would be meaningless; correct the data, or predict anyway with --allow-drift"
        )))
    }

    /// A warning that names the variables with the largest PSI; `None` without drift, and with fewer than 100 inputs.
    pub fn warning(&self) -> Option<String> {
        let drifted: Vec<_> = self.variables.iter().filter(|variable| variable.is_drifted()).collect();
        if self.rows < LEAST_ROWS || drifted.is_empty() {
            return None;
        }
        let name = |variable: &&VariableDrift| format!("{} {:.2}", variable.title(), variable.psi);
        let named: Vec<_> = drifted.iter().take(MAX_NAMED).map(name).collect();
        let more = match drifted.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        Some(format!(
            "drift: {} inputs differ from the training data, with a population stability index above {DRIFTED}: {}{more}; --drift \
             FILE writes all of them",
            self.rows,
            named.join(", ")
        ))
    }

    /// Reads a report from JSON.
    ///
    /// # Errors
    /// A file that cannot be read, or is not such a report.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        serde_json::from_str(&text).map_err(|error| {
            let problem = format!(
                "this is not a JSON file of `cresset serve --drift FILE` or `cresset predict --drift FILE` ({error})"
            );
            Error::artifact(path, problem)
        })
    }

    /// The report as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and strings are JSON") + "\n"
    }

    /// The report as CSV, with a row for each variable: kind, name, psi, by_chance, rows.
    pub fn to_csv(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let written = "a record can be written to memory";
        writer.write_record(["kind", "name", "psi", "by_chance", "rows"]).expect(written);
        for VariableDrift { kind, name, psi, by_chance, .. } in &self.variables {
            let cells = [
                kind.name().to_string(),
                name.clone(),
                format!("{psi:.6}"),
                format!("{by_chance:.6}"),
                self.rows.to_string(),
            ];
            writer.write_record(cells).expect(written);
        }
        writer.into_inner().expect(written)
    }

    /// The contents of a file: CSV if its name ends with `.csv`, JSON otherwise.
    pub fn to_bytes(&self, path: &Path) -> Vec<u8> {
        match path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
            true => self.to_csv(),
            false => self.to_json().into_bytes(),
        }
    }
}
