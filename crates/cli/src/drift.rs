//! The options of drift, and its report.

use std::path::PathBuf;

use clap::Args;
use cresset::data::atomic;
use cresset::error::{Error, Result};
use cresset::evaluate::drift::{DriftPolicy, DriftReport};

/// How drift is reported.
#[derive(Debug, Args)]
pub struct Drift {
    /// Write the drift of each column and of the predictions to this file: JSON, or CSV if its name ends with .csv
    #[arg(long, value_name = "FILE")]
    drift: Option<PathBuf>,

    /// Predict even if a column has no values, or only values of another unit than in training
    #[arg(long)]
    allow_drift: bool,
}

impl Drift {
    /// Whether columns that make predictions meaningless are refused.
    pub fn policy(&self) -> DriftPolicy {
        if self.allow_drift { DriftPolicy::Allow } else { DriftPolicy::Refuse }
    }

    /// Warns of drift and writes the file. `found` is `None` for a model without histograms of its training data.
    pub fn report(&self, found: Option<&DriftReport>) -> Result<()> {
        let Some(found) = found else {
            return match &self.drift {
                Some(_) => Err(Error::Usage(
                    "--drift: the model has no histograms of its training data; export it again with `cresset export`"
                        .to_string(),
                )),
                None => Ok(()),
            };
        };
        for problem in &found.problems {
            tracing::warn!("{problem}");
        }
        if let Some(warning) = found.warning() {
            tracing::warn!("{warning}");
        }
        match &self.drift {
            Some(path) => Ok(atomic::write(path, &found.to_bytes(path))?),
            None => Ok(()),
        }
    }
}
