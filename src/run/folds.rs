//! Cross-validation: a model a fold, each measured on the rows that it did not see.
//!
//! ```text
//! runs/iris-mlp-1/
//!   config.toml    the options of all folds
//!   fold-1/ …      a run a fold, like any other
//!   folds.csv      the figures of each fold
//! ```

use std::path::{Path, PathBuf};

use serde::Serialize;
use tch::Device;

use super::Run;
use crate::data::atomic;
use crate::error::{Error, Result, guard};
use crate::evaluate::METRICS;
use crate::options::Config;
use crate::predict::Classifier;
use crate::run::{RunFolder, Writer};

/// A cross-validation under way. What is done stands in its folder, so it can be left and opened again at any moment.
#[derive(Debug)]
pub struct CrossValidation {
    config: Config,
    folds: u32,
    folder: RunFolder,
    _writer: Writer,
}

/// The figures of one fold's model on the rows that it did not see.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoldFigures {
    /// The fold, from 1.
    pub fold: u32,
    /// The number of rows measured on.
    pub rows: usize,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// The metrics that have a value, in the order of [`METRICS`].
    pub metrics: Vec<Option<f64>>,
}

/// Mean and standard deviation (of the sample, so with K − 1 below) of a figure over the folds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The deviation.
    pub deviation: f64,
}

impl CrossValidation {
    /// Begins a cross-validation in a new folder: `out`, or the next free one below `runs/`.
    ///
    /// # Errors
    /// Options without `folds`, or with a single fold; a folder that cannot be used.
    pub fn start(config: &Config, out: Option<&Path>) -> Result<Self> {
        let folds = folds_of(config)?;
        // Faults of the options and the data are found before a folder is made.
        super::Prepared::new(&Config { fold: Some(1), ..config.clone() })?;
        let folder = RunFolder::create_parent(out, config)?;
        let writer = folder.writer()?;
        Ok(CrossValidation { config: config.clone(), folds, folder, _writer: writer })
    }

    /// Opens a cross-validation that was begun. `config` is its own, perhaps with another device.
    ///
    /// # Errors
    /// A process that works on it.
    pub fn open(config: &Config, folder: RunFolder) -> Result<Self> {
        let (folds, writer) = (folds_of(config)?, folder.writer()?);
        Ok(CrossValidation { config: config.clone(), folds, folder, _writer: writer })
    }

    /// Its folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// The number of folds.
    pub fn folds(&self) -> u32 {
        self.folds
    }

    /// The run of the first fold that is not complete, with its number: begun anew, or at its last checkpoint. None when
    /// all are complete.
    pub fn next(&self) -> Result<Option<(u32, Run)>> {
        let Some(fold) = (1..=self.folds).find(|fold| !self.path(*fold).join("model.pt").is_file()) else {
            return Ok(None);
        };
        Ok(Some((fold, super::start_or_go_on(&self.config_of(fold), &self.path(fold))?)))
    }

    /// The complete run of a fold: its options and its folder.
    pub fn complete(&self, fold: u32) -> Result<(Config, RunFolder)> {
        Ok((self.config_of(fold), RunFolder::open(&self.path(fold))?))
    }

    /// The figures of all folds, once all are complete; written to folds.csv too.
    pub fn figures(&self) -> Result<Vec<FoldFigures>> {
        guard(|| {
            let figures: Vec<_> =
                (1..=self.folds).map(|fold| self.figures_of(fold)).collect::<Result<_>>()?;
            // The names of the metrics are the header's last columns, which serde cannot know.
            let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
            let names = METRICS.iter().map(|metric| metric.column());
            let header = ["fold", "rows", "loss"].map(String::from).into_iter().chain(names);
            writer.write_record(header).expect("a record can be written to memory");
            for fold in &figures {
                writer.serialize(fold).expect("a record can be written to memory");
            }
            let bytes = writer.into_inner().expect("a record can be written to memory");
            atomic::write(&self.folder.path().join("folds.csv"), &bytes)?;
            Ok(figures)
        })
    }

    fn figures_of(&self, fold: u32) -> Result<FoldFigures> {
        let path = self.path(fold).join("model.pt");
        let classifier = Classifier::load_on(&path, Device::Cpu)?;
        let found = &classifier.metadata().metrics;
        // Some have no value on some rows, such as the ROC-AUC where a class has none.
        let metrics = METRICS.iter().map(|metric| found.held_out.get(metric.name).and_then(|m| m.as_f64()));
        let metrics = metrics.collect();
        Ok(FoldFigures { fold, rows: found.held_out_rows, loss: found.held_out_loss, metrics })
    }

    fn path(&self, fold: u32) -> PathBuf {
        self.folder.path().join(format!("fold-{fold}"))
    }

    fn config_of(&self, fold: u32) -> Config {
        Config { fold: Some(fold), ..self.config.clone() }
    }
}

fn folds_of(config: &Config) -> Result<u32> {
    if config.feedback.is_some() {
        let problem = "a cross-validation takes no --feedback: corrections are held out of none of its folds";
        return Err(Error::Usage(problem.to_string()));
    }
    match (config.folds, config.fold) {
        (Some(folds), None) => Ok(folds),
        _ => Err(Error::Usage("a cross-validation takes --folds, and no --fold".to_string())),
    }
}

/// Mean and deviation of a figure over the folds.
pub fn spread(figures: &[FoldFigures], of: impl Fn(&FoldFigures) -> f64) -> Spread {
    let count = figures.len() as f64;
    let mean = figures.iter().map(&of).sum::<f64>() / count;
    let squares = figures.iter().map(|fold| (of(fold) - mean).powi(2)).sum::<f64>();
    Spread { mean, deviation: (squares / (count - 1.)).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 2, 4, 4, 4, 5, 5, 7, 9 the mean is 5, and the deviation of the sample √(32 / 7).
    #[test]
    fn the_deviation_is_that_of_the_sample() {
        let figures: Vec<_> = [2., 4., 4., 4., 5., 5., 7., 9.]
            .map(|loss| FoldFigures { fold: 1, rows: 1, loss, metrics: Vec::new() })
            .into();
        let spread = spread(&figures, |fold| fold.loss);
        assert_eq!((spread.mean, spread.deviation), (5., (32f64 / 7.).sqrt()));
    }
}
