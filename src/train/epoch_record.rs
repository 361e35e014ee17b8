//! The metrics of an epoch, and metrics.csv.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Training;
use super::callback::{Callback, Flow};
use crate::data::{TaskKind, atomic};
use crate::error::{Error, Result};
use crate::model::{Network, Outputs};

/// The metrics of one epoch. Losses are means over examples ([`Evaluation::loss`](crate::evaluate::Evaluation::loss)).
///
/// ```
/// use cresset::prelude::*;
/// use cresset::train::MetricsLog;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let records: Vec<EpochRecord> = MetricsLog::read(&out.join("metrics.csv"))?;
/// assert_eq!(records.len(), 3);
/// assert_eq!(EpochRecord::best(&records).unwrap().epoch, fitted.best_epoch());
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch, from 1; 0 for the head that was fitted before training. Without training, the number of the attempt to fit a head.
    pub epoch: u32,
    /// Mean loss over the training set, computed during the epoch.
    pub train_loss: f64,
    /// Accuracy on the training set, computed during the epoch; for other tasks the score that takes its place
    /// ([`Outputs::score_name`]).
    #[serde(alias = "train_f1", alias = "train_r2", alias = "train_ndcg")]
    pub train_accuracy: f64,
    /// Mean loss over the validation set, after the epoch.
    #[serde(rename = "held_out_loss")]
    pub validation_loss: f64,
    /// Accuracy or score on the validation set, after the epoch.
    #[serde(
        rename = "held_out_accuracy",
        alias = "held_out_f1",
        alias = "held_out_r2",
        alias = "held_out_ndcg"
    )]
    pub validation_accuracy: f64,
    /// Learning rate; 0 for a head that was fitted without one.
    pub lr: f64,
    /// Duration in seconds, including evaluation.
    pub seconds: f64,
    /// The monitored metric on the validation set after the epoch, from 0 to 1; none if the loss is monitored.
    #[serde(rename = "monitored", default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

impl EpochRecord {
    /// The best epoch, whose weights are exported: the one with the highest monitored metric, or with the lowest validation loss if
    /// the loss is monitored. Of equal epochs, the first one. None if no loss is finite.
    pub fn best(records: &[EpochRecord]) -> Option<&EpochRecord> {
        let finite = records.iter().filter(|record| record.validation_loss.is_finite());
        finite.reduce(|best, record| {
            let is_better =
                is_better((record.validation_loss, record.score), (best.validation_loss, best.score));
            if is_better { record } else { best }
        })
    }
}

/// Whether an epoch is better than another one, each given by its validation loss and its score, if one is monitored.
pub(super) fn is_better(new: (f64, Option<f64>), old: (f64, Option<f64>)) -> bool {
    match (new.1, old.1) {
        (Some(new), Some(old)) => new > old,
        _ => new.0 < old.0,
    }
}

/// metrics.csv: one row per epoch, appended when the epoch ends.
///
/// ```
/// use cresset::train::MetricsLog;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("metrics.csv");
/// assert!(MetricsLog::read_if_exists(&path)?.is_empty());
/// assert_eq!(MetricsLog::open(&path, 0)?.spent(), 0.);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    /// Duration in seconds of the epochs in the file when it was opened.
    spent: f64,
    /// The score in the names of the columns.
    score: &'static str,
}

impl MetricsLog {
    /// Names the columns of the score as `outputs` has it: `train_accuracy`, `train_f1` or `train_r2`.
    pub fn for_outputs(self, outputs: &Outputs) -> Self {
        MetricsLog { score: outputs.task().score_column(), ..self }
    }

    /// Opens or creates the file and keeps the rows of the epochs up to `finished`. A killed run may have written an epoch that
    /// is not in its last checkpoint.
    pub fn open(path: &Path, finished: u32) -> Result<Self> {
        let records = if finished > 0 { Self::read(path)? } else { Self::read_if_exists(path)? };
        // The last row wins if an epoch has two.
        let records: BTreeMap<_, _> = records.into_iter().map(|record| (record.epoch, record)).collect();
        let records: Vec<_> = records.into_values().filter(|record| record.epoch <= finished).collect();
        let header = if records.is_empty() { Vec::new() } else { first_line(path)? };
        let mut kept = csv::WriterBuilder::new().has_headers(false).from_writer(header);
        records.iter().for_each(|record| kept.serialize(record).expect("a record can be written to memory"));
        let bytes = kept.into_inner().expect("a record can be written to memory");
        atomic::write(path, &bytes)?;
        let spent = records.iter().map(|record| record.seconds).sum();
        Ok(MetricsLog { path: path.to_path_buf(), spent, score: ACCURACY })
    }

    /// Duration in seconds of the epochs in the file when it was opened.
    pub fn spent(&self) -> f64 {
        self.spent
    }

    /// The task whose score a file has; classification if it has no rows yet, or does not exist.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn task(path: &Path) -> Result<TaskKind> {
        let header = if path.is_file() { first_line(path)? } else { Vec::new() };
        let header = String::from_utf8_lossy(&header);
        let is_score = |task: &TaskKind| {
            let column = format!("train_{}", task.score_column());
            header.trim_end().split(',').any(|name| name == column)
        };
        let others = [TaskKind::Multilabel, TaskKind::Regression, TaskKind::Ranking];
        Ok(others.into_iter().find(is_score).unwrap_or(TaskKind::Classification))
    }

    /// The records of a file; empty if it does not exist yet.
    pub fn read_if_exists(path: &Path) -> Result<Vec<EpochRecord>> {
        if path.is_file() { Self::read(path) } else { Ok(Vec::new()) }
    }

    /// The records of a file. An incomplete last row is dropped.
    pub fn read(path: &Path) -> Result<Vec<EpochRecord>> {
        let text = std::fs::read(path).map_err(Error::io("read", path))?;
        Ok(csv::Reader::from_reader(&text[..]).deserialize().map_while(std::result::Result::ok).collect())
    }
}

