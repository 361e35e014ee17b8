//! The facts of a run from its files: options, metrics, progress.

use std::path::Path;
use std::time::SystemTime;

use serde_json::{Map, Value};

use crate::data::TaskKind;
use crate::error::{Error, Result};
use crate::evaluate::METRICS;
use crate::options::{self, Config};
use crate::predict;
use crate::run::RunFolder;
use crate::run::date;
use crate::train::{EpochRecord, MetricsLog};

/// The facts of a run by column name. Unknown values are missing.
///
/// An option keeps its name, unless a figure has the same name (`loss`): then its prefix is `option.`.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::report::runs::{Facts, facts};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let facts: Facts = facts(fitted.folder(), "first")?;
/// assert_eq!((&facts["model"], &facts["state"]), (&"tabm".into(), &"finished".into()));
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub type Facts = Map<String, Value>;

/// State of a run.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::report::runs::RunState;
/// use cresset::run::RunFolder;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// assert_eq!(RunState::of(&RunFolder::open(fitted.folder())?), RunState::Finished);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// The model is exported.
    Finished,
    /// A process is training.
    Running,
    /// No process is training; `--resume` continues the run.
    Interrupted,
}

impl RunState {
    /// The state of the run in a folder.
    pub fn of(folder: &RunFolder) -> Self {
        match folder.model().is_file() {
            true => RunState::Finished,
            false if folder.is_in_use() => RunState::Running,
            false => RunState::Interrupted,
        }
    }

    /// The name for display.
    pub fn name(self) -> &'static str {
        match self {
            RunState::Finished => "finished",
            RunState::Running => "running",
            RunState::Interrupted => "interrupted",
        }
    }
}

/// Progress of a cross-validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldsState {
    /// Number of complete folds.
    pub complete: u32,
    /// Number of folds.
    pub folds: u32,
}

/// The columns other than options and metrics, each with a description.
pub const FIGURES: &[(&str, &str)] = &[
    ("name", "name of the folder"),
    ("state", "finished, running or interrupted"),
    ("when", "start time in UTC"),
    ("duration", "total time of the epochs in seconds"),
    ("epochs_done", "number of finished epochs"),
    ("best_epoch", "the best epoch by the monitored metric, whose weights are exported"),
    (
        "loss",
        "mean loss on the validation set: cross-entropy in nats, or squared error over the variance of the training values",
    ),
    ("train_loss", "mean training loss during the best epoch"),
    ("train_accuracy", "mean training accuracy during the best epoch"),
    ("train_micro_f1", "micro F1 of the training examples during the best epoch, of labels"),
    ("train_r2", "R² of the training examples during the best epoch, of numbers"),
    ("train_rows", "number of training examples"),
    ("held_out_rows", "number of validation examples"),
    ("test_loss", "mean loss on the test set"),
    ("test_rows", "number of test examples"),
    ("folds_done", "number of complete folds of a cross-validation"),
    ("data_file", "the file with the data"),
    ("data_sha256", "its SHA-256"),
    ("cresset", "the version of cresset"),
    ("libtorch", "the version of libtorch"),
];

/// All columns: figures, validation metrics, test metrics, options.
///
/// ```
/// let names = cresset::report::runs::column_names();
/// assert!(["name", "accuracy", "batch_size"].iter().all(|known| names.iter().any(|name| name == known)));
/// ```
pub fn column_names() -> Vec<String> {
    let figures = FIGURES.iter().map(|(name, _)| name.to_string());
    let metrics = METRICS.iter().map(|metric| metric.column());
    let test = METRICS.iter().map(|metric| format!("test_{}", metric.column()));
    let mut names: Vec<_> = figures.chain(metrics).chain(test).collect();
    for option in options::names() {
        let name = option_column(&names, option);
        names.push(name);
    }
    names
}

fn option_column(figures: &[String], option: &str) -> String {
    if figures.iter().any(|name| name == option) { format!("option.{option}") } else { option.to_string() }
}

/// Reads the facts of the run in `path`, with the name `name`.
///
/// ```
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let facts = cresset::report::runs::facts(fitted.folder(), "first")?;
/// assert_eq!(facts["epochs_done"], 3);
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// If the folder holds no run, or a run of another version with other options.
pub fn facts(path: &Path, name: &str) -> Result<Facts> {
    let folder = RunFolder::open(path)?;
    let config = Config::read(&folder.config_file())?;
    let mut facts = Facts::new();
    facts.insert("name".into(), name.into());
    options(&config, &mut facts);
    record(&folder, &mut facts);
    if let Some(start_time) = start_time(&folder) {
        facts.insert("when".into(), start_time.into());
    }
    match config.folds.filter(|_| config.fold.is_none()) {
        Some(folds) => folds_figures(path, folds, &mut facts),
        None => figures(&folder, &mut facts)?,
    }
    Ok(facts)
}

fn options(config: &Config, facts: &mut Facts) {
    let figures: Vec<String> = FIGURES.iter().map(|(name, _)| name.to_string()).collect();
    for (option, value) in config.entries() {
        let value = serde_json::to_value(value).expect("an option is a number or a string");
        facts.insert(option_column(&figures, option), value);
    }
}

/// Copies the facts about data and versions from the run record.
fn record(folder: &RunFolder, facts: &mut Facts) {
    let notes = folder.record().unwrap_or_default();
    for name in ["data_file", "data_sha256", "cresset", "libtorch"] {
        if let Some(value) = notes.get(name).and_then(|value| value.as_str()) {
            facts.insert(name.into(), value.into());
        }
    }
}

