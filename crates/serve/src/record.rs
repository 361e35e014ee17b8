//! The record of predictions (`--record`): the bodies of requests as they arrived, and the results.
//!
//! ```text
//! DIR/
//!   predictions.jsonl   one JSON object per answered request: id, time, model_sha256, content_type, body or file, results
//!   inputs/ID.png       the bodies that are no text, byte for byte
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use cresset::error::{Error, Result};

/// Name of the file with the predictions.
const PREDICTIONS: &str = "predictions.jsonl";

/// Name of the folder with the bodies that are no text.
const INPUTS: &str = "inputs";

/// Appends predictions to a folder. Processes may share it.
pub(super) struct Recorder {
    folder: PathBuf,
}

/// An answered request.
#[derive(Serialize)]
pub(super) struct Record<'a, R> {
    pub id: &'a str,
    /// Time in UTC, as RFC 3339.
    pub time: String,
    pub model_sha256: &'a str,
    pub content_type: &'a str,
    pub results: &'a [R],
}

/// A line of the file.
#[derive(Serialize)]
struct Line<'a, R> {
    #[serde(flatten)]
    record: &'a Record<'a, R>,
    #[serde(flatten)]
    body: Body<'a>,
}

/// The body of a request.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Body<'a> {
    /// A text.
    Body(&'a str),
    /// The path of a file in the folder.
    File(String),
}

impl Recorder {
    /// Creates the folder, so that one that cannot be written to shows at once.
    ///
    /// # Errors
    /// If the folder cannot be created or written to.
    pub fn new(folder: &Path) -> Result<Self> {
        let inputs = folder.join(INPUTS);
        fs::create_dir_all(&inputs).map_err(Error::io("create the folder", &inputs))?;
        let recorder = Recorder { folder: folder.to_path_buf() };
        recorder.open()?;
        Ok(recorder)
    }

    /// Appends an answered request whose body has the file extension `extension` unless it is a text.
    ///
    /// # Errors
    /// If writing fails.
    pub fn add<R: Serialize>(&self, record: &Record<R>, body: &[u8], extension: &str) -> Result<()> {
        let body = match std::str::from_utf8(body) {
            Ok(text) => Body::Body(text),
            Err(_) => {
                let name = format!("{INPUTS}/{}.{extension}", record.id);
                let path = self.folder.join(&name);
                fs::write(&path, body).map_err(Error::io("write", &path))?;
                Body::File(name)
            }
        };
        let mut line = serde_json::to_vec(&Line { record, body }).expect("a record serializes");
        line.push(b'\n');
        let path = self.folder.join(PREDICTIONS);
        let mut file = self.open()?;
        // One write in append mode, under a lock: lines of several threads and processes do not mix.
        let written = file.lock().and_then(|()| file.write_all(&line));
        written.map_err(Error::io("write", &path))
    }

    fn open(&self) -> Result<File> {
        let path = self.folder.join(PREDICTIONS);
        OpenOptions::new().append(true).create(true).open(&path).map_err(Error::io("open", &path))
    }
}
