//! Reports a run to an MLflow tracking server: options as parameters, metrics of steps and epochs, files, and the model with its
//! signature. [`cresset_mlflow`] keeps everything on disk until the server has it.

mod model;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cresset_mlflow::{DEFAULT_EXPERIMENT, Record, RunRecord, Tracker, known_uri};
pub use cresset_mlflow::{Settings, Unsent, sync};

use crate::data::sha256;
use crate::error::{Error, Result};
use crate::export::Metadata;
use crate::model::Network;
use crate::options::device;
use crate::predict;
use crate::run::{Run, RunFolder, Trained};
use crate::train::{Callback, EpochRecord, Flow, Training};

/// Time between metrics of steps. Reading the loss waits for the device.
const STEP_INTERVAL: Duration = Duration::from_secs(2);

/// The largest number of characters of a parameter's value that MLflow takes.
const MOST_CHARACTERS: usize = 6000;

/// The folder of the artifacts of the model.
const MODEL: &str = "model";

/// The environment variable with the name of the experiment.
const EXPERIMENT_VARIABLE: &str = "MLFLOW_EXPERIMENT_NAME";

/// The server and the experiment to report to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// The address of the server; none if the run is to be reported where it was before.
    pub uri: Option<String>,
    /// The name of the experiment; none for `MLFLOW_EXPERIMENT_NAME` or `Default`. A run stays in its experiment.
    pub experiment: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    /// It is complete.
    Finished,
    /// It was interrupted and can be resumed.
    Killed,
    /// It failed.
    Failed,
}

impl RunStatus {
    fn name(self) -> &'static str {
        match self {
            RunStatus::Finished => "FINISHED",
            RunStatus::Killed => "KILLED",
            RunStatus::Failed => "FAILED",
        }
    }
}

/// Reports a run. Methods append to the journal in the run folder; none of them waits for the server.
///
/// ```
/// use cresset::distributed::World;
/// use cresset::prelude::*;
/// use cresset::report::mlflow::{Mlflow, RunStatus, Target};
/// use cresset::run;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let config = Config { data: "iris".into(), epochs: 2, ..Config::default() };
/// let run = run::start(&config, Some(&out), &World::alone())?;
/// // Nobody listens at this port.
/// let target = Target { uri: Some("http://127.0.0.1:1".into()), experiment: Some("flowers".into()) };
/// let mut mlflow = Mlflow::open(&run, &target)?.unwrap();
/// run::finish(run, &mut mlflow, &|| false)?;
/// let unsent = mlflow.end(RunStatus::Finished).unwrap();
/// assert!(unsent.records > 2 && unsent.reason.contains("cannot be reached"));
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Mlflow {
    tracker: Tracker,
    reported: Reported,
    measured: Instant,
    /// The score in the names of metrics: `accuracy`, `f1` or `r2`.
    score: &'static str,
    /// Why the journal could not be written.
    fault: Option<String>,
}

/// What earlier processes have reported. A resumed run repeats what follows its checkpoint, with the same values.
#[derive(Debug, Default)]
struct Reported {
    run: Option<RunRecord>,
    /// The last epoch.
    epoch: u64,
    /// The last step with metrics of its own, counted from the start of training.
    step: u64,
    /// Whether the metrics of the exported model follow the last epoch.
    results: bool,
    /// Whether the exported model follows the last epoch.
    model: bool,
    /// The last state.
    status: String,
}

impl Mlflow {
    /// Starts reporting a run to the target; or, without an address, to the server that the run was reported to before. None
    /// if there is neither.
    ///
    /// # Errors
    /// An invalid address, and a run folder that is not writable.
    pub fn open(run: &Run, target: &Target) -> Result<Option<Self>> {
        let mut opened = Mlflow::open_journal(run, target)?;
        if let Some(mlflow) = &mut opened
            && let Some(begun) = mlflow.reported.run.take()
        {
            mlflow.resume(run, &begun);
        }
        Ok(opened)
    }

    /// As [`Mlflow::open`], without a report that the run goes on.
    fn open_journal(run: &Run, target: &Target) -> Result<Option<Self>> {
        let folder = run.folder.path();
        let Some(uri) = target.uri.clone().or_else(|| known_uri(folder)) else { return Ok(None) };
        let settings = Settings::from_environment(&uri)?;
        let (tracker, records) = Tracker::start(folder, &settings)?;
        let score = run.prepared.dataset.task().score_column();
        let reported = Reported::of(&records);
        let mut mlflow = Mlflow { tracker, reported, measured: Instant::now(), score, fault: None };
        if mlflow.reported.run.is_none() {
            mlflow.report(Record::Run(new_run(run, target)));
        }
        Ok(Some(mlflow))
    }

