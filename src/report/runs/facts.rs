//! What is known of a run without running anything: its options, its figures, how far it came.

use std::path::Path;
use std::time::SystemTime;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::evaluate::METRICS;
use crate::options::{self, Config};
use crate::predict;
use crate::run::RunFolder;
use crate::run::date;
use crate::train::{EpochRecord, MetricsLog};

/// What is known of a run, by the names of the columns. What is not known is not there.
///
/// An option has its own name; one that is called like a figure (`loss`) has `option.` in front.
pub type Facts = Map<String, Value>;

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its model is exported.
    Finished,
    /// A process trains it.
    Running,
    /// No process trains it, and `--resume` goes on with it.
    Interrupted,
}

impl State {
    /// Of a run in its folder.
    pub fn of(folder: &RunFolder) -> Self {
        match folder.model().is_file() {
            true => State::Finished,
            false if folder.is_in_use() => State::Running,
            false => State::Interrupted,
        }
    }

    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            State::Finished => "finished",
            State::Running => "running",
            State::Interrupted => "interrupted",
        }
    }
}

/// How many folds of a cross-validation are complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldsState {
    /// The complete ones.
    pub complete: u32,
    /// All of them.
    pub folds: u32,
}

/// The columns that are no options and no metrics, each with what it is.
pub const FIGURES: &[(&str, &str)] = &[
    ("name", "the folder"),
    ("state", "finished, running or interrupted"),
    ("when", "when it began, in UTC"),
    ("duration", "seconds that its epochs took"),
    ("epochs_done", "epochs that are over"),
    ("best_epoch", "the epoch with the least held-out loss, whose weights are exported"),
    ("loss", "mean cross-entropy on the held-out rows, in nats"),
    ("train_loss", "that of the best epoch on the rows trained on, while the weights changed"),
    ("train_accuracy", "the accuracy likewise"),
    ("train_rows", "rows trained on"),
    ("held_out_rows", "rows held out"),
    ("test_loss", "mean cross-entropy on the test rows"),
    ("test_rows", "rows of the test part"),
    ("folds_done", "complete folds of a cross-validation"),
    ("data_file", "the file that was trained on"),
    ("data_sha256", "its SHA-256"),
    ("cresset", "the version of cresset"),
    ("libtorch", "the version of libtorch"),
];

/// All columns that a run can have: figures, metrics on the held-out rows, the same on the test rows, options.
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

/// Reads what is known of the run in `path`, which is called `name`.
///
/// # Errors
/// A folder that holds no run, or the run of another version whose options are others.
pub fn facts(path: &Path, name: &str) -> Result<Facts> {
    let folder = RunFolder::open(path)?;
    let config = Config::read(&folder.config_file())?;
    let mut facts = Facts::new();
    facts.insert("name".into(), name.into());
    options(&config, &mut facts);
    record(&folder, &mut facts);
    if let Some(begun) = begun(&folder) {
        facts.insert("when".into(), begun.into());
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

/// The notes of the run about itself that are no options.
fn record(folder: &RunFolder, facts: &mut Facts) {
    let notes = folder.record().unwrap_or_default();
    for name in ["data_file", "data_sha256", "cresset", "libtorch"] {
        if let Some(value) = notes.get(name).and_then(|value| value.as_str()) {
            facts.insert(name.into(), value.into());
        }
    }
}

/// The split is written once, when the run begins; a cross-validation writes its options then.
fn begun(folder: &RunFolder) -> Option<String> {
    let modified = |path: &Path| path.metadata().and_then(|found| found.modified()).ok();
    let time: SystemTime = modified(&folder.split()).or_else(|| modified(&folder.config_file()))?;
    date::second(time)
}

fn figures(folder: &RunFolder, facts: &mut Facts) -> Result<()> {
    let state = State::of(folder);
    facts.insert("state".into(), state.name().into());
    let records = MetricsLog::so_far(&folder.metrics())?;
    facts.insert("epochs_done".into(), records.len().into());
    let seconds: f64 = records.iter().map(|record| record.seconds).sum();
    insert(facts, "duration", seconds);
    if let Some(best) = EpochRecord::best(&records) {
        facts.insert("best_epoch".into(), best.epoch.into());
        insert(facts, "loss", best.held_out_loss);
        insert(facts, "accuracy", best.held_out_accuracy);
        insert(facts, "train_loss", best.train_loss);
        insert(facts, "train_accuracy", best.train_accuracy);
    }
    if state == State::Finished {
        exported(folder, facts)?;
    }
    Ok(())
}

/// The figures of the exported model, which its file tells.
fn exported(folder: &RunFolder, facts: &mut Facts) -> Result<()> {
    let found = predict::metadata(&folder.model())?.metrics;
    facts.insert("best_epoch".into(), found.epoch.into());
    facts.insert("train_rows".into(), found.train_rows.into());
    facts.insert("held_out_rows".into(), found.held_out_rows.into());
    insert(facts, "loss", found.held_out_loss);
    metrics(&found.held_out, "", facts);
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

/// Means over the complete folds, and under `NAME_deviation` their standard deviations.
fn folds_figures(path: &Path, folds: u32, facts: &mut Facts) {
    let fold = |number| facts_of_fold(path, number);
    let found: Vec<(State, Facts)> = (1..=folds).filter_map(fold).collect();
    let complete: Vec<_> = found.iter().filter(|(state, _)| *state == State::Finished).collect();
    let state = FoldsState { complete: complete.len() as u32, folds };
    facts.insert("folds_done".into(), state.complete.into());
    let name = match state {
        FoldsState { complete, folds } if complete == folds => State::Finished,
        _ if found.iter().any(|(state, _)| *state == State::Running) => State::Running,
        _ => State::Interrupted,
    };
    facts.insert("state".into(), name.name().into());
    for sum in ["duration", "epochs_done"] {
        let values = found.iter().filter_map(|(_, facts)| facts.get(sum)?.as_f64());
        insert(facts, sum, values.sum());
    }
    let averaged = ["loss", "train_loss", "train_accuracy", "test_loss"].map(String::from).into_iter();
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

fn facts_of_fold(path: &Path, number: u32) -> Option<(State, Facts)> {
    let folder = RunFolder::open(&path.join(format!("fold-{number}"))).ok()?;
    let mut facts = Facts::new();
    figures(&folder, &mut facts).ok()?;
    Some((State::of(&folder), facts))
}

/// Only numbers are facts: a loss that is none is left out.
fn insert(facts: &mut Facts, name: &str, value: f64) {
    if value.is_finite() {
        facts.insert(name.into(), value.into());
    }
}

/// The name of the column that is called so, also by the name that an option had in earlier versions.
///
/// # Errors
/// A name that no column has.
pub(super) fn known(name: &str) -> Result<String> {
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
