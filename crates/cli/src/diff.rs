//! `cresset diff`

use std::path::PathBuf;

use clap::Args;
use cresset::report::runs::difference;

use super::runs::Format;
use super::{Compute, Ended, put, show};

/// Compare two runs: options, data, metrics, and whether the difference in accuracy is significant
///
/// Both models classify the examples in the validation set of both runs. McNemar's test decides on significance.
#[derive(Debug, Args)]
pub struct Diff {
    /// Run folder
    #[arg(value_name = "A")]
    a: PathBuf,

    /// Other run folder
    #[arg(value_name = "B")]
    b: PathBuf,

    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,

    #[command(flatten)]
    compute: Compute,
}

impl Diff {
    pub fn run(self) -> anyhow::Result<Ended> {
        let device = self.compute.prepare()?;
        let difference = difference(&self.a, &self.b, device)?;
        match self.format {
            Format::Table => show(&difference.to_text()),
            Format::Json => put(&difference.to_json()),
            Format::Csv => put(&String::from_utf8_lossy(&difference.to_csv())),
        }?;
        Ok(Ended::Well)
    }
}
