//! The journal: what is to be sent, in order.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use cresset_data::error::Error as DataError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Result;

/// The name of the journal in the run folder.
pub const JOURNAL: &str = "mlflow.jsonl";

/// An entry of the journal. Times are in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "record")]
pub enum Record {
    /// The run, the first record.
    Run(RunRecord),
    /// Metrics of a step. Values are finite.
    Metrics {
        /// When they were measured.
        time: u64,
        /// The step: of epochs, their number.
        step: u64,
        /// Values by name.
        values: BTreeMap<String, f64>,
    },
    /// Tags of the run.
    Tags {
        /// Values by name.
        values: BTreeMap<String, String>,
    },
    /// A file of the run folder, as an artifact.
    File {
        /// The name of the artifact, which may contain `/`.
        name: String,
        /// The path in the run folder.
        path: PathBuf,
    },
    /// A text, as an artifact.
    Text {
        /// The name of the artifact.
        name: String,
        /// The contents.
        text: String,
    },
    /// An MLflow model: the contents of `MLmodel`, without the run's ID.
    Model {
        /// The folder of the artifacts of the model.
        folder: String,
        /// The contents of `MLmodel`.
        description: Value,
    },
    /// The state of the run.
    Status {
        /// `RUNNING`, `FINISHED`, `FAILED` or `KILLED`.
        status: String,
        /// When it was reached.
        time: u64,
    },
}

/// A run as it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// An ID that no other run has, by which the run is found on the server if the answer to its creation was lost.
    pub id: String,
    /// The name of the experiment.
    pub experiment: String,
    /// The name of the run.
    pub name: String,
    /// When it started.
    pub time: u64,
    /// Tags by name.
    pub tags: BTreeMap<String, String>,
    /// Parameters by name.
    pub params: BTreeMap<String, String>,
}

/// The journal of a run folder, open for writing.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens or creates the journal of a run folder, and returns the records that it has. A line that a crash left incomplete is
    /// removed.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn open(folder: &Path) -> Result<(Self, Vec<Record>)> {
        let path = folder.join(JOURNAL);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(DataError::io("open", &path))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(DataError::io("read", &path))?;
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if complete < bytes.len() {
            file.set_len(complete as u64).map_err(DataError::io("write", &path))?;
        }
        let records = lines(&bytes).map(|(_, record)| record).collect();
        Ok((Journal { path, file }, records))
    }

    /// Appends a record.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        let line = serde_json::to_string(record).expect("a record serializes to JSON") + "\n";
        Ok(self.file.write_all(line.as_bytes()).map_err(DataError::io("write", &self.path))?)
    }
}

/// The complete records of a journal from byte `start`, each with the number of the byte behind it.
pub fn read_from(folder: &Path, start: u64) -> Result<Vec<(u64, Record)>> {
    let path = folder.join(JOURNAL);
    let mut file = File::open(&path).map_err(DataError::io("open", &path))?;
    let mut bytes = Vec::new();
    let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_to_end(&mut bytes));
    read.map_err(DataError::io("read", &path))?;
    Ok(lines(&bytes).map(|(end, record)| (start + end, record)).collect())
}

/// The records of complete lines, each with the number of the byte behind its line. Lines of a newer version are skipped.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (u64, Record)> {
    let mut end = 0;
    let complete = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    complete.filter_map(move |line| {
        end += line.len() as u64;
        Some((end, serde_json::from_slice(line).ok()?))
    })
}
