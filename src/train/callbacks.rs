//! The callbacks of every run.

use std::time::{Duration, Instant};

use super::callback::{Callback, Flow};
use super::time_budget::TimeBudget;
use super::{EpochRecord, Training};
use crate::error::Result;
use crate::model::Network;

/// Writes checkpoints periodically within an epoch, and pauses training when `stop` returns true.
///
/// ```
/// use cresset::train::{Callback, Checkpoints};
///
/// let stop = || false;
/// let mut checkpoints = Checkpoints::new(10., &stop);
/// let callback: &mut dyn Callback = &mut checkpoints;
/// # let _ = callback;
/// ```
pub struct Checkpoints<'a> {
    every: Duration,
    written: Instant,
    stop: &'a dyn Fn() -> bool,
}

impl<'a> Checkpoints<'a> {
    /// A checkpoint every `minutes` within an epoch. `stop` is called after every step.
    pub fn new(minutes: f64, stop: &'a dyn Fn() -> bool) -> Self {
        let every = Duration::try_from_secs_f64(60. * minutes).unwrap_or(Duration::MAX);
        Checkpoints { every, written: Instant::now(), stop }
    }
}

impl Callback for Checkpoints<'_> {
    fn step_ended(&mut self, _training: &Training, _network: &Network) -> Result<Flow> {
        if (self.stop)() {
            return Ok(Flow::Pause);
        }
        if self.written.elapsed() < self.every {
            return Ok(Flow::Continue);
        }
        self.written = Instant::now();
        Ok(Flow::Save)
    }
}

/// Ends training when the monitored metric has not improved for `patience` epochs.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::train::EarlyStopping;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let mut stopping = EarlyStopping { patience: Some(2) };
/// // With this learning rate, the validation loss soon stops decreasing.
/// let options = Config { epochs: 100, lr: 1., ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).callback(&mut stopping).fit()?;
/// assert!(fitted.best_epoch() < 100);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct EarlyStopping {
    /// Number of epochs without an improvement; `None` disables early stopping.
    pub patience: Option<u32>,
}

impl Callback for EarlyStopping {
    fn epoch_ended(&mut self, training: &Training, _network: &Network, record: &EpochRecord) -> Result<Flow> {
        let waited = training.position().best.map_or(0, |best| record.epoch - best.epoch);
        Ok(match self.patience {
            Some(patience) if waited >= patience => {
                let metric = training.plan().options.monitor.title();
                tracing::info!(epoch = record.epoch, "stopped early: no improvement of the {metric}");
                Flow::Finish
            }
            _ => Flow::Continue,
        })
    }
}

/// Ends training after a time limit.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::train::TimeLimit;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// // A limit of 0 minutes ends training after the first step.
/// let mut limit = TimeLimit::new(Some(0.), 0.);
/// let options = Config { epochs: 100, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).callback(&mut limit).fit()?;
/// assert_eq!(fitted.best_epoch(), 1);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct TimeLimit {
    budget: Option<TimeBudget>,
}

impl TimeLimit {
    /// A limit of `minutes`, of which `spent` seconds have passed; `None` is no limit.
    pub fn new(minutes: Option<f64>, spent: f64) -> Self {
        TimeLimit { budget: TimeBudget::new(minutes, spent) }
    }

    fn flow(&self) -> Flow {
        if self.budget.is_some_and(|budget| budget.is_spent()) { Flow::Finish } else { Flow::Continue }
    }
}

impl Callback for TimeLimit {
    fn step_ended(&mut self, _training: &Training, _network: &Network) -> Result<Flow> {
        Ok(self.flow())
    }

    fn epoch_ended(
        &mut self,
        _training: &Training,
        _network: &Network,
        _record: &EpochRecord,
    ) -> Result<Flow> {
        Ok(self.flow())
    }
}