    /// Reports a resumption. MLflow does not let parameters change, so the new values of options are tags.
    fn resume(&mut self, run: &Run, begun: &RunRecord) {
        if self.reported.status.as_str() != "" {
            self.report(Record::Status { status: "RUNNING".to_string(), time: now() });
        }
        let mut changed = params(run);
        changed.retain(|name, value| begun.params.get(name) != Some(value));
        if !changed.is_empty() {
            let values =
                changed.into_iter().map(|(name, value)| (format!("resumed.{name}"), value)).collect();
            self.report(Record::Tags { values });
        }
    }

    /// Reports the results of a complete run: metrics of the exported model, the files of the run folder, and the model.
    pub fn trained(&mut self, folder: &RunFolder, trained: &Trained) {
        self.results(folder, &trained.metadata);
    }

    fn results(&mut self, folder: &RunFolder, metadata: &Metadata) {
        let metrics = &metadata.metrics;
        let mut values = named(VALIDATION, metrics.validation_loss, &metrics.validation);
        if let Some(test) = &metrics.test {
            values.extend(named("test", test.loss, &test.figures));
        }
        if !self.reported.results {
            self.report(Record::Metrics { time: now(), step: metrics.epoch.into(), values });
        }
        if self.reported.model {
            return;
        }
        for path in [folder.config_file(), folder.metrics(), folder.split(), folder.report()] {
            if let Some(name) = relative(folder, &path).filter(|_| path.is_file()) {
                self.report(Record::File { path: name.clone().into(), name });
            }
        }
        let values = BTreeMap::from([("best_epoch".to_string(), metrics.epoch.to_string())]);
        self.report(Record::Tags { values });
        for record in model::records(folder, metadata) {
            self.report(record);
        }
    }

    /// Reports the end of a finished run if a crash prevented that, and sends what is left. The target is as for
    /// [`Mlflow::open`].
    ///
    /// # Errors
    /// As [`Mlflow::open`], and if the model cannot be read.
    pub fn complete(run: &Run, target: &Target) -> Result<Option<Unsent>> {
        let Some(mut mlflow) = Mlflow::open_journal(run, target)? else { return Ok(None) };
        if mlflow.reported.model && mlflow.reported.status == RunStatus::Finished.name() {
            return Ok(mlflow.tracker.end());
        }
        mlflow.results(&run.folder, &predict::metadata(&run.folder.model())?);
        Ok(mlflow.end(RunStatus::Finished))
    }

    /// Reports the end of the run, and waits until everything is sent, but not for a server that is away. Returns what is left.
    pub fn end(mut self, status: RunStatus) -> Option<Unsent> {
        self.report(Record::Status { status: status.name().to_string(), time: now() });
        let fault = self.fault.take();
        let unsent = self.tracker.end();
        fault.map(|reason| Unsent { records: 0, reason }).or(unsent)
    }

    /// Appends to the journal. Training goes on without it.
    fn report(&mut self, record: Record) {
        if let Err(error) = self.tracker.report(&record)
            && self.fault.is_none()
        {
            tracing::warn!("{error}; the run is not completely reported to MLflow");
            self.fault = Some(error.to_string());
        }
    }
}

impl Reported {
    fn of(records: &[Record]) -> Self {
        let mut reported = Reported::default();
        for record in records {
            match record {
                Record::Run(run) => reported.run = Some(run.clone()),
                Record::Metrics { step, values, .. } if values.contains_key(STEP_LOSS) => {
                    reported.step = reported.step.max(*step);
                }
                Record::Metrics { step, values, .. } if values.contains_key(EPOCH_SECONDS) => {
                    reported.epoch = reported.epoch.max(*step);
                    (reported.results, reported.model) = (false, false);
                }
                Record::Metrics { .. } => reported.results = true,
                Record::Model { .. } => reported.model = true,
                Record::Status { status, .. } => reported.status.clone_from(status),
                Record::Tags { .. } | Record::File { .. } | Record::Text { .. } => {}
            }
        }
        reported
    }
}

/// Names of metrics.
const EPOCH_SECONDS: &str = "seconds";
const STEP_LOSS: &str = "step/train_loss";

/// The prefix of the metrics of the exported model on the validation set.
const VALIDATION: &str = "validation";

impl Callback for Mlflow {
    fn step_ended(&mut self, training: &Training, _: &Network) -> Result<Flow> {
        if self.measured.elapsed() < STEP_INTERVAL {
            return Ok(Flow::Continue);
        }
        self.measured = Instant::now();
        let position = training.position();
        let step = u64::from(position.epoch - 1) * training.steps() as u64 + position.step as u64;
        if step > self.reported.step {
            let values = [(STEP_LOSS, training.running().loss()), ("step/lr", training.lr())];
            self.report(Record::Metrics { time: now(), step, values: finite(values) });
        }
        Ok(Flow::Continue)
    }

