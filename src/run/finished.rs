//! A run that is done.

use std::path::PathBuf;

use tch::Device;

use super::Examples;
use crate::error::{Error, Result};
use crate::options::Config;
use crate::predict::Classifier;
use crate::run::RunFolder;

/// A finished run: its model, its options, and its data as it was split.
pub struct Finished {
    /// The exported model.
    pub classifier: Classifier,
    /// The options.
    pub config: Config,
    /// The data, without corrections.
    pub examples: Examples,
}

impl Finished {
    /// Reads a run, with its model on `device`.
    ///
    /// # Errors
    /// A run that has no model, or another run's, a cross-validation, and data that is gone or has changed since.
    pub fn open(run: &RunFolder, device: Device) -> Result<Self> {
        let config = Config::read(&run.config_file())?;
        let path = Finished::model(run, &config)?;
        let classifier = Classifier::load_on(&path, device)?;
        let examples = Examples::own_again(&config, run)?;
        classifier.metadata().refuse_other_data(&path, &examples.dataset)?;
        Ok(Finished { classifier, config, examples })
    }

    /// The exported model of a run with these options.
    ///
    /// # Errors
    /// A cross-validation, and a run that has none.
    pub fn model(run: &RunFolder, config: &Config) -> Result<PathBuf> {
        if config.folds.is_some() && config.fold.is_none() {
            let problem =
                "this is a cross-validation, which has a model a fold; name one of its folds, such as fold-1";
            return Err(Error::artifact(run.path(), problem));
        }
        let path = run.model();
        if !path.is_file() {
            let problem =
                "the run is not finished, so it has no model.pt; `cresset train --resume` goes on with it";
            return Err(Error::artifact(run.path(), problem));
        }
        Ok(path)
    }
}