impl MetricsLog {
    /// Appends a row.
    pub(crate) fn append(&self, record: &EpochRecord) -> Result<()> {
        let mut file =
            OpenOptions::new().append(true).open(&self.path).map_err(Error::io("open", &self.path))?;
        let is_new = file.metadata().map_err(Error::io("read", &self.path))?.len() == 0;
        let mut rows = csv::WriterBuilder::new().has_headers(is_new).from_writer(Vec::new());
        rows.serialize(record).expect("a record can be written to memory");
        let rows = String::from_utf8(rows.into_inner().expect("a record can be written to memory"));
        // Only the header has names.
        let rows = rows.expect("a record is text").replace(ACCURACY, self.score);
        file.write_all(rows.as_bytes()).map_err(Error::io("write", &self.path))
    }
}

/// The score of classifiers in the names of columns.
const ACCURACY: &str = "accuracy";

/// The first line of a file, with its end.
fn first_line(path: &Path) -> Result<Vec<u8>> {
    let text = std::fs::read(path).map_err(Error::io("read", path))?;
    Ok(text.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default().to_vec())
}

impl Callback for MetricsLog {
    fn epoch_ended(&mut self, _: &Training, _: &Network, record: &EpochRecord) -> Result<Flow> {
        self.append(record)?;
        Ok(Flow::Continue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(epoch: u32) -> EpochRecord {
        EpochRecord {
            epoch,
            train_loss: 0.5,
            train_accuracy: 0.9,
            validation_loss: 0.6,
            validation_accuracy: 0.8,
            lr: 1e-3,
            seconds: 0.1,
            score: None,
        }
    }

    #[test]
    fn rows_beyond_the_checkpoint_and_half_rows_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let log = MetricsLog::open(&path, 0).unwrap();
        (1..=3).for_each(|epoch| log.append(&record(epoch)).unwrap());
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("4,0.1,0.2");
        std::fs::write(&path, text).unwrap();

        let log = MetricsLog::open(&path, 2).unwrap();
        log.append(&record(3)).unwrap();
        log.append(&record(3)).unwrap();
        MetricsLog::open(&path, 3).unwrap();
        assert_eq!(MetricsLog::read(&path).unwrap(), [record(1), record(2), record(3)]);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 4);
    }

    #[test]
    fn a_fitted_head_before_the_first_epoch_and_the_names_of_the_score_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let outputs = Outputs::Multilabel { thresholds: vec![0.5] };
        MetricsLog::open(&path, 0).unwrap().for_outputs(&outputs).append(&record(0)).unwrap();
        MetricsLog::open(&path, 0).unwrap().for_outputs(&outputs).append(&record(1)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("epoch,train_loss,train_f1,held_out_loss,held_out_f1,lr,seconds\n0,"),
            "{text}"
        );
        assert_eq!(MetricsLog::read(&path).unwrap(), [record(0), record(1)]);
    }

    #[test]
    fn the_header_names_the_score_of_the_task() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        assert_eq!(MetricsLog::task(&path).unwrap(), TaskKind::Classification);
        let outputs = [
            Outputs::Classification,
            Outputs::Multilabel { thresholds: vec![0.5] },
            Outputs::Regression { offset: 0., scale: 1., interval: None },
            Outputs::Ranking,
        ];
        for outputs in outputs {
            MetricsLog::open(&path, 0).unwrap().for_outputs(&outputs).append(&record(1)).unwrap();
            assert_eq!(MetricsLog::task(&path).unwrap(), outputs.task());
            assert_eq!(MetricsLog::read(&path).unwrap(), [record(1)]);
        }
    }

    #[test]
    fn the_best_epoch_is_the_one_with_the_least_finite_loss() {
        let record = |epoch, validation_loss| EpochRecord { validation_loss, ..record(epoch) };
        let records = [record(1, f64::NAN), record(2, 0.4), record(3, 0.3), record(4, 0.5)];
        assert_eq!(EpochRecord::best(&records).map(|record| record.epoch), Some(3));
        assert_eq!(EpochRecord::best(&records[..1]), None);
    }

    #[test]
    fn a_monitored_metric_decides_before_the_loss_and_a_tie_goes_to_the_first_epoch() {
        let record = |epoch, score, validation_loss| EpochRecord { score, validation_loss, ..record(epoch) };
        let records = [
            record(1, Some(0.5), 0.1),
            record(2, Some(0.9), f64::NAN),
            record(3, Some(0.8), 0.6),
            record(4, Some(0.8), 0.4),
        ];
        assert_eq!(EpochRecord::best(&records).map(|record| record.epoch), Some(3));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let log = MetricsLog::open(&path, 0).unwrap();
        records[2..].iter().for_each(|record| log.append(record).unwrap());
        assert_eq!(MetricsLog::read(&path).unwrap(), records[2..]);
        assert!(std::fs::read_to_string(&path).unwrap().starts_with(
            "epoch,train_loss,train_accuracy,held_out_loss,held_out_accuracy,lr,seconds,monitored\n3,"
        ));
    }
}
