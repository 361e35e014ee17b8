//! Cross-validation: one model per fold, each evaluated on the examples of its fold.
//!
//! ```text
//! runs/iris-mlp-1/
//!   config.toml    options of all folds
//!   fold-1/ …      one run per fold
//!   folds.csv      metrics of each fold
//! ```

use std::path::{Path, PathBuf};

use serde::Serialize;
use tch::Device;

use super::resolved::SourceData;
use super::{Resolved, Run};
use crate::data::atomic;
use crate::distributed::World;
use crate::error::{Error, Result, catch_panics};
use crate::evaluate::METRICS;
use crate::options::Config;
use crate::predict::Classifier;
use crate::recipe::NONE;
use crate::run::{RunFolder, RunLock};

/// A cross-validation. Its state is in its folder, so it can be interrupted and resumed at any time.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::run::{self, CrossValidation, spread};
/// use cresset::train::Silent;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("folds");
/// let config = Config { data: "iris".into(), folds: Some(3), epochs: 2, ..Config::default() };
/// let folds = CrossValidation::start(&config, Some(&out))?;
/// while let Some((_fold, run)) = folds.next()? {
///     run::finish(run, &mut Silent, &|| false)?;
/// }
/// let figures = folds.figures()?;
/// assert_eq!(figures.iter().map(|fold| fold.rows).sum::<usize>(), 150);
/// assert!(spread(&figures, |fold| fold.loss).deviation > 0.);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct CrossValidation {
    config: Config,
    folds: u32,
    folder: RunFolder,
    /// Texts, so that they are read once for all folds.
    data: Option<SourceData>,
    _writer: RunLock,
}

/// Metrics of the model of one fold.
///
/// ```
/// use cresset::run::FoldFigures;
///
/// let fold = FoldFigures { fold: 1, rows: 50, loss: 0.4, metrics: vec![Some(0.9), None] };
/// assert_eq!(serde_json::to_value(&fold).unwrap()["rows"], 50);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoldFigures {
    /// The fold, from 1.
    pub fold: u32,
    /// Number of validation examples.
    pub rows: usize,
    /// Mean loss ([`Evaluation::loss`](crate::evaluate::Evaluation::loss)).
    pub loss: f64,
    /// The metrics that are defined, in the order of [`METRICS`].
    pub metrics: Vec<Option<f64>>,
}

/// Mean and sample standard deviation (with K − 1) of a metric over the folds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub deviation: f64,
}

impl CrossValidation {
    /// Starts a cross-validation in a new folder: `out`, or the next free one in `runs/`.
    ///
    /// # Errors
    /// If `folds` is not set or `fold` is, or the folder cannot be used.
    pub fn start(config: &Config, out: Option<&Path>) -> Result<Self> {
        folds_of(config)?;
        let world = &World::alone();
        Self::start_resolved(Resolved::new(config, world)?.with_pretrained(world, &mut |_| {})?, out)
    }

    /// Like [`CrossValidation::start`], with resolved options.
    ///
    /// # Errors
    /// Those of [`CrossValidation::start`].
    pub fn start_resolved(resolved: Resolved, out: Option<&Path>) -> Result<Self> {
        let config = resolved.config.clone();
        let folds = folds_of(&config)?;
        // Check options and data before creating a folder.
        let shared = resolved.data.as_ref().and_then(SourceData::shared_texts);
        let first = Config { fold: Some(1), ..resolved.config };
        super::Prepared::of_resolved(Resolved { config: first, ..resolved })?;
        let folder = RunFolder::create_parent(out, &config)?;
        let lock = folder.lock()?;
        Ok(CrossValidation { config, folds, folder, data: shared, _writer: lock })
    }

    /// Opens an existing cross-validation. `config` has its options, possibly with another device.
    ///
    /// # Errors
    /// If another process is running it.
    pub fn open(config: &Config, folder: RunFolder) -> Result<Self> {
        let (folds, lock) = (folds_of(config)?, folder.lock()?);
        // The recipe was applied at the start; earlier versions had none.
        let config = Config { recipe: NONE.to_string(), ..config.clone() };
        Ok(CrossValidation { config, folds, folder, data: None, _writer: lock })
    }

    /// The folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// The number of folds.
    pub fn folds(&self) -> u32 {
        self.folds
    }

    /// The run of the first incomplete fold with its number: new, or resumed from its last checkpoint. `None` if all folds
    /// are complete.
    pub fn next(&self) -> Result<Option<(u32, Run)>> {
        let Some(fold) = (1..=self.folds).find(|fold| !self.path(*fold).join("model.pt").is_file()) else {
            return Ok(None);
        };
        let data = self.data.as_ref().and_then(SourceData::shared_texts);
        Ok(Some((fold, super::start_or_resume(&self.config_of(fold), data, &self.path(fold))?)))
    }

