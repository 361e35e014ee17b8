//! `cresset eval`

use std::path::{Path, PathBuf};

use clap::Args;
use cresset::data::atomic;
use cresset::data::unknown::UnknownPolicy;
use cresset::data::{Grouping, GroupingOptions};
use cresset::error::Error;
use cresset::evaluate::ClassificationReport;
use cresset::evaluate::drift::DriftPolicy;
use cresset::evaluate::groups::GroupReport;
use cresset::loader::EvaluationLoader;
use cresset::model::Outputs;
use cresset::options::Config;
use cresset::predict::{self, Classifier, ViewOptions};
use cresset::run::{Examples, RankedRun, RunFolder};

use super::arguments::{Flags, chosen};
use super::drift::Drift;
use super::model_file::model_file;
use super::screen::tell;
use super::{Compute, Ended, show, thousands};

/// Evaluate an exported model on labeled examples
#[derive(Debug, Args)]
pub struct Eval {
    /// Exported model (model.pt, .pt2 or .onnx), run folder, or hf:USER/NAME
    #[arg(value_name = "MODEL|RUN")]
    model: PathBuf,

    /// Labeled examples: a CSV file, an image folder, or any other format [default: the validation set of the run]
    #[arg(value_name = "DATA")]
    data: Option<PathBuf>,

    /// Folder of the images listed in a table [default: the folder of the table and its subfolders]
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,

    /// Write all metrics to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write all metrics to this file, as CSV with one metric per row
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,

    /// How to handle categories in a table that the model was not trained on
    #[arg(long, value_name = "POLICY", default_value = "allow", value_parser = chosen::<UnknownPolicy>())]
    unknown: UnknownPolicy,

    #[command(flatten)]
    drift: Drift,

    #[command(flatten)]
    groups: Flags<GroupingOptions>,

    #[command(flatten)]
    views: Flags<ViewOptions>,

    #[command(flatten)]
    compute: Compute,
}

impl Eval {
    pub fn run(self) -> anyhow::Result<Ended> {
        let device = self.compute.prepare()?;
        let run = self.model.is_dir().then(|| RunFolder::open(&self.model)).transpose()?;
        let path = model_file(&self.model)?;
        if predict::metadata(&path)?.outputs == Outputs::Ranking {
            return self.of_recommendations(run.as_ref(), &path, device);
        }
        let classifier =
            Classifier::load_on(&path, device)?.with_unknown(self.unknown).with_views(&self.views)?;
        let (examples, grouping) = match (&self.data, &run) {
            (Some(data), _) => {
                let (examples, names) = classifier.read_labeled_from(data, self.images.as_deref())?;
                (examples, Grouping::read(&self.groups, data, &names)?)
            }
            (None, Some(run)) => self.validation_set(run, device)?,
            (None, None) => {
                let problem = "missing argument DATA: the labeled examples to evaluate the model on";
                return Err(Error::Usage(format!("{}: {problem}", path.display())).into());
            }
        };
        let (found, drift) = classifier.evaluate_with_drift(&*examples)?;
        if let (Some(drift), DriftPolicy::Refuse) = (&drift, self.drift.policy()) {
            drift.require_meaning()?;
        }
        let ood_scores = classifier.ood_scores(&*examples, &found)?;
        let classes = &classifier.metadata().classes;
        let groups = grouping.map(|grouping| {
            let grouping = grouping.select(examples.kept());
            GroupReport::new(&found, classes, &grouping, self.groups.least_group_rows)
        });
        let report = ClassificationReport {
            groups: groups.transpose()?,
            ..ClassificationReport::new(&found, classes)
        };
        let metadata = classifier.metadata();
        let report = report
            .with_outputs(&metadata.outputs, &found)
            .with_sets(metadata.conformal.as_ref(), &found)
            .with_ood(metadata.ood.as_ref(), ood_scores.as_deref());
        self.write(&report)?;
        show(&format!("{:<26} {}\n{}", "rows", thousands(report.rows as usize), report.to_text()))?;
        self.drift.report(drift.as_ref())?;
        Ok(Ended::Well)
    }

    /// Evaluates recommendations for the choices in the validation set of a run, or in a file.
    fn of_recommendations(
        &self,
        run: Option<&RunFolder>,
        path: &Path,
        device: tch::Device,
    ) -> anyhow::Result<Ended> {
        self.refuse_options_of_classifiers()?;
        let Some(run) = run else {
            let problem = "what users chose before is not recommended to them again, and only the run knows it; pass the run folder";
            return Err(Error::Usage(format!("{}: {problem}", path.display())).into());
        };
        let run = RankedRun::open(run, device)?;
        let found = match &self.data {
            None => run.evaluate(&run.examples.split.validation)?,
            Some(data) => {
                let choices = run.choices_in(data)?;
                let ([users, new], unknown) = (choices.users(), choices.unknown());
                if new > 0 {
                    tell(&format!(
                        "{new} of {users} users are not in the training data: what suits a user of whom nothing is known is recommended to them"
                    ));
                }
                if unknown > 0 {
                    tell(&format!(
                        "{unknown} choice(s) are of items that are not in the training data, and count as missed"
                    ));
                }
                run.recommender.evaluate(&choices)?
            }
        };
        let report = ClassificationReport::new(&found, &[]);
        self.write(&report)?;
        show(&format!("{:<26} {}\n{}", "rows", thousands(report.rows as usize), report.to_text()))?;
        Ok(Ended::Well)
    }

    /// Refuses options that have no meaning for recommendations.
    fn refuse_options_of_classifiers(&self) -> anyhow::Result<()> {
        let given = [
            ("--images", self.images.is_some()),
            ("--group-by and --groups", self.groups.group_by.is_some() || self.groups.groups.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((name, _)) => {
                let problem = "is not for a model of recommendations; remove the option";
                Err(Error::Usage(format!("{name} {problem}")).into())
            }
        }
    }

    /// Writes the report to the files of --json and --csv.
    fn write(&self, report: &ClassificationReport) -> anyhow::Result<()> {
        for (path, bytes) in [(&self.json, report.to_json().into_bytes()), (&self.csv, report.to_csv())] {
            if let Some(path) = path {
                atomic::write(path, &bytes)?;
            }
        }
        Ok(())
    }

    fn validation_set(
        &self,
        run: &RunFolder,
        device: tch::Device,
    ) -> anyhow::Result<(Box<dyn EvaluationLoader>, Option<Grouping>)> {
        let config = Config::read(&run.config_file())?;
        let examples = Examples::reopen_without_corrections(&config, run)?;
        let (dataset, rows) = (&examples.dataset, &examples.split.validation);
        let grouping = Grouping::read(&self.groups, &dataset.path, &dataset.names)?;
        let grouping = grouping.map(|grouping| grouping.select(rows.iter().map(|row| *row as usize)));
        Ok((examples.raw(rows, &config, device), grouping))
    }
}
