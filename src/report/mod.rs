//! The HTML report of a run: one self-contained page that loads nothing from the network.
//!
//! Curves and options come from the run folder; everything else is measured again, as for the model card.

pub mod audit;
pub mod card;
mod chart;
mod column_charts;
pub mod columns;
mod errors;
pub mod html;
#[cfg(feature = "mlflow")]
pub mod mlflow;
mod page;
mod plot;
#[cfg(feature = "hub")]
mod push;
mod recommendations;
pub mod runs;
mod section;
mod speed;
#[cfg(feature = "tensorboard")]
pub mod tensorboard;
pub mod texts;

use std::path::Path;

use image::RgbImage;
use tch::Device;

use crate::data::audit::{Audit, audit};
use crate::data::{Dataset, Inputs};
use crate::error::{Error, Result, catch_panics};
use crate::evaluate::drift::DriftReport;
use crate::evaluate::{self, Evaluation};
use crate::export::Metadata;
use crate::loader::decode_all;
use crate::loader::sheet::augmentation_sheet;
use crate::model::Outputs;
use crate::options::Config;
use crate::predict::{self, Classifier};
use crate::report::card::ModelFile;
use crate::run::RunFolder;
use crate::run::{Examples, FinishedRun, RankedRun};
use crate::train::{EpochRecord, MetricsLog};
use columns::ColumnReport;
use errors::ShownError;
#[cfg(feature = "hub")]
pub use push::{PushOptions, Repository, push};
use recommendations::RecommendedItems;
use speed::Speed;

/// The contents of a report.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::report::Report;
/// use cresset::run::RunFolder;
/// use tch::Device;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let html = Report::of(&RunFolder::open(fitted.folder())?, Device::Cpu)?.to_html();
/// assert!(html.starts_with("<!doctype html>"));
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Report {
    name: String,
    config: Config,
    metadata: Metadata,
    file: ModelFile,
    parameters: usize,
    epochs: Vec<EpochRecord>,
    /// Evaluation on the validation set.
    evaluation: Evaluation,
    figures: evaluate::ClassificationReport,
    /// Metrics on the test set, for labels and numbers, if there is one.
    test: Option<evaluate::ClassificationReport>,
    /// The most confident or the largest errors.
    errors: Vec<ShownError>,
    /// Original and augmented training images.
    sheet: Option<RgbImage>,
    /// `None` if the dataset is too large to audit for a report.
    audit: Option<Audit>,
    speed: Speed,
    /// The number of tokens of each text of the validation set; `None` for other data.
    text_lengths: Option<Vec<usize>>,
    /// The columns of a table; `None` for images and texts.
    columns: Option<ColumnReport>,
    /// Served inputs and predictions against the training data.
    served: Option<DriftReport>,
    /// What is recommended; `None` for other tasks.
    recommended: Option<RecommendedItems>,
}

/// Maximum number of examples for an audit: a report should not take long.
const MAX_AUDITED: usize = 20_000;

/// Number of rows in the sheet of augmented images.
const SHEET_ROWS: usize = 4;

impl Report {
    /// Evaluates the exported model of a run on its validation set, and explains its most confident errors.
    ///
    /// # Errors
    /// If the run has no model or the model of another run, or if the data is missing or has changed.
    pub fn of(run: &RunFolder, device: Device) -> Result<Self> {
        catch_panics(|| {
            let config = Config::read(&run.config_file())?;
            if predict::metadata(&FinishedRun::model(run, &config)?)?.outputs == Outputs::Ranking {
                return Report::of_recommendations(run, device);
            }
            let finished = FinishedRun::open(run, device)?;
            let columns = ColumnReport::of(&finished)?;
            let FinishedRun { classifier, config, examples } = finished;
            let metadata = classifier.metadata().clone();
            let feed = examples.raw(&examples.split.validation, &config, device);
            let evaluation = classifier.evaluate(&*feed)?;
            let ood_scores = classifier.ood_scores(&*feed, &evaluation)?;
            let rows: Vec<i64> =
                feed.kept().into_iter().map(|place| examples.split.validation[place]).collect();
            Ok(Report {
                name: run.name(),
                file: ModelFile::of(&run.model())?,
                parameters: classifier.parameters()?,
                epochs: MetricsLog::read(&run.metrics())?,
                figures: figures(&evaluation, ood_scores.as_deref(), &metadata),
                test: test(&classifier, &examples, &config)?,
                errors: errors::worst_errors(&classifier, &examples, &config, &evaluation, &rows)?,
                sheet: sheet(&examples, &config)?,
                audit: audit_if_small(&examples.dataset, &config)?,
                speed: Speed::of(&classifier, &examples, &config, &rows)?,
                text_lengths: text_lengths(&examples.dataset, &rows),
                columns,
                config,
                metadata,
                evaluation,
                served: None,
                recommended: None,
            })
        })
    }

