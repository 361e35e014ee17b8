//! Training from a program, in a few lines.

use std::path::{Path, PathBuf};

use tch::{Device, nn};

use super::{Outcome, RunFolder, Trained, finish, resume_with, start_with};
use crate::data::atomic;
use crate::distributed::World;
use crate::error::{Error, Result};
use crate::evaluate::Evaluation;
use crate::model::{Model, Network, Task};
use crate::options::Config;
use crate::predict::Classifier;
use crate::train::{Callback, Together};

type Build<'a> = Box<dyn Fn(&Task, Device, u64) -> Result<Network> + 'a>;

/// Trains, evaluates and exports a classifier, in a run folder as `cresset train` makes it.
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
    /// Trains on `data`: the name of a built-in data set such as `digits`, or the path of a file or folder of labelled examples.
    pub fn new(data: impl Into<String>) -> Self {
        Trainer {
            config: Config { data: data.into(), ..Config::default() },
            out: None,
            build: None,
            callbacks: Vec::new(),
            stop: Box::new(|| false),
        }
    }

    /// Sets all options but the data, which stays that of [`Trainer::new`].
    pub fn options(self, options: Config) -> Self {
        Trainer { config: Config { data: self.config.data, ..options }, ..self }
    }

    /// Sets the run folder, which must not exist or be empty. By default it is the first free `runs/DATA-MODEL-NUMBER`.
    pub fn out(self, folder: impl Into<PathBuf>) -> Self {
        Trainer { out: Some(folder.into()), ..self }
    }

    /// Trains a custom model, called `name` in the run. `build` makes it, with its parameters in the path that it is given; their
    /// initial values depend on the seed alone.
    ///
    /// ```no_run
    /// use cresset::prelude::*;
    /// use tch::nn::{self, Module};
    ///
    /// let build = |path: &nn::Path, task: &Task| {
    ///     let linear = nn::linear(path, task.input.features(), task.classes, Default::default());
    ///     move |x: &tch::Tensor, _train: bool| linear.forward(&x.flatten(1, -1))
    /// };
    /// Trainer::new("digits").model("linear", build).fit()?;
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    pub fn model<M: Model + 'static>(self, name: &str, build: impl Fn(&nn::Path, &Task) -> M + 'a) -> Self {
        let config = Config { model: format!("own:{name}"), ..self.config };
        let build: Build =
            Box::new(move |task, device, seed| Network::of(task, device, seed, |path| build(path, task)));
        Trainer { config, build: Some(build), ..self }
    }

    /// Adds a callback, which follows training and can end it.
    pub fn callback(mut self, callback: &'a mut dyn Callback) -> Self {
        self.callbacks.push(callback);
        self
    }

    /// Stops after a step once `stop` returns true, with a checkpoint that [`Trainer::resume`] goes on from.
    pub fn stop_when(self, stop: impl Fn() -> bool + 'a) -> Self {
        Trainer { stop: Box::new(stop), ..self }
    }

    /// Trains to the end, evaluates the epoch with the lowest validation loss and exports it.
    ///
    /// # Errors
    /// Data, options and folders that cannot be used, training that diverged, and [`Error::Interrupted`] if it was stopped.
    pub fn fit(self) -> Result<Fitted> {
        self.run(None)
    }

    /// Resumes the run in `folder` from its last checkpoint, to the same bits as if it had not been interrupted. The options, the
    /// data and the architecture are the run's own; a custom model is set again by [`Trainer::model`].
    ///
    /// # Errors
    /// As [`Trainer::fit`], and a folder without a checkpoint.
    pub fn resume(self, folder: impl AsRef<Path>) -> Result<Fitted> {
        let folder = RunFolder::open(folder.as_ref())?;
        let config = Config::read(&folder.config_file())?;
        Trainer { config, ..self }.run(Some(folder))
    }

    fn run(mut self, begun: Option<RunFolder>) -> Result<Fitted> {
        let callbacks = std::mem::take(&mut self.callbacks);
        let Trainer { config, build, stop, .. } = &self;
        let world = &World::alone();
        let make: super::MakeNetwork = &|task, device| match build {
            Some(build) => build(task, device, config.seed),
            None => super::prepared::named(config)(task, device),
        };
        let run = match begun {
            Some(folder) => resume_with(config, folder, world, make)?,
            None => start_with(config, self.out.as_deref(), world, make)?,
        };
        let folder = run.folder.clone();
        match finish(run, &mut Together(callbacks), stop)? {
            Outcome::Trained(trained) => Ok(Fitted { folder, trained }),
            Outcome::Interrupted { epoch, step } => {
                Err(Error::Interrupted { folder: folder.path().to_path_buf(), epoch, step })
            }
            Outcome::Helped => unreachable!("a single process exports its model itself"),
        }
    }
}

/// A trained model with its metrics, in its run folder.
pub struct Fitted {
    folder: RunFolder,
    trained: Box<Trained>,
}

impl Fitted {
    /// The run folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The epoch with the lowest validation loss, from 1, whose weights were exported.
    pub fn best_epoch(&self) -> u32 {
        self.trained.best.epoch
    }

    /// The exported model on the validation examples: loss, confusion matrix and scores; [`METRICS`](crate::evaluate::METRICS)
    /// are computed from it. Validation chose the epoch, so it is slightly optimistic.
    pub fn validation(&self) -> &Evaluation {
        &self.trained.found.held_out
    }

    /// The exported model on the test examples, if there are any.
    pub fn test(&self) -> Option<&Evaluation> {
        self.trained.found.test.as_ref()
    }

    /// Copies the exported TorchScript model to `path`, in one step.
    ///
    /// # Errors
    /// A place that cannot be written to.
    pub fn export(&self, path: impl AsRef<Path>) -> Result<()> {
        let model = self.folder.model();
        let bytes = std::fs::read(&model).map_err(Error::io("read", &model))?;
        Ok(atomic::write(path.as_ref(), &bytes)?)
    }

    /// The exported model, ready for predictions on the CPU or, if there is one, a GPU.
    ///
    /// # Errors
    /// A model file that was changed since.
    pub fn classifier(&self) -> Result<Classifier> {
        Classifier::load(self.folder.model())
    }
}
