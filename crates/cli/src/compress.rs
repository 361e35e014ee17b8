//! `cresset compress`

use std::path::PathBuf;

use clap::Args;
use cresset::compress::{Compressed, Options, Watch, compress, to_table};
use cresset::data::terminal;
use cresset::error::{Error, Result};
use cresset::run::RunFolder;
use cresset::train::Callback;

use super::arguments::Flags;
use super::progress::Progress;
use super::{Ended, Trust, show};

/// Make the model of a run smaller and faster, and show what that costs
///
/// Each option makes models of its own, and together they make all combinations. With none, it is as with
/// `--quantize int8 --prune 0.5`.
#[derive(Debug, Args)]
pub struct Compress {
    /// The folder of a complete run
    #[arg(value_name = "RUN")]
    run: PathBuf,

    #[command(flatten)]
    options: Flags<Options>,

    #[command(flatten)]
    trust: Trust,
}

impl Compress {
    pub fn run(self) -> anyhow::Result<Ended> {
        self.trust.apply();
        let folder = RunFolder::open(&self.run)?;
        let models =
            compress(&folder, &self.options.into_options().or_usual(), &mut Narrator(Progress::new()))?;
        show(&report(&models))?;
        Ok(Ended::Well)
    }
}

/// Says what is being made.
struct Narrator(Progress);

impl Watch for Narrator {
    fn begins(&mut self, name: &str) -> Result<()> {
        show(&format!("making {name}\n")).map_err(|error| Error::Usage(format!("{error:#}")))
    }

    fn training(&mut self) -> &mut dyn Callback {
        &mut self.0
    }
}

fn report(models: &[Compressed]) -> String {
    let mut text =
        format!("\n{}\n* no other is better in something and worse in nothing\n", to_table(models));
    if let Some(chosen) = models.iter().find(|model| model.is_chosen) {
        text += &format!("→ {}, the lightest of those that lose little\n", terminal::path(&chosen.file));
    }
    text
}
