//! Runs a search.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::brackets::{Bracket, Rung, brackets};
use super::settings::SearchMethod;
use super::space::Space;
use super::trials::{self, Trial, TrialState, compare};
use super::{SPACE_FILE, TRIALS_FILE};
use crate::data::atomic;
use crate::data::terminal;
use crate::error::{Error, Result};
use crate::model::Network;
use crate::options::Config;
use crate::run::create_unique;
use crate::run::{self, Examples, Outcome};
use crate::train::{Callback, EpochRecord, Flow, Training};

/// A search. Its state is in its folder, so it can be interrupted and resumed at any time.
///
/// ```
/// use cresset::error::Result;
/// use cresset::search::{Search, SearchCallback, SearchOutcome};
/// use cresset::train::{Callback, Silent};
///
/// struct Quiet(Silent);
///
/// impl SearchCallback for Quiet {
///     fn training(&mut self) -> &mut dyn Callback {
///         &mut self.0
///     }
/// }
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let (file, out) = (folder.path().join("space.toml"), folder.path().join("search"));
/// let space = "[run]\ndata = \"iris\"\nepochs = 2\n[space]\nlr = { log_uniform = [1e-3, 1e-1] }\n\
///              [tune]\ntrials = 2\n";
/// std::fs::write(&file, space).unwrap();
/// let mut search = Search::start(&file, Some(&out))?;
/// let SearchOutcome::Complete(trials) = search.run(&mut Quiet(Silent), &|| false)? else { unreachable!() };
/// assert!(trials[0].best.unwrap().validation_loss <= trials[1].best.unwrap().validation_loss);
/// assert!(search.best_file().is_file());
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Search {
    space: Space,
    path: PathBuf,
    /// All trials and their progress.
    trials: Vec<Trial>,
    /// A lock against other processes.
    _lock: File,
}

/// A step of a search: training of one trial to its next rung.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchStep {
    /// Number of the trial, from 1.
    pub trial: u32,
    /// Number of trials in the search.
    pub trials: u32,
    /// Number of epochs of the trial after this step.
    pub epochs: u32,
}

/// Receives the progress of a search. All methods except `training` do nothing by default.
///
/// ```
/// use cresset::error::Result;
/// use cresset::search::{SearchCallback, SearchStep, Trial, TrialState};
/// use cresset::train::{Callback, Silent};
///
/// /// Keeps the number of each trial that starts.
/// #[derive(Default)]
/// struct Started(Vec<u32>, Silent);
///
/// impl SearchCallback for Started {
///     fn begins(&mut self, _step: &SearchStep, trial: &Trial) -> Result<()> {
///         self.0.push(trial.number);
///         Ok(())
///     }
///
///     fn training(&mut self) -> &mut dyn Callback {
///         &mut self.1
///     }
/// }
///
/// let mut started = Started::default();
/// # use cresset::data::TaskKind;
/// let task = TaskKind::Classification;
/// let trial = Trial { number: 1, state: TrialState::Waiting, epochs: 0, best: None, drawn: Vec::new(), task };
/// started.begins(&SearchStep { trial: 1, trials: 20, epochs: 3 }, &trial)?;
/// assert_eq!(started.0, [1]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub trait SearchCallback {
    /// A step begins.
    fn begins(&mut self, step: &SearchStep, trial: &Trial) -> Result<()> {
        let _ = (step, trial);
        Ok(())
    }

    /// A step ends: the trial reached its rung or failed.
    fn ended(&mut self, step: &SearchStep, trial: &Trial) -> Result<()> {
        let _ = (step, trial);
        Ok(())
    }

    /// The callback of the training.
    fn training(&mut self) -> &mut dyn Callback;
}

/// How a search ended.
#[derive(Debug, Clone, PartialEq)]
pub enum SearchOutcome {
    /// All trials are complete; they are sorted, best first.
    Complete(Vec<Trial>),
    /// Stopped on request; can be resumed.
    Interrupted,
}