    fn epoch_ended(&mut self, _: &Training, _: &Network, record: &EpochRecord) -> Result<Flow> {
        let step = u64::from(record.epoch);
        if step > self.reported.epoch {
            let (train, validation) = (format!("train_{}", self.score), format!("validation_{}", self.score));
            let values = [
                ("train_loss", record.train_loss),
                (train.as_str(), record.train_accuracy),
                ("validation_loss", record.validation_loss),
                (validation.as_str(), record.validation_accuracy),
                ("lr", record.lr),
                (EPOCH_SECONDS, record.seconds),
                ("monitored", record.score.unwrap_or(f64::NAN)),
            ];
            self.report(Record::Metrics { time: now(), step, values: finite(values) });
        }
        Ok(Flow::Continue)
    }
}

fn new_run(run: &Run, target: &Target) -> RunRecord {
    let variable = || std::env::var(EXPERIMENT_VARIABLE).ok().filter(|name| !name.is_empty());
    let path = run.folder.path();
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let time = now();
    let instant = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let unique = format!("{instant} {} {}", std::process::id(), path.display());
    let dataset = &run.prepared.dataset;
    let tags = [
        ("mlflow.source.name", "cresset train".to_string()),
        ("mlflow.source.type", "LOCAL".to_string()),
        ("cresset.version", env!("CARGO_PKG_VERSION").to_string()),
        ("cresset.libtorch", cresset_bridge::LIBTORCH_VERSION.to_string()),
        ("cresset.data_sha256", dataset.sha256.clone()),
        ("cresset.device", device::name(run.prepared.device)),
        ("cresset.processes", run.world.size().to_string()),
    ];
    RunRecord {
        id: sha256(unique.as_bytes())[..32].to_string(),
        experiment: target.experiment.clone().or_else(variable).unwrap_or(DEFAULT_EXPERIMENT.to_string()),
        name,
        time,
        tags: tags.map(|(name, value)| (name.to_string(), value)).into(),
        params: params(run),
    }
}

/// The options by name, with paths reduced to their file names.
fn params(run: &Run) -> BTreeMap<String, String> {
    let text = |value: toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let entries = run.config.portable_entries().into_iter();
    let entries =
        entries.map(|(name, value)| (name.to_string(), text(value).chars().take(MOST_CHARACTERS).collect()));
    entries.filter(|(_, value): &(String, String)| !value.is_empty()).collect()
}

/// The loss and the metrics of a part, such as `validation/macro F1`.
fn named(
    part: &str,
    loss: f64,
    metrics: &serde_json::Map<String, serde_json::Value>,
) -> BTreeMap<String, f64> {
    let metrics = metrics.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_f64()?)));
    let all = metrics.chain([("loss", loss)]).filter(|(_, value)| value.is_finite());
    all.map(|(name, value)| (format!("{part}/{}", metric_name(name)), value)).collect()
}

/// A name with the characters that MLflow takes only.
fn metric_name(name: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_-. /".contains(c);
    name.chars()
        .map(|c| {
            if is_allowed(c) {
                c
            } else if c == '²' {
                '2'
            } else {
                '_'
            }
        })
        .collect()
}

/// The values that are finite; MLflow takes no others.
fn finite<const N: usize>(values: [(&str, f64); N]) -> BTreeMap<String, f64> {
    let finite = values.into_iter().filter(|(_, value)| value.is_finite());
    finite.map(|(name, value)| (name.to_string(), value)).collect()
}

/// A path below the run folder.
fn relative(folder: &RunFolder, path: &Path) -> Option<String> {
    Some(path.strip_prefix(folder.path()).ok()?.to_string_lossy().into_owned())
}

/// Milliseconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}

impl From<cresset_mlflow::Error> for Error {
    fn from(error: cresset_mlflow::Error) -> Self {
        match error {
            cresset_mlflow::Error::File(error) => error.into(),
            cresset_mlflow::Error::Usage(problem) => Error::Usage(problem),
            cresset_mlflow::Error::Unavailable(problem) | cresset_mlflow::Error::Refused(problem) => {
                Error::Network(problem)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_characters_that_mlflow_takes() {
        assert_eq!(metric_name("calibration error, scaled"), "calibration error_ scaled");
        assert_eq!(metric_name("R²"), "R2");
        let metrics = serde_json::json!({ "macro F1": 0.5, "undefined": null });
        let values = named("test", f64::NAN, metrics.as_object().unwrap());
        assert_eq!(values, BTreeMap::from([("test/macro F1".to_string(), 0.5)]));
    }

    #[test]
    fn what_was_reported_is_known_from_the_journal() {
        let metrics = |step, name: &str| Record::Metrics { time: 1, step, values: finite([(name, 1.)]) };
        let mut records = vec![metrics(1, EPOCH_SECONDS), metrics(700, STEP_LOSS), metrics(2, EPOCH_SECONDS)];
        records.push(metrics(1, "validation/loss"));
        let reported = Reported::of(&records);
        assert_eq!((reported.epoch, reported.step, reported.run), (2, 700, None));
        assert!(reported.results && !reported.model);
        // Training went on.
        records.push(metrics(3, EPOCH_SECONDS));
        assert!(!Reported::of(&records).results);
    }
}