/// The start time: the split is written once, when the run starts; a cross-validation writes its options then.
fn start_time(folder: &RunFolder) -> Option<String> {
    let modified = |path: &Path| path.metadata().and_then(|found| found.modified()).ok();
    let time: SystemTime = modified(&folder.split()).or_else(|| modified(&folder.config_file()))?;
    date::second(time)
}

fn figures(folder: &RunFolder, facts: &mut Facts) -> Result<()> {
    let state = RunState::of(folder);
    facts.insert("state".into(), state.name().into());
    let records = MetricsLog::read_if_exists(&folder.metrics())?;
    facts.insert("epochs_done".into(), records.len().into());
    let seconds: f64 = records.iter().map(|record| record.seconds).sum();
    insert(facts, "duration", seconds);
    if let Some(best) = EpochRecord::best(&records) {
        facts.insert("best_epoch".into(), best.epoch.into());
        insert(facts, "loss", best.validation_loss);
        insert(facts, "train_loss", best.train_loss);
        let task = MetricsLog::task(&folder.metrics())?;
        insert(facts, &score_column(task), best.validation_accuracy);
        insert(facts, &format!("train_{}", score_column(task)), best.train_accuracy);
    }
    if state == RunState::Finished {
        exported(folder, facts)?;
    }
    Ok(())
}

/// The column of the metric that is the score of an epoch.
fn score_column(task: TaskKind) -> String {
    match task {
        TaskKind::Multilabel => "micro_f1".to_string(),
        TaskKind::Ranking => "ndcg@10".to_string(),
        _ => task.score_column().to_string(),
    }
}

/// The metrics in the metadata of the exported model.
fn exported(folder: &RunFolder, facts: &mut Facts) -> Result<()> {
    let found = predict::metadata(&folder.model())?.metrics;
    facts.insert("best_epoch".into(), found.epoch.into());
    facts.insert("train_rows".into(), found.train_rows.into());
    facts.insert("held_out_rows".into(), found.validation_rows.into());
    insert(facts, "loss", found.validation_loss);
    metrics(&found.validation, "", facts);
    if let Some(test) = found.test {
        facts.insert("test_rows".into(), test.rows.into());
        insert(facts, "test_loss", test.loss);
        metrics(&test.figures, "test_", facts);
    }
    Ok(())
}

fn metrics(found: &Map<String, Value>, prefix: &str, facts: &mut Facts) {
    for metric in METRICS {
        if let Some(value) = found.get(metric.name).and_then(Value::as_f64) {
            insert(facts, &format!("{prefix}{}", metric.column()), value);
        }
    }
}

/// Means over the complete folds, and their standard deviations as `NAME_deviation`.
fn folds_figures(path: &Path, folds: u32, facts: &mut Facts) {
    let fold = |number| facts_of_fold(path, number);
    let found: Vec<(RunState, Facts)> = (1..=folds).filter_map(fold).collect();
    let complete: Vec<_> = found.iter().filter(|(state, _)| *state == RunState::Finished).collect();
    let state = FoldsState { complete: complete.len() as u32, folds };
    facts.insert("folds_done".into(), state.complete.into());
    let name = match state {
        FoldsState { complete, folds } if complete == folds => RunState::Finished,
        _ if found.iter().any(|(state, _)| *state == RunState::Running) => RunState::Running,
        _ => RunState::Interrupted,
    };
    facts.insert("state".into(), name.name().into());
    for sum in ["duration", "epochs_done"] {
        let values = found.iter().filter_map(|(_, facts)| facts.get(sum)?.as_f64());
        insert(facts, sum, values.sum());
    }
    let averaged = ["loss", "train_loss", "train_accuracy", "train_micro_f1", "train_r2", "test_loss"];
    let averaged = averaged.map(String::from).into_iter();
    let averaged = averaged.chain(METRICS.iter().map(|metric| metric.column()));
    for name in averaged.chain(METRICS.iter().map(|metric| format!("test_{}", metric.column()))) {
        let values: Vec<f64> = complete.iter().filter_map(|(_, facts)| facts.get(&name)?.as_f64()).collect();
        if values.is_empty() || values.len() < complete.len() {
            continue;
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        insert(facts, &name, mean);
        if values.len() > 1 {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            insert(facts, &format!("{name}_deviation"), (squares / (count - 1.)).sqrt());
        }
    }
}

fn facts_of_fold(path: &Path, number: u32) -> Option<(RunState, Facts)> {
    let folder = RunFolder::open(&path.join(format!("fold-{number}"))).ok()?;
    let mut facts = Facts::new();
    figures(&folder, &mut facts).ok()?;
    Some((RunState::of(&folder), facts))
}

/// Inserts a value, unless it is NaN or infinite.
fn insert(facts: &mut Facts, name: &str, value: f64) {
    if value.is_finite() {
        facts.insert(name.into(), value.into());
    }
}

/// The name of a column; options are also found by their former names.
///
/// # Errors
/// A name that is not a column.
pub(super) fn check_column(name: &str) -> Result<String> {
    let names = column_names();
    let current = options::canonical(name);
    if let Some(known) = [name, current].into_iter().find(|name| names.iter().any(|known| known == name)) {
        return Ok(known.to_string());
    }
    let hint = crate::error::did_you_mean(name, names.iter().map(String::as_str));
    Err(Error::Usage(format!(
        "there is no column {}{} The columns are {}",
        crate::error::quoted(name),
        hint.unwrap_or_else(|| ".".to_string()),
        names.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_columns_have_one_name() {
        let mut names = column_names();
        assert!(names.iter().any(|name| name == "option.loss") && names.iter().any(|name| name == "lr"));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
