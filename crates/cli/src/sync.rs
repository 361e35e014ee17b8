//! `cresset sync`

use std::path::PathBuf;

use clap::Args;
use cresset::data::terminal;
use cresset::report::mlflow;
use cresset::run::RunFolder;

use super::screen::tell;
use super::{Ended, show, thousands};

/// Send to the MLflow server what it missed while runs trained with --mlflow
#[derive(Debug, Args)]
pub struct Sync {
    /// Run folders
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,

    /// Send the runs to another server: the address replaces that of the training
    #[arg(long, value_name = "URI")]
    mlflow: Option<String>,
}

impl Sync {
    pub fn run(self) -> anyhow::Result<Ended> {
        let mut ended = Ended::Well;
        for path in &self.runs {
            let run = RunFolder::open(path)?;
            // A process that trains sends its reports itself.
            let _lock = run.lock()?;
            let (sent, refused) =
                mlflow::sync(path, self.mlflow.as_deref()).map_err(cresset::error::Error::from)?;
            for problem in &refused {
                tell(&format!("{}: {problem}", terminal::path(path)));
                ended = Ended::Badly;
            }
            let sent = sent - refused.len();
            show(&format!("{}: {} records sent\n", terminal::path(path), thousands(sent)))?;
        }
        Ok(ended)
    }
}