impl Search {
    /// Starts a search in a new folder: `out`, or the next free `runs/tune-<name of the space>-<number>`. Resumes it if `out`
    /// holds a search of the same space.
    ///
    /// # Errors
    /// If the space is invalid, the data cannot be read, or the folder cannot be used or holds another search.
    pub fn start(space_file: &Path, out: Option<&Path>) -> Result<Self> {
        let space = Space::read(space_file)?;
        let bytes = std::fs::read(space_file).map_err(Error::io("read", space_file))?;
        if let Some(out) = out
            && let Ok(own) = std::fs::read(out.join(SPACE_FILE))
        {
            if own != bytes {
                let problem = format!(
                    "this folder holds the search of another space (its {SPACE_FILE} differs); use another \
                     folder with --out"
                );
                return Err(Error::artifact(out, problem));
            }
            return Search::open(out);
        }
        // Check fixed options and data before creating a folder.
        let config = space.config(1);
        config.split_plan()?;
        let examples = Examples::read(&Config { augment: "none".to_string(), ..config })?;
        let task = examples.dataset.task();
        space.settings.metric.check(task).map_err(|problem| Error::data(space_file, problem))?;
        let stem = space_file.file_stem().unwrap_or_default().to_string_lossy();
        let path = create_unique(out, &format!("tune-{stem}"))?;
        let search = Search { trials: read_all(&path, &space)?, space, _lock: lock(&path)?, path };
        search.write_trials()?;
        atomic::write(&search.path.join(SPACE_FILE), &bytes)?;
        Ok(search)
    }

