//! The high-level training API.

use std::path::{Path, PathBuf};

use tch::{Device, nn};

use super::{Outcome, Resolved, RunFolder, Trained, finish, resume_with, start_with};
use crate::data::atomic;
use crate::distributed::World;
use crate::error::{Error, Result};
use crate::evaluate::Evaluation;
use crate::model::{Model, Network, Task};
use crate::options::{Config, OWN};
use crate::predict::Classifier;
use crate::train::{Callback, CallbackList};

type Build<'a> = Box<dyn Fn(&Task, Device, u64) -> Result<Network> + 'a>;

/// Trains, evaluates and exports a classifier, with the same run folder as `cresset train`.
///
/// ```
/// use cresset::prelude::*;
///
/// # fn main() -> Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// # let rows: String = (0..60).map(|row| format!("{},{},{}\n", row % 7, row % 2, ["no", "yes"][row % 2])).collect();
/// # let table = folder.path().join("table.csv");
/// # std::fs::write(&table, rows).unwrap();
/// # let table = table.to_str().unwrap();
/// let options = Config { epochs: 30, lr: 0.01, ..Config::default() };
/// let fitted = Trainer::new(table).options(options).out(&out).fit()?;
/// assert!(fitted.validation().accuracy() > 0.9);
/// fitted.export(out.join("copy.pt"))?;
/// # Ok(())
/// # }
/// ```
pub struct Trainer<'a> {
    config: Config,
    out: Option<PathBuf>,
    build: Option<Build<'a>>,
    callbacks: Vec<&'a mut dyn Callback>,
    stop: Box<dyn Fn() -> bool + 'a>,
}

impl<'a> Trainer<'a> {
    /// Trains on `data`: the name of a built-in dataset such as `digits`, or the path of a file or folder of labeled examples.
    pub fn new(data: impl Into<String>) -> Self {
        Trainer {
            config: Config { data: data.into(), ..Config::default() },
            out: None,
            build: None,
            callbacks: Vec::new(),
            stop: Box::new(|| false),
        }
    }

    /// Sets all options except the data, which [`Trainer::new`] sets. The recipe ([`resolve_recipe`](super::resolve_recipe), by default the automatic one
    /// for all data but `digits`) sets those that are not given: not set by name, and equal to their defaults.
    pub fn options(self, options: Config) -> Self {
        Trainer { config: Config { data: self.config.data, ..options }, ..self }
    }

    /// Sets the run folder, which must not exist or be empty. The default is the first free `runs/DATA-MODEL-NUMBER`.
    pub fn out(self, folder: impl Into<PathBuf>) -> Self {
        Trainer { out: Some(folder.into()), ..self }
    }