    /// Options and folder of a complete fold.
    pub fn complete(&self, fold: u32) -> Result<(Config, RunFolder)> {
        Ok((self.config_of(fold), RunFolder::open(&self.path(fold))?))
    }

    /// Metrics of all folds, also written to folds.csv. All folds must be complete.
    pub fn figures(&self) -> Result<Vec<FoldFigures>> {
        catch_panics(|| {
            let figures: Vec<_> =
                (1..=self.folds).map(|fold| self.figures_of(fold)).collect::<Result<_>>()?;
            atomic::write(&self.folder.path().join("folds.csv"), &to_csv(&figures))?;
            Ok(figures)
        })
    }

    fn figures_of(&self, fold: u32) -> Result<FoldFigures> {
        let path = self.path(fold).join("model.pt");
        let classifier = Classifier::load_on(&path, Device::Cpu)?;
        let found = &classifier.metadata().metrics;
        // Some metrics may be undefined, such as ROC-AUC if a class has no examples.
        let metrics = METRICS.iter().map(|metric| found.validation.get(metric.name).and_then(|m| m.as_f64()));
        let metrics = metrics.collect();
        Ok(FoldFigures { fold, rows: found.validation_rows, loss: found.validation_loss, metrics })
    }

    fn path(&self, fold: u32) -> PathBuf {
        self.folder.path().join(format!("fold-{fold}"))
    }

    fn config_of(&self, fold: u32) -> Config {
        Config { fold: Some(fold), ..self.config.clone() }
    }
}

/// The indexes in [`METRICS`] of the metrics that a fold has: others belong to other tasks.
///
/// ```
/// use cresset::run::{FoldFigures, known_metrics};
///
/// let fold = FoldFigures { fold: 1, rows: 50, loss: 0.4, metrics: vec![Some(0.9), None] };
/// assert_eq!(known_metrics(&[fold]), [0]);
/// ```
pub fn known_metrics(figures: &[FoldFigures]) -> Vec<usize> {
    let count = figures.first().map_or(0, |fold| fold.metrics.len());
    (0..count).filter(|index| figures.iter().any(|fold| fold.metrics[*index].is_some())).collect()
}

/// One row for each fold, with a column for each metric that a fold has: other metrics belong to other tasks.
fn to_csv(figures: &[FoldFigures]) -> Vec<u8> {
    let known = known_metrics(figures);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = known.iter().map(|index| METRICS[*index].column());
    let header = ["fold", "rows", "loss"].map(String::from).into_iter().chain(names);
    writer.write_record(header).expect("writing to memory does not fail");
    for FoldFigures { fold, rows, loss, metrics } in figures {
        let fixed = [fold.to_string(), rows.to_string(), loss.to_string()].into_iter();
        let values =
            known.iter().map(|index| metrics[*index].map_or(String::new(), |value| value.to_string()));
        writer.write_record(fixed.chain(values)).expect("writing to memory does not fail");
    }
    writer.into_inner().expect("writing to memory does not fail")
}

fn folds_of(config: &Config) -> Result<u32> {
    if config.feedback.is_some() {
        let problem = "cross-validation does not support --feedback";
        return Err(Error::Usage(problem.to_string()));
    }
    config.split_plan()?;
    match (config.folds, config.fold) {
        (Some(folds), None) => Ok(folds),
        _ => Err(Error::Usage("cross-validation requires --folds without --fold".to_string())),
    }
}

/// Mean and standard deviation of a metric over the folds.
///
/// ```
/// use cresset::run::{FoldFigures, spread};
///
/// let fold = |fold, loss| FoldFigures { fold, rows: 50, loss, metrics: Vec::new() };
/// let loss = spread(&[fold(1, 0.3), fold(2, 0.5)], |fold| fold.loss);
/// assert!((loss.mean - 0.4).abs() < 1e-9 && (loss.deviation - 0.02f64.sqrt()).abs() < 1e-9);
/// ```
pub fn spread(figures: &[FoldFigures], of: impl Fn(&FoldFigures) -> f64) -> Spread {
    let count = figures.len() as f64;
    let mean = figures.iter().map(&of).sum::<f64>() / count;
    let squares = figures.iter().map(|fold| (of(fold) - mean).powi(2)).sum::<f64>();
    Spread { mean, deviation: (squares / (count - 1.)).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean of 2, 4, 4, 4, 5, 5, 7, 9: 5; sample standard deviation: √(32 / 7).
    #[test]
    fn the_deviation_is_that_of_the_sample() {
        let figures: Vec<_> = [2., 4., 4., 4., 5., 5., 7., 9.]
            .map(|loss| FoldFigures { fold: 1, rows: 1, loss, metrics: Vec::new() })
            .into();
        let spread = spread(&figures, |fold| fold.loss);
        assert_eq!((spread.mean, spread.deviation), (5., (32f64 / 7.).sqrt()));
    }
}
