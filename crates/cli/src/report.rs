//! `cresset report`

use std::path::{Path, PathBuf};

use clap::Args;
use cresset::data::atomic;
use cresset::data::terminal;
use cresset::report::Report as Page;
use cresset::run::RunFolder;
use tch::Device;

use super::{Compute, Ended, show};

/// Write an HTML report of a run: learning curves, confusion matrix, and the most confident errors with their saliency
#[derive(Debug, Args)]
pub struct Report {
    /// Run folder
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Output file [default: report.html in the run folder]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Show served inputs and predictions against the training data, from a JSON file of `cresset serve --drift` or `cresset predict
    /// --drift`
    #[arg(long, value_name = "FILE")]
    served: Option<PathBuf>,

    #[command(flatten)]
    compute: Compute,
}

impl Report {
    pub fn run(self) -> anyhow::Result<Ended> {
        let device = self.compute.prepare()?;
        let run = RunFolder::open(&self.run)?;
        let path = self.output.unwrap_or_else(|| run.report());
        write_to(&run, device, &path, self.served.as_deref())?;
        Ok(Ended::Well)
    }
}

/// Writes report.html to the run folder.
pub fn write(run: &RunFolder, device: Device) -> anyhow::Result<()> {
    write_to(run, device, &run.report(), None)
}

fn write_to(run: &RunFolder, device: Device, path: &Path, served: Option<&Path>) -> anyhow::Result<()> {
    let mut page = Page::of(run, device)?;
    if let Some(served) = served {
        page = page.with_served(served)?;
    }
    atomic::write(path, page.to_html().as_bytes())?;
    show(&format!("written to {}\n", terminal::path(path)))
}
