//! `cresset export`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use cresset::error::Error;
use cresset::pipeline;
use cresset::run::RunFolder;

use super::{Ended, show};

/// A checkpoint of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// The epoch with the least held-out loss
    Best,
    /// Where training stands, also of a run that is not complete
    Last,
}

/// Write a run's model as TorchScript again, from one of its checkpoints
#[derive(Debug, Args)]
pub struct Export {
    /// The folder of a run
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Which weights
    #[arg(long, value_name = "WHICH", default_value = "best")]
    checkpoint: Which,

    /// The file to write; it must not exist
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

impl Export {
    pub fn run(self) -> anyhow::Result<Ended> {
        let run = RunFolder::open(&self.run)?;
        let checkpoint = match self.checkpoint {
            Which::Best => run.best_checkpoint(),
            Which::Last => run.last_checkpoint(),
        };
        if self.output.exists() {
            let problem = "the file exists and was left as it is; name another one";
            return Err(Error::Usage(format!("--output {}: {problem}", self.output.display())).into());
        }
        let metadata = pipeline::export(&run, &checkpoint, &self.output)?;
        let accuracy = metadata.metrics.held_out["accuracy"].as_f64().unwrap_or_default();
        show(&format!("written {}: held-out accuracy {:.2} %\n", self.output.display(), 100. * accuracy))?;
        Ok(Ended::Well)
    }
}
