//! `cresset eval`

use std::path::PathBuf;

use clap::Args;
use cresset::config::Config;
use cresset::error::Error;
use cresset::evaluate::Report;
use cresset::feed::HeldOutFeed;
use cresset::pipeline::Examples;
use cresset::predict::{Classifier, ViewOptions};
use cresset::run::{RunFolder, atomic};

use super::{Compute, Ended, show, thousands};

/// Measure an exported model on labelled examples
#[derive(Debug, Args)]
pub struct Eval {
    /// A model.pt, or the folder of a run
    #[arg(value_name = "MODEL|RUN")]
    model: PathBuf,

    /// Labelled examples: a CSV file, a folder of pictures, or any other format [default: the held-out ones of the run]
    #[arg(value_name = "DATA")]
    data: Option<PathBuf>,

    /// Write all figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write all figures to this file, as CSV: a row a figure
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,

    #[command(flatten)]
    views: ViewOptions,

    #[command(flatten)]
    compute: Compute,
}

impl Eval {
    pub fn run(self) -> anyhow::Result<Ended> {
        let device = self.compute.prepare()?;
        let run = self.model.is_dir().then(|| RunFolder::open(&self.model)).transpose()?;
        let path = run.as_ref().map_or(self.model.clone(), RunFolder::model);
        let classifier = Classifier::load(&path, device)?.with_views(&self.views)?;
        let examples = match (&self.data, &run) {
            (Some(data), _) => classifier.read_labelled(data)?,
            (None, Some(run)) => held_out(run, device)?,
            (None, None) => {
                let problem = "name the data to measure the model on, behind the model";
                return Err(Error::Usage(format!("{}: {problem}", path.display())).into());
            }
        };
        let found = classifier.evaluate(&*examples)?;
        let report = Report::new(&found, &classifier.metadata().classes);
        for (path, bytes) in [(&self.json, report.to_json().into_bytes()), (&self.csv, report.to_csv())] {
            if let Some(path) = path {
                atomic::write(path, &bytes)?;
            }
        }
        show(&format!("{:<26} {}\n{}", "rows", thousands(report.rows as usize), report.to_text()))?;
        Ok(Ended::Well)
    }
}

fn held_out(run: &RunFolder, device: tch::Device) -> anyhow::Result<Box<dyn HeldOutFeed>> {
    let config = Config::read(&run.config_file())?;
    Ok(Examples::again(&config, run)?.raw_held_out(&config, device))
}
