//! A finished run.

use std::path::PathBuf;

use tch::Device;

use super::Examples;
use crate::error::{Error, Result};
use crate::options::Config;
use crate::predict::Classifier;
use crate::run::RunFolder;

/// A finished run: model, options, and split data.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::run::{FinishedRun, RunFolder};
/// use tch::Device;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let run = FinishedRun::open(&RunFolder::open(fitted.folder())?, Device::Cpu)?;
/// assert_eq!(run.config.epochs, 3);
/// assert_eq!(run.examples.dataset.classes, run.classifier.metadata().classes);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct FinishedRun {
    /// The exported model.
    pub classifier: Classifier,
    /// The options.
    pub config: Config,
    /// The data, without corrections.
    pub examples: Examples,
}

impl FinishedRun {
    /// Opens a run, with its model on `device`.
    ///
    /// # Errors
    /// If the run has no model or the model of another run, is a cross-validation, or its data is missing or has changed.
    pub fn open(run: &RunFolder, device: Device) -> Result<Self> {
        let config = Config::read(&run.config_file())?;
        let path = FinishedRun::model(run, &config)?;
        let classifier = Classifier::load_on(&path, device)?;
        let examples = Examples::reopen_without_corrections(&config, run)?;
        classifier.metadata().refuse_other_data(&path, &examples.dataset)?;
        Ok(FinishedRun { classifier, config, examples })
    }

    /// Path of the exported model of a run with these options.
    ///
    /// # Errors
    /// If the run is a cross-validation or has no model.
    pub fn model(run: &RunFolder, config: &Config) -> Result<PathBuf> {
        if config.folds.is_some() && config.fold.is_none() {
            let problem = "this is a cross-validation with one model per fold; use the folder of a fold, such as fold-1";
            return Err(Error::artifact(run.path(), problem));
        }
        let path = run.model();
        if !path.is_file() {
            let problem =
                "the run is not finished, so it has no model.pt; `cresset train --resume` continues it";
            return Err(Error::artifact(run.path(), problem));
        }
        Ok(path)
    }
}
