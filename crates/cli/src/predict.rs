//! `cresset predict`

use std::path::PathBuf;

use clap::Args;
use cresset::data::unknown::OnUnknown;
use cresset::error::Error;
use cresset::predict::{Batching, Classifier, Form, Output, Sources, ViewOptions};

use super::arguments::{Flags, chosen};
use super::screen::tell;
use super::{Compute, Ended, thousands};

/// Classify pictures or rows with an exported model
///
/// What cannot be read or classified is a row with its error; all others are classified, and the exit code is 1, or 2 where a
/// table does not fit the model.
#[derive(Debug, Args)]
pub struct Predict {
    /// The model.pt
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    /// Pictures, folders of pictures, patterns such as 'scans/**/*.png', CSV files of rows, or - for CSV on standard input
    #[arg(value_name = "INPUT", required_unless_present = "paths_from")]
    inputs: Vec<PathBuf>,

    /// Classify what this list names, too: the path of a picture, a folder or a CSV file a line; - is standard input
    #[arg(long, value_name = "FILE")]
    paths_from: Option<PathBuf>,

    /// Folder of the images that a table names [default: that of the table, and those in it]
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,

    /// How many classes to give for each input, the most probable first
    #[arg(long, value_name = "K", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,

    /// Give the probabilities of all classes, too
    #[arg(long)]
    probabilities: bool,

    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "csv", value_parser = chosen::<Output>())]
    output: Output,

    /// In CSV, write ' before names that begin with =, +, - or @, which spreadsheets take for formulas
    #[arg(long)]
    escape_formulas: bool,

    /// Write what the last layer is given to this file: a NumPy array, float32 (inputs, width), NaN where there is an error
    #[arg(long, value_name = "FILE.npy")]
    embeddings: Option<PathBuf>,

    /// Inputs that go through the model together, and whose results are written together
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=65536))]
    batch_size: u32,

    /// How to handle categories in a table that the model was not trained on
    #[arg(long, value_name = "POLICY", default_value = "allow", value_parser = chosen::<OnUnknown>())]
    unknown: OnUnknown,

    #[command(flatten)]
    views: Flags<ViewOptions>,

    #[command(flatten)]
    compute: Compute,
}

impl Predict {
    pub fn run(self) -> anyhow::Result<Ended> {
        let device = self.compute.prepare()?;
        let classifier =
            Classifier::load_on(&self.model, device)?.with_unknown(self.unknown).with_views(&self.views)?;
        // A row takes a multiply-add a weight, or more.
        let work = classifier.values()?.saturating_mul(self.batch_size as usize);
        tch::set_num_threads(self.compute.threads.for_step(work).into());
        let batching = Batching {
            size: self.batch_size as usize,
            threads: self.compute.threads.count().into(),
            features: self.embeddings.is_some(),
        };
        let stream = classifier
            .stream(Sources::new(self.inputs, self.paths_from)?.with_images(self.images), batching)?;
        let form = Form {
            output: self.output,
            top_k: self.top_k as usize,
            probabilities: self.probabilities,
            escape_formulas: self.escape_formulas,
        };
        let mut out = std::io::stdout().lock();
        let found = classifier.write(stream, form, &mut out, self.embeddings.as_deref())?;
        if let Some(summary) = found.unknowns.summary(found.inputs) {
            tracing::warn!("{summary}");
        }
        if found.failed == 0 {
            return Ok(Ended::Well);
        }
        let (failed, inputs) = (thousands(found.failed), thousands(found.inputs));
        tell(&format!("{failed} of {inputs} inputs could not be classified"));
        match found.misfit {
            // Not one of many inputs is at fault, but what they were given as.
            Some(problem) => Err(Error::Usage(problem).into()),
            None => Ok(Ended::Badly),
        }
    }
}
