//! `cresset eval`

use std::path::PathBuf;

use clap::Args;
use cresset::config::Config;
use cresset::error::Error;
use cresset::evaluate::{Evaluation, METRICS};
use cresset::feed::HeldOutFeed;
use cresset::pipeline::Prepared;
use cresset::predict::Classifier;
use cresset::run::RunFolder;

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

    #[command(flatten)]
    compute: Compute,
}

impl Eval {
    pub fn run(self) -> anyhow::Result<Ended> {
        let device = self.compute.prepare()?;
        let run = self.model.is_dir().then(|| RunFolder::open(&self.model)).transpose()?;
        let path = run.as_ref().map_or(self.model.clone(), RunFolder::model);
        let classifier = Classifier::load(&path, device)?;
        let examples = match (&self.data, &run) {
            (Some(data), _) => classifier.read_labelled(data)?,
            (None, Some(run)) => held_out(run, device)?,
            (None, None) => {
                let problem = "name the data to measure the model on, behind the model";
                return Err(Error::Usage(format!("{}: {problem}", path.display())).into());
            }
        };
        show(&report(&classifier.evaluate(&*examples)?, &classifier.metadata().classes))?;
        Ok(Ended::Well)
    }
}

fn held_out(run: &RunFolder, device: tch::Device) -> anyhow::Result<Box<dyn HeldOutFeed>> {
    let config = Config::read(&run.config_file())?;
    Ok(Prepared::again(&config, run)?.raw_held_out(&config, device))
}

fn report(found: &Evaluation, classes: &[String]) -> String {
    let confusion = &found.confusion;
    let mut lines = vec![
        format!("{:<18} {}", "rows", thousands(confusion.total() as usize)),
        format!("{:<18} {:.4}", "loss", found.loss),
    ];
    lines.extend(
        METRICS.iter().map(|metric| format!("{:<18} {:.2} %", metric.name, 100. * (metric.of)(confusion))),
    );
    let width = classes.iter().map(|class| class.chars().count()).max().unwrap_or(0).max(5);
    lines.push(format!(
        "\n{:<width$}  {:>6}  {:>9}  {:>8}  {:>8}",
        "class", "rows", "precision", "recall", "F1"
    ));
    let percent =
        |figure: Option<f64>| figure.map_or("–".to_string(), |figure| format!("{:.2} %", 100. * figure));
    lines.extend(classes.iter().enumerate().map(|(index, class)| {
        format!(
            "{class:<width$}  {:>6}  {:>9}  {:>8}  {:>8}",
            confusion.support(index),
            percent(confusion.precision(index)),
            percent(confusion.recall(index)),
            percent(confusion.f1(index)),
        )
    }));
    lines.join("\n") + "\n"
}
