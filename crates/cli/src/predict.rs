//! `cresset predict`

use std::path::PathBuf;

use clap::Args;
use cresset::data::unknown::UnknownPolicy;
use cresset::error::Error;
use cresset::predict::{Batching, Classifier, Output, OutputOptions, Sources, ViewOptions};

use super::arguments::{Flags, chosen};
use super::drift::Drift;
use super::model_file::model_file;
use super::screen::tell;
use super::{Compute, Ended, thousands};

/// Classify images or table rows with an exported model
///
/// An input that cannot be read or classified gives a row with the error, and the exit code is 1. If a table does not match the
/// model, the exit code is 2.
#[derive(Debug, Args)]
pub struct Predict {
    /// Exported model (model.pt, .pt2 or .onnx), run folder, or hf:USER/NAME
    #[arg(value_name = "MODEL|RUN")]
    model: PathBuf,

    /// Images, image folders, patterns such as 'scans/**/*.png', CSV files, or - for CSV on standard input
    #[arg(value_name = "INPUT", required_unless_present = "paths_from")]
    inputs: Vec<PathBuf>,

    /// File with more inputs, one path per line; - is standard input
    #[arg(long, value_name = "FILE")]
    paths_from: Option<PathBuf>,

    /// Folder of the images listed in a table [default: the folder of the table and its subfolders]
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,

    /// Number of classes to output for each input, the most probable first
    #[arg(long, value_name = "K", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,

    /// Output the probabilities of all classes
    #[arg(long)]
    probabilities: bool,

    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "csv", value_parser = chosen::<Output>())]
    output: Output,

    /// In CSV, write ' before names that begin with =, +, - or @, so that spreadsheets do not run them as formulas
    #[arg(long)]
    escape_formulas: bool,

    /// Write the embeddings (inputs of the last layer) to this file: a NumPy array, float32 (inputs, width), NaN for errors
    #[arg(long, value_name = "FILE.npy")]
    embeddings: Option<PathBuf>,

    /// Batch size
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=65536))]
    batch_size: u32,

    /// How to handle categories in a table that the model was not trained on
    #[arg(long, value_name = "POLICY", default_value = "allow", value_parser = chosen::<UnknownPolicy>())]
    unknown: UnknownPolicy,

    #[command(flatten)]
    drift: Drift,

    #[command(flatten)]
    views: Flags<ViewOptions>,

    #[command(flatten)]
    compute: Compute,
}

impl Predict {
    pub fn run(self) -> anyhow::Result<Ended> {
        let device = self.compute.prepare()?;
        let model = model_file(&self.model)?;
        let classifier =
            Classifier::load_on(&model, device)?.with_unknown(self.unknown).with_views(&self.views)?;
        // An example takes at least one multiply-add per weight.
        let work = classifier.values()?.saturating_mul(self.batch_size as usize);
        tch::set_num_threads(self.compute.threads.for_multiply_adds(work).into());
        let batching = Batching {
            size: self.batch_size as usize,
            threads: self.compute.threads.count().into(),
            features: self.embeddings.is_some(),
        };
        let stream = classifier
            .stream(Sources::new(self.inputs, self.paths_from)?.with_images(self.images), batching)?;
        let form = OutputOptions {
            output: self.output,
            top_k: self.top_k as usize,
            probabilities: self.probabilities,
            escape_formulas: self.escape_formulas,
        };
        let mut out = std::io::stdout().lock();
        let found =
            classifier.write(stream, form, &mut out, self.embeddings.as_deref(), self.drift.policy())?;
        if let Some(summary) = found.unknowns.summary(found.inputs) {
            tracing::warn!("{summary}");
        }
        self.drift.report(found.drift.as_ref())?;
        if found.failed == 0 {
            return Ok(Ended::Well);
        }
        let (failed, inputs) = (thousands(found.failed), thousands(found.inputs));
        tell(&format!("{failed} of {inputs} inputs could not be classified"));
        match found.misfit {
            // The table as a whole does not match, rather than one of its inputs.
            Some(problem) => Err(Error::Usage(problem).into()),
            None => Ok(Ended::Badly),
        }
    }
}
