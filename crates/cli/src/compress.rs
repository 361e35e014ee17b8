//! `cresset compress`

use std::path::PathBuf;

use clap::Args;
use cresset::compress::{CompressOptions, Compressed, CompressionCallback, compress, to_table};
use cresset::data::terminal;
use cresset::error::{Error, Result};
use cresset::run::RunFolder;
use cresset::train::Callback;

use super::arguments::Flags;
use super::progress::Progress;
use super::{Ended, Trust, show};

/// Compress the model of a run (quantization, pruning, distillation), and show the loss in accuracy
///
/// Writes a model for each option and for each combination of them. The default is `--quantize int8 --prune 0.5`.
#[derive(Debug, Args)]
pub struct Compress {
    /// Folder of a finished run
    #[arg(value_name = "RUN")]
    run: PathBuf,

    #[command(flatten)]
    options: Flags<CompressOptions>,

    #[command(flatten)]
    trust: Trust,
}

impl Compress {
    pub fn run(self) -> anyhow::Result<Ended> {
        self.trust.apply();
        let folder = RunFolder::open(&self.run)?;
        let options = self.options.into_options();
        let max_loss = options.max_loss;
        let models = compress(&folder, &options, &mut ProgressPrinter(Progress::new()))?;
        show(&report(&models, max_loss))?;
        Ok(Ended::Well)
    }
}

/// Prints the name of each model before it is built.
struct ProgressPrinter(Progress);

impl CompressionCallback for ProgressPrinter {
    fn begins(&mut self, name: &str) -> Result<()> {
        show(&format!("building {name}\n")).map_err(|error| Error::Usage(format!("{error:#}")))
    }

    fn skips(&mut self, reason: &str) -> Result<()> {
        show(&format!("not pruned: {reason}\n")).map_err(|error| Error::Usage(format!("{error:#}")))
    }

    fn training(&mut self) -> &mut dyn Callback {
        &mut self.0
    }
}

fn report(models: &[Compressed], max_loss: f64) -> String {
    let mut text = format!(
        "\n{}\n* Pareto-optimal: no other model is better in one column and at least as good in all others\n",
        to_table(models)
    );
    if let Some(chosen) = models.iter().find(|model| model.is_chosen) {
        let (file, score) = (terminal::path(&chosen.file), chosen.outputs.score_name());
        text += &match chosen.name.as_str() {
            "original" => format!(
                "→ the original: no model is smaller or faster, as fast on one example, and loses at most {max_loss} points of {score}\n"
            ),
            _ => format!(
                "→ {file}: small and fast, no slower on one example, and at most {max_loss} points below the original in {score}\n"
            ),
        };
    }
    if models.iter().any(|model| model.interval.is_some()) {
        text +=
            "Differences within the 95 % intervals may be chance: they come from a finite validation set\n";
    }
    text
}
