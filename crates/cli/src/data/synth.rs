//! `cresset data synth`

use std::path::PathBuf;

use clap::Args;
use cresset::data::terminal;
use cresset::error::Error;
use cresset::loader::synthesis::Synthesis;

use super::Source;
use crate::Ended;
use crate::show;
use crate::thousands;

/// Synthesize a larger set of images from a small one, as a folder for training
#[derive(Debug, Args)]
pub struct Synth {
    #[command(flatten)]
    source: Source,

    /// Output folder, which must be new or empty; the original images are written there, too
    #[arg(long, value_name = "DIR")]
    output: PathBuf,

    /// Number of synthetic images per class
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    per_class: u32,

    /// Augmentation of each image, as in `cresset train --augment`
    #[arg(long, value_name = "CHANGES", default_value = "digits")]
    augment: String,

    /// Share of images that are mixed from two real ones of their class
    #[arg(long, value_name = "SHARE", default_value = "0.5")]
    mixed: f64,

    /// Random seed
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
}

impl Synth {
    pub fn run(self) -> anyhow::Result<Ended> {
        if !(0. ..=1.).contains(&self.mixed) {
            return Err(Error::Usage(format!("--mixed {}: expected a number from 0 to 1", self.mixed)).into());
        }
        let augmentation = self.augment.parse().map_err(Error::Usage)?;
        let dataset = self.source.decoded()?;
        let Synth { per_class, mixed, seed, .. } = self;
        let count = Synthesis { per_class, mixed, augmentation, seed }.write(&dataset, &self.output)?;
        show(&format!(
            "wrote {} real and {} synthetic images to {}\n",
            thousands(dataset.rows()),
            thousands(count),
            terminal::path(&self.output)
        ))?;
        Ok(Ended::Well)
    }
}