    /// Trains a custom model with the name `name`. `build` creates it, with its parameters in the given path;
    /// initial values depend only on the seed.
    ///
    /// ```
    /// use cresset::prelude::*;
    /// use tch::nn::{self, Module};
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// let build = |path: &nn::Path, task: &Task| {
    ///     let linear = nn::linear(path, task.input.features(), task.classes, Default::default());
    ///     move |x: &tch::Tensor, _train: bool| linear.forward(&x.flatten(1, -1))
    /// };
    /// let fitted = Trainer::new("digits").model("linear", build).out(&out).fit()?;
    /// assert!(fitted.validation().accuracy() > 0.8);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    pub fn model<M: Model + 'static>(self, name: &str, build: impl Fn(&nn::Path, &Task) -> M + 'a) -> Self {
        let config = Config { model: format!("{OWN}{name}"), ..self.config };
        let build: Build =
            Box::new(move |task, device, seed| Network::of(task, device, seed, |path| build(path, task)));
        Trainer { config, build: Some(build), ..self }
    }

    /// Adds a callback, which observes training and can stop it.
    ///
    /// ```
    /// use cresset::prelude::*;
    /// use cresset::train::EarlyStopping;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// let mut stopping = EarlyStopping { patience: Some(2) };
    /// // This learning rate is too high for an MLP.
    /// let options = Config { epochs: 100, lr: 1., ..Config::default() };
    /// Trainer::new("iris").options(options).out(&out).callback(&mut stopping).fit()?;
    /// assert!(cresset::train::MetricsLog::read(&out.join("metrics.csv"))?.len() < 100);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    pub fn callback(mut self, callback: &'a mut dyn Callback) -> Self {
        self.callbacks.push(callback);
        self
    }

    /// Stops after a step once `stop` returns true, with a checkpoint for [`Trainer::resume`].
    ///
    /// ```
    /// use cresset::error::Error;
    /// use cresset::prelude::*;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// let error = Trainer::new("iris").out(&out).stop_when(|| true).fit().err().unwrap();
    /// assert!(matches!(error, Error::Interrupted { epoch: 1, step: 1, .. }));
    /// let fitted = Trainer::new("iris").resume(&out)?;
    /// assert!(fitted.best_epoch() > 1);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn stop_when(self, stop: impl Fn() -> bool + 'a) -> Self {
        Trainer { stop: Box::new(stop), ..self }
    }

    /// Trains to the last epoch, evaluates the best epoch by the monitored metric and exports it.
    ///
    /// # Errors
    /// If data, options or folder cannot be used, if training diverges, and [`Error::Interrupted`] if it was stopped.
    pub fn fit(self) -> Result<Fitted> {
        self.run(None)
    }

    /// Resumes the run in `folder` from its last checkpoint. The result is bit-identical to an uninterrupted run. Options,
    /// data and architecture come from the run; set a custom model again with [`Trainer::model`].
    ///
    /// # Errors
    /// Like [`Trainer::fit`], and if the folder has no checkpoint.
    pub fn resume(self, folder: impl AsRef<Path>) -> Result<Fitted> {
        let folder = RunFolder::open(folder.as_ref())?;
        let config = Config::read(&folder.config_file())?;
        Trainer { config, ..self }.run(Some(folder))
    }

    fn run(mut self, begun: Option<RunFolder>) -> Result<Fitted> {
        let callbacks = std::mem::take(&mut self.callbacks);
        let world = &World::alone();
        let mut data = None;
        if begun.is_none() {
            let resolved = Resolved::new(&self.config, world)?.with_pretrained(world, &mut |_| {})?;
            (self.config, data) = (resolved.config, resolved.data);
        }
        let Trainer { config, build, stop, .. } = &self;
        let make: super::MakeNetwork = &|task, device| match build {
            Some(build) => build(task, device, config.seed),
            None => super::prepared::named(config)(task, device),
        };
        let run = match begun {
            Some(folder) => resume_with(config, folder, world, make)?,
            None => start_with(config, data, self.out.as_deref(), world, make)?,
        };
        let folder = run.folder.clone();
        match finish(run, &mut CallbackList(callbacks), stop)? {
            Outcome::Trained(trained) => Ok(Fitted { folder, trained }),
            Outcome::Interrupted { epoch, step } => {
                Err(Error::Interrupted { folder: folder.path().to_path_buf(), epoch, step })
            }
            Outcome::CompletedOnRank0 => unreachable!("rank 0 exports the model"),
        }
    }
}

/// A trained model with its metrics and run folder.
///
/// ```
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// assert!((1..=3).contains(&fitted.best_epoch()));
/// assert!(fitted.test().is_none());
/// fitted.export(out.join("copy.pt"))?;
/// let classifier = fitted.classifier()?;
/// assert_eq!(classifier.metadata().classes.len(), 3);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Fitted {
    folder: RunFolder,
    trained: Box<Trained>,
}

impl Fitted {
    /// The run folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The exported epoch (from 1): the best one by the monitored metric.
    pub fn best_epoch(&self) -> u32 {
        self.trained.best.epoch
    }

    /// Evaluation of the exported model on the validation set: loss, confusion matrix and scores, from which
    /// [`METRICS`](crate::evaluate::METRICS) are computed. The validation set also selected the epoch, so it is slightly optimistic.
    pub fn validation(&self) -> &Evaluation {
        &self.trained.evaluations.validation
    }

    /// Evaluation of the exported model on the test set, if there is one.
    pub fn test(&self) -> Option<&Evaluation> {
        self.trained.evaluations.test.as_ref()
    }

    /// Copies the exported TorchScript model to `path` atomically.
    ///
    /// # Errors
    /// If `path` is not writable.
    pub fn export(&self, path: impl AsRef<Path>) -> Result<()> {
        let model = self.folder.model();
        let bytes = std::fs::read(&model).map_err(Error::io("read", &model))?;
        Ok(atomic::write(path.as_ref(), &bytes)?)
    }

    /// Loads the exported model for inference on the GPU if there is one, or else on the CPU.
    ///
    /// # Errors
    /// If the model file has changed.
    pub fn classifier(&self) -> Result<Classifier> {
        Classifier::load(self.folder.model())
    }
}
