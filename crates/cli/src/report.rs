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

    #[command(flatten)]
    compute: Compute,
}

impl Report {
    pub fn run(self) -> anyhow::Result<Ended> {
        let device = self.compute.prepare()?;
        let run = RunFolder::open(&self.run)?;
        let path = self.output.unwrap_or_else(|| run.report());
        write_to(&run, device, &path)?;
        Ok(Ended::Well)
    }
}

/// Writes report.html to the run folder.
pub fn write(run: &RunFolder, device: Device) -> anyhow::Result<()> {
    write_to(run, device, &run.report())
}

fn write_to(run: &RunFolder, device: Device, path: &Path) -> anyhow::Result<()> {
    let page = Page::of(run, device)?;
    atomic::write(path, page.to_html().as_bytes())?;
    show(&format!("written to {}\n", terminal::path(path)))
}
