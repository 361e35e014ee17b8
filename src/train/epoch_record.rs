//! What is known of an epoch when it is over, and the file that it is written to.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Training;
use super::callback::{Callback, Flow};
use crate::data::atomic;
use crate::error::{Error, Result};
use crate::model::Network;

/// One epoch. Losses are mean cross-entropies in nats, accuracies shares from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch, from 1.
    pub epoch: u32,
    /// Mean loss over the training rows, each seen while the weights changed.
    pub train_loss: f64,
    /// Accuracy over the training rows, likewise.
    pub train_accuracy: f64,
    /// Mean loss over the held-out rows, after the epoch.
    pub held_out_loss: f64,
    /// Accuracy over the held-out rows, after the epoch.
    pub held_out_accuracy: f64,
    /// Learning rate.
    pub lr: f64,
    /// Seconds that the epoch took, evaluation included.
    pub seconds: f64,
}

impl EpochRecord {
    /// The epoch with the least held-out loss, whose weights are exported; none where no loss is a number.
    pub fn best(records: &[EpochRecord]) -> Option<&EpochRecord> {
        let finite = records.iter().filter(|record| record.held_out_loss.is_finite());
        finite.min_by(|a, b| a.held_out_loss.total_cmp(&b.held_out_loss))
    }
}

/// metrics.csv: a row an epoch, appended as it ends, so that it can be read while the model trains.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    /// Seconds that the epochs took that were over when the file was opened.
    spent: f64,
}

impl MetricsLog {
    /// Opens or creates the file, keeping the rows of the epochs up to `finished`: a run that was killed may have written
    /// an epoch that its last checkpoint does not know.
    pub fn open(path: &Path, finished: u32) -> Result<Self> {
        let mut kept = csv::Writer::from_writer(Vec::new());
        let records = if finished > 0 { Self::read(path)? } else { Vec::new() };
        // Of an epoch that stands there twice, what was written last.
        let records: BTreeMap<_, _> = records.into_iter().map(|record| (record.epoch, record)).collect();
        let records: Vec<_> = records.into_values().filter(|record| record.epoch <= finished).collect();
        records.iter().for_each(|record| kept.serialize(record).expect("a record can be written to memory"));
        let bytes = kept.into_inner().expect("a record can be written to memory");
        atomic::write(path, &bytes)?;
        Ok(MetricsLog { path: path.to_path_buf(), spent: records.iter().map(|record| record.seconds).sum() })
    }

    /// Seconds that the epochs took that were over when the file was opened.
    pub fn spent(&self) -> f64 {
        self.spent
    }

    /// The records of a file, none if it is not there yet.
    pub fn so_far(path: &Path) -> Result<Vec<EpochRecord>> {
        if path.is_file() { Self::read(path) } else { Ok(Vec::new()) }
    }

    /// The records of a file. A last row that was cut off in the middle is left out.
    pub fn read(path: &Path) -> Result<Vec<EpochRecord>> {
        let text = std::fs::read(path).map_err(Error::io("read", path))?;
        Ok(csv::Reader::from_reader(&text[..]).deserialize().map_while(std::result::Result::ok).collect())
    }
}

impl MetricsLog {
    fn append(&self, record: &EpochRecord) -> Result<()> {
        let file = OpenOptions::new().append(true).open(&self.path).map_err(Error::io("open", &self.path))?;
        let is_new = file.metadata().map_err(Error::io("read", &self.path))?.len() == 0;
        let mut writer = csv::WriterBuilder::new().has_headers(is_new).from_writer(file);
        let written = writer.serialize(record).map_err(std::io::Error::other).and_then(|()| writer.flush());
        written.map_err(Error::io("write", &self.path))
    }
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
            held_out_loss: 0.6,
            held_out_accuracy: 0.8,
            lr: 1e-3,
            seconds: 0.1,
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
    fn the_best_epoch_is_the_one_with_the_least_finite_loss() {
        let record = |epoch, held_out_loss| EpochRecord { held_out_loss, ..record(epoch) };
        let records = [record(1, f64::NAN), record(2, 0.4), record(3, 0.3), record(4, 0.5)];
        assert_eq!(EpochRecord::best(&records).map(|record| record.epoch), Some(3));
        assert_eq!(EpochRecord::best(&records[..1]), None);
    }
}
