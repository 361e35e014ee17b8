//! How far the trials of a search have come, and the file that says so.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use super::settings::Goal;
use super::space::Space;
use crate::data::atomic;
use crate::error::{Error, Result};
use crate::run::RunFolder;
use crate::train::checkpoint::Checkpoint;
use crate::train::{EpochRecord, MetricsLog};

/// A trial, as far as it has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Its number, from 1.
    pub number: u32,
    /// How it stands.
    pub state: TrialState,
    /// The epochs that it has behind it.
    pub epochs: u32,
    /// The epoch with the least held-out loss.
    pub best: Option<EpochRecord>,
    /// The options that were drawn for it, as (name, value).
    pub drawn: Vec<(String, String)>,
}

/// How a trial stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialState {
    /// It has not begun.
    Waiting,
    /// It has begun, and neither come to its end nor failed: it goes on, or was given up.
    Stopped,
    /// It was trained to its end.
    Complete,
    /// It came to nothing, for this reason.
    Failed(String),
}

impl TrialState {
    /// As it is shown.
    pub fn name(&self) -> &'static str {
        match self {
            TrialState::Waiting => "waiting",
            TrialState::Stopped => "stopped",
            TrialState::Complete => "complete",
            TrialState::Failed(_) => "failed",
        }
    }
}

/// Holds why a trial came to nothing, in its folder.
const FAILED: &str = "failed.txt";

impl Trial {
    /// Reads how far a trial has come from its folder.
    pub(super) fn read(search: &Path, space: &Space, number: u32) -> Result<Self> {
        let path = folder(search, number);
        let drawn = space.draw(number);
        let waiting = Trial { number, state: TrialState::Waiting, epochs: 0, best: None, drawn };
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
        // The log may be an epoch ahead of the checkpoint that the run goes on from.
        let epochs = Checkpoint::load(&run.last_checkpoint())?.position.epoch - 1;
        let mut records = MetricsLog::so_far(&run.metrics())?;
        records.retain(|record| record.epoch <= epochs);
        Ok(Trial { state, epochs, best: EpochRecord::best(&records).copied(), ..waiting })
    }

    /// Its standing after so many epochs, by which it is compared with others at a rung.
    pub(super) fn at(search: &Path, number: u32, epochs: u32) -> Result<Option<EpochRecord>> {
        let path = folder(search, number).join("metrics.csv");
        let mut records = MetricsLog::so_far(&path)?;
        records.retain(|record| record.epoch <= epochs);
        Ok(EpochRecord::best(&records).copied())
    }

    /// Notes that it came to nothing.
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

/// Which of two standings is better: that one is less. Nothing is worse than none.
pub(super) fn compare(goal: Goal, a: Option<&EpochRecord>, b: Option<&EpochRecord>) -> Ordering {
    let by_loss = |a: &EpochRecord, b: &EpochRecord| a.held_out_loss.total_cmp(&b.held_out_loss);
    match (a, b) {
        (Some(a), Some(b)) => match goal {
            Goal::Loss => by_loss(a, b),
            Goal::Accuracy => b.held_out_accuracy.total_cmp(&a.held_out_accuracy).then(by_loss(a, b)),
        },
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// Writes trials.csv: a row a trial. It holds nothing that differs when a search is killed and gone on with, such as times.
pub(super) fn write(path: &Path, space: &Space, trials: &[Trial]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let fixed = ["trial", "state", "epochs", "best_epoch", "loss", "accuracy"].map(String::from);
    let names: Vec<&str> = space.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    let header =
        fixed.into_iter().chain(names.iter().map(|name| name.to_string())).chain(["problem".to_string()]);
    writer.write_record(header).expect("a record can be written to memory");
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
            best(|best| best.held_out_loss.to_string()),
            best(|best| best.held_out_accuracy.to_string()),
        ];
        let drawn =
            |name: &&str| trial.drawn.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone());
        row.extend(names.iter().map(|name| drawn(name).unwrap_or_default()));
        row.push(problem);
        writer.write_record(row).expect("a record can be written to memory");
    }
    Ok(atomic::write(path, &writer.into_inner().expect("a record can be written to memory"))?)
}