    /// Evaluates the recommendations of a run for the users of its validation and test sets.
    fn of_recommendations(run: &RunFolder, device: Device) -> Result<Self> {
        let ranked = RankedRun::open(run, device)?;
        let Examples { dataset, split, .. } = &ranked.examples;
        let evaluation = ranked.evaluate(&split.validation)?;
        let metadata = ranked.recommender.metadata().clone();
        let test = (!split.test.is_empty()).then(|| ranked.evaluate(&split.test)).transpose()?;
        Ok(Report {
            name: run.name(),
            file: ModelFile::of(&run.model())?,
            parameters: ranked.recommender.parameters()?,
            epochs: MetricsLog::read(&run.metrics())?,
            figures: figures(&evaluation, None, &metadata),
            test: test.map(|test| figures(&test, None, &metadata)),
            errors: Vec::new(),
            sheet: None,
            audit: audit_if_small(dataset, &ranked.config)?,
            speed: Speed::of_recommendations(&ranked.recommender)?,
            text_lengths: None,
            columns: None,
            recommended: RecommendedItems::of(&ranked, &evaluation),
            served: None,
            config: ranked.config,
            metadata,
            evaluation,
        })
    }

    /// Adds the served inputs and predictions in the JSON file at `path`, which `cresset serve --drift` or `cresset predict --drift`
    /// wrote.
    ///
    /// # Errors
    /// If the file cannot be read, or is of a model with other training data.
    pub fn with_served(self, path: &Path) -> Result<Self> {
        let served = DriftReport::read(path)?;
        if served.data_sha256 != self.metadata.data_sha256 {
            let problem = format!(
                "it compares inputs with the training data of another model than that of the run {}",
                self.name
            );
            return Err(Error::artifact(path, problem));
        }
        Ok(Report { served: Some(served), ..self })
    }

    /// Renders the page.
    pub fn to_html(&self) -> String {
        page::of(self)
    }
}

fn figures(
    evaluation: &Evaluation,
    ood_scores: Option<&[f32]>,
    metadata: &Metadata,
) -> evaluate::ClassificationReport {
    evaluate::ClassificationReport::new(evaluation, &metadata.classes)
        .with_outputs(&metadata.outputs, evaluation)
        .with_sets(metadata.conformal.as_ref(), evaluation)
        .with_ood(metadata.ood.as_ref(), ood_scores)
}

/// The metrics of labels and numbers on the test set. Thresholds and intervals were fitted to the validation set, so only a test set
/// shows how good they are.
fn test(
    classifier: &Classifier,
    examples: &Examples,
    config: &Config,
) -> Result<Option<evaluate::ClassificationReport>> {
    let rows = &examples.split.test;
    if classifier.metadata().outputs.is_classification() || rows.is_empty() {
        return Ok(None);
    }
    let evaluation = classifier.evaluate(&*examples.raw(rows, config, classifier.device()))?;
    Ok(Some(figures(&evaluation, None, classifier.metadata())))
}

/// The number of tokens of each of these examples, if they are texts.
fn text_lengths(dataset: &Dataset, rows: &[i64]) -> Option<Vec<usize>> {
    let (Some(table), Inputs::Floats(values)) = (&dataset.table, &dataset.inputs) else { return None };
    let width = table.is_text().then(|| table.features())?;
    let ids = |row: &i64| &values[*row as usize * width..][..width];
    Some(rows.iter().map(|row| ids(row).iter().filter(|id| **id > 0.).count()).collect())
}

/// A contact sheet of augmented training images.
fn sheet(examples: &Examples, config: &Config) -> Result<Option<RgbImage>> {
    let Examples { dataset, split, augmentation, .. } = examples;
    if augmentation.is_none() {
        return Ok(None);
    }
    let shown: Vec<usize> = split.train.iter().take(SHEET_ROWS).map(|row| *row as usize).collect();
    let threads = config.threads.count().into();
    let few = decode_all(dataset.select(&shown), threads, 1.)?;
    if few.rows() == 0 {
        return Ok(None);
    }
    let rows = (0..SHEET_ROWS).map(|_| config.augment.parse().map_err(Error::Usage));
    augmentation_sheet(&few, &rows.collect::<Result<Vec<_>>>()?, config.seed).map(Some)
}

fn audit_if_small(dataset: &Dataset, config: &Config) -> Result<Option<Audit>> {
    if dataset.rows() > MAX_AUDITED {
        return Ok(None);
    }
    Ok(Some(audit(&config.data, &config.reading, config.threads.count().into())?.0))
}
