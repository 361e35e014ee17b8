//! `cresset diff`

use std::path::PathBuf;

use clap::Args;
use cresset::report::runs::difference;

use super::runs::Format;
use super::{Compute, Ended, put, show};

/// Show what two runs differ in: options, data, figures, and whether one is really better
///
/// Both models classify the rows that were held out of both trainings, and McNemar's test says whether the difference is chance.
#[derive(Debug, Args)]
pub struct Diff {
    /// The folder of a run
    #[arg(value_name = "A")]
    a: PathBuf,

    /// The folder of another run
    #[arg(value_name = "B")]
    b: PathBuf,

    /// How the answer is written
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
