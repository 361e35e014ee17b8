//! Progress of the trials, and the table of trials.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use super::settings::Goal;
use super::space::Space;
use crate::data::{TaskKind, atomic};
use crate::error::{Error, Result};
use crate::run::RunFolder;
use crate::train::checkpoint::Checkpoint;
use crate::train::{EpochRecord, MetricsLog};

/// A trial and its progress.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Number, from 1.
    pub number: u32,
    /// State.
    pub state: TrialState,
    /// Number of finished epochs.
    pub epochs: u32,
    /// The best epoch by the monitored metric.
    pub best: Option<EpochRecord>,
    /// The sampled options as (name, value).
    pub drawn: Vec<(String, String)>,
    /// The task, which names the score; classification until the first epoch is complete.
    pub task: TaskKind,
}

/// State of a trial.
///
/// ```
/// use cresset::search::TrialState;
///
/// assert_ne!(TrialState::Complete.name(), TrialState::Failed("the loss is NaN".to_string()).name());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialState {
    /// Not started.
    Waiting,
    /// Started and incomplete: it will continue, or was pruned.
    Stopped,
    /// Complete.
    Complete,
    /// Failed for this reason.
    Failed(String),
}

impl TrialState {
    /// The name for display.
    pub fn name(&self) -> &'static str {
        match self {
            TrialState::Waiting => "waiting",
            TrialState::Stopped => "stopped",
            TrialState::Complete => "complete",
            TrialState::Failed(_) => "failed",
        }
    }
}

/// File in the folder of a trial with the reason of its failure.
const FAILED: &str = "failed.txt";

impl Trial {
    /// Reads the progress of a trial from its folder.
    pub(super) fn read(search: &Path, space: &Space, number: u32) -> Result<Self> {
        let path = folder(search, number);
        let drawn = space.draw(number);
        let task = MetricsLog::task(&path.join("metrics.csv"))?;
        let waiting = Trial { number, state: TrialState::Waiting, epochs: 0, best: None, drawn, task };
        let reason = std::fs::read_to_string(path.join(FAILED)).ok();
        let Some(run) = RunFolder::open(&path).ok().filter(|run| run.last_checkpoint().is_file()) else {
            return Ok(match reason {
                Some(reason) => Trial { state: TrialState::Failed(reason), ..waiting },
                None => waiting,
            });
        };
        let state = match reason {
            Some(reason) => TrialState::Failed(reason),
            None if run.model().is_file() => TrialState::Complete,
            None => TrialState::Stopped,
        };
        // The log may be one epoch ahead of the checkpoint.
        let epochs = Checkpoint::load(&run.last_checkpoint())?.position.epoch - 1;
        let mut records = MetricsLog::read_if_exists(&run.metrics())?;
        records.retain(|record| record.epoch <= epochs);
        Ok(Trial { state, epochs, best: EpochRecord::best(&records).copied(), ..waiting })
    }

    /// The best epoch among the first `epochs`, to compare trials at a rung.
    pub(super) fn at(search: &Path, number: u32, epochs: u32) -> Result<Option<EpochRecord>> {
        let path = folder(search, number).join("metrics.csv");
        let mut records = MetricsLog::read_if_exists(&path)?;
        records.retain(|record| record.epoch <= epochs);
        Ok(EpochRecord::best(&records).copied())
    }

    /// Records a failure.
    pub(super) fn fail(search: &Path, number: u32, reason: &str) -> Result<()> {
        let path = folder(search, number);
        std::fs::create_dir_all(&path).map_err(Error::io("create the folder", &path))?;
        Ok(atomic::write(&path.join(FAILED), reason.as_bytes())?)
    }
}

/// The folder of a trial.
pub(super) fn folder(search: &Path, number: u32) -> PathBuf {
    search.join(format!("trial-{number}"))
}

/// Orders results, best first. `None` comes last.
pub(super) fn compare(goal: Goal, a: Option<&EpochRecord>, b: Option<&EpochRecord>) -> Ordering {
    let by_loss = |a: &EpochRecord, b: &EpochRecord| a.validation_loss.total_cmp(&b.validation_loss);
    match (a, b) {
        (Some(a), Some(b)) => match goal {
            Goal::Loss => by_loss(a, b),
            Goal::Score(_) => b.validation_accuracy.total_cmp(&a.validation_accuracy).then(by_loss(a, b)),
        },
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// Writes trials.csv: one row per trial. It contains nothing that depends on interruptions, such as times.
pub(super) fn write(path: &Path, space: &Space, trials: &[Trial]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // All trials have the same data.
    let task =
        trials.iter().find(|trial| trial.best.is_some()).map_or(TaskKind::Classification, |trial| trial.task);
    let fixed = ["trial", "state", "epochs", "best_epoch", "loss", task.score_column()].map(String::from);
    let names: Vec<&str> = space.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    let header =
        fixed.into_iter().chain(names.iter().map(|name| name.to_string())).chain(["problem".to_string()]);
    writer.write_record(header).expect("writing to memory does not fail");
    for trial in trials {
        let best = |of: fn(&EpochRecord) -> String| trial.best.as_ref().map(of).unwrap_or_default();
        let problem = match &trial.state {
            TrialState::Failed(reason) => reason.clone(),
            _ => String::new(),
        };
        let mut row = vec![
            trial.number.to_string(),
            trial.state.name().to_string(),
            trial.epochs.to_string(),
            best(|best| best.epoch.to_string()),
            best(|best| best.validation_loss.to_string()),
            best(|best| best.validation_accuracy.to_string()),
        ];
        let drawn =
            |name: &&str| trial.drawn.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone());
        row.extend(names.iter().map(|name| drawn(name).unwrap_or_default()));
        row.push(problem);
        writer.write_record(row).expect("writing to memory does not fail");
    }
    Ok(atomic::write(path, &writer.into_inner().expect("writing to memory does not fail"))?)
}