    /// Opens an existing search.
    ///
    /// # Errors
    /// If the folder holds no search, or another process is running it.
    pub fn open(path: &Path) -> Result<Self> {
        let file = path.join(SPACE_FILE);
        // Reject a folder that only contains search space files.
        if let Some(missing) = [SPACE_FILE, TRIALS_FILE].into_iter().find(|name| !path.join(name).is_file()) {
            return Err(Error::artifact(path, format!("this folder holds no search (it has no {missing})")));
        }
        let space = Space::read(&file)?;
        let lock = lock(path)?;
        atomic::clear(path)?;
        Ok(Search { trials: read_all(path, &space)?, space, path: path.to_path_buf(), _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The search space.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Path of the options of the best trial.
    pub fn best_file(&self) -> PathBuf {
        self.path.join("best.toml")
    }

    /// Trains the incomplete trials until `stop` returns true after a step.
    ///
    /// # Errors
    /// A trial that fails because of its options or loss is recorded as failed; any other error, such as a full disk, ends the search.
    pub fn run(&mut self, watch: &mut dyn SearchCallback, stop: &dyn Fn() -> bool) -> Result<SearchOutcome> {
        let brackets = brackets(&self.space.settings);
        self.write_trials()?;
        for bracket in &brackets {
            if !self.run_bracket(bracket, watch, stop)? {
                return Ok(SearchOutcome::Interrupted);
            }
        }
        let mut trials = self.trials.clone();
        let goal = self.space.settings.metric;
        let is_complete = |trial: &Trial| trial.state == TrialState::Complete;
        trials.sort_by(|a, b| {
            is_complete(b).cmp(&is_complete(a)).then_with(|| compare(goal, a.best.as_ref(), b.best.as_ref()))
        });
        match &trials[..] {
            [best, ..] if is_complete(best) => self.write_best(best)?,
            [first, ..] => {
                let reason = match &first.state {
                    TrialState::Failed(reason) => format!("; trial {}: {reason}", first.number),
                    _ => String::new(),
                };
                return Err(Error::Diverged(format!("no trial of the search completed{reason}")));
            }
            [] => {}
        }
        Ok(SearchOutcome::Complete(trials))
    }

    /// Runs a bracket. Returns whether it is complete.
    fn run_bracket(
        &mut self,
        bracket: &Bracket,
        watch: &mut dyn SearchCallback,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool> {
        let mut going: Vec<u32> = bracket.trials().collect();
        for (place, rung) in bracket.rungs.iter().enumerate() {
            let is_last = place + 1 == bracket.rungs.len();
            going =
                self.best_of(going, place.checked_sub(1).map(|before| bracket.rungs[before]), rung.trials)?;
            for number in &going {
                if !self.run_to(*number, rung.epochs, is_last, watch, stop)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The best trials by their result at a rung; all trials before the first rung.
    fn best_of(&self, trials: Vec<u32>, at: Option<Rung>, count: u32) -> Result<Vec<u32>> {
        let Some(Rung { epochs, .. }) = at else { return Ok(trials) };
        let mut standings = Vec::with_capacity(trials.len());
        for number in trials {
            // A trial that failed on its way to the next rung was among those that continued from this one.
            let Trial { state, epochs: own, .. } = self.trial(number);
            let has_reached = *state == TrialState::Complete || *own >= epochs;
            let best = if has_reached { Trial::at(&self.path, number, epochs)? } else { None };
            standings.push((number, best));
        }
        let goal = self.space.settings.metric;
        standings.sort_by(|(_, a), (_, b)| compare(goal, a.as_ref(), b.as_ref()));
        let mut best: Vec<u32> = standings
            .iter()
            .filter(|(_, best)| best.is_some())
            .take(count as usize)
            .map(|(number, _)| *number)
            .collect();
        best.sort_unstable();
        Ok(best)
    }

    /// Trains a trial up to a rung. Returns false if it was interrupted.
    fn run_to(
        &mut self,
        number: u32,
        epochs: u32,
        is_last: bool,
        watch: &mut dyn SearchCallback,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool> {
        let config = self.space.config(number);
        let epochs = if is_last { config.epochs } else { epochs };
        let before = self.trial(number);
        match before.state {
            TrialState::Complete | TrialState::Failed(_) => return Ok(true),
            TrialState::Stopped if before.epochs >= epochs && !is_last => return Ok(true),
            TrialState::Stopped | TrialState::Waiting => {}
        }
        let step = SearchStep { trial: number, trials: self.trials.len() as u32, epochs };
        watch.begins(&step, before)?;
        let path = trials::folder(&self.path, number);
        let mut callback = StopAtRung { epochs, inner: watch.training() };
        let outcome =
            run::start_or_resume(&config, None, &path).and_then(|run| run::finish(run, &mut callback, stop));
        let has_stopped = match outcome {
            Ok(Outcome::Trained(_) | Outcome::CompletedOnRank0) => false,
            Ok(Outcome::Interrupted { epoch, step }) => step > 0 || epoch <= epochs,
            // Caused by the options of the trial.
            Err(error @ (Error::Diverged(_) | Error::Memory(_) | Error::Usage(_))) => {
                Trial::fail(&self.path, number, &error.to_string())?;
                false
            }
            Err(error) => return Err(error),
        };
        self.trials[number as usize - 1] = Trial::read(&self.path, &self.space, number)?;
        self.write_trials()?;
        if has_stopped {
            return Ok(false);
        }
        watch.ended(&step, self.trial(number))?;
        Ok(!stop())
    }

    fn trial(&self, number: u32) -> &Trial {
        &self.trials[number as usize - 1]
    }

    fn write_trials(&self) -> Result<()> {
        trials::write(&self.path.join(TRIALS_FILE), &self.space, &self.trials)
    }

    fn write_best(&self, best: &Trial) -> Result<()> {
        let text = format!(
            "# Trial {} of {}. To reproduce: cresset train --config {}\n{}",
            best.number,
            terminal::path(&self.path),
            terminal::argument(&self.best_file()),
            self.space.config(best.number).to_toml()
        );
        Ok(atomic::write(&self.best_file(), text.as_bytes())?)
    }

    /// The name of the method for display.
    pub fn method_name(&self) -> &'static str {
        match self.space.settings.method {
            SearchMethod::Random => "random search",
            SearchMethod::Halving => "successive halving",
            SearchMethod::Hyperband => "Hyperband",
        }
    }
}

/// Reads the progress of all trials.
fn read_all(path: &Path, space: &Space) -> Result<Vec<Trial>> {
    let count: u32 = brackets(&space.settings).iter().map(|bracket| bracket.trials().len() as u32).sum();
    (1..=count).map(|number| Trial::read(path, space, number)).collect()
}

/// Locks the search against other processes, unless the file system does not support locks.
fn lock(path: &Path) -> Result<File> {
    let folder = File::open(path).map_err(Error::io("open", path))?;
    match folder.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(Error::artifact(path, "another process is running this search; wait for it, or stop it"))
        }
        Ok(()) | Err(TryLockError::Error(_)) => Ok(folder),
    }
}

/// Stops a run at a rung. The learning rate schedule is that of the whole run.
struct StopAtRung<'a> {
    epochs: u32,
    inner: &'a mut dyn Callback,
}

impl Callback for StopAtRung<'_> {
    fn epoch_started(&mut self, training: &Training) -> Result<()> {
        self.inner.epoch_started(training)
    }

    fn step_ended(&mut self, training: &Training, network: &Network) -> Result<Flow> {
        self.inner.step_ended(training, network)
    }

    fn epoch_ended(&mut self, training: &Training, network: &Network, record: &EpochRecord) -> Result<Flow> {
        let flow = self.inner.epoch_ended(training, network, record)?;
        Ok(if record.epoch >= self.epochs { flow.max(Flow::Pause) } else { flow })
    }
}
