//! `cresset predict`

use std::path::PathBuf;

use clap::Args;
use cresset::predict::{Classifier, Output, ViewOptions, to_text};

use super::{Compute, Ended, show};

/// Classify pictures or rows with an exported model
#[derive(Debug, Args)]
pub struct Predict {
    /// The model.pt
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    /// PNG pictures (white on black, as the digits are) and CSV files of rows
    #[arg(value_name = "FILE", required = true)]
    inputs: Vec<PathBuf>,

    /// How many classes to give for each input, the most probable first
    #[arg(long, value_name = "K", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,

    /// The form of the output
    #[arg(long, value_name = "FORM", default_value = "csv")]
    output: Output,

    #[command(flatten)]
    views: ViewOptions,

    #[command(flatten)]
    compute: Compute,
}

impl Predict {
    pub fn run(self) -> anyhow::Result<Ended> {
        let device = self.compute.prepare()?;
        let classifier = Classifier::load(&self.model, device)?.with_views(&self.views)?;
        let mut predictions = Vec::new();
        for path in &self.inputs {
            let inputs = classifier.read_inputs(path)?;
            predictions.extend(classifier.predict(&inputs, self.top_k as usize)?);
        }
        show(&to_text(&predictions, self.output))?;
        Ok(Ended::Well)
    }
}
