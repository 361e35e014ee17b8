//! Appends to feedback sets durably.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::{Answer, CORRECTIONS, CorrectedInput, Correction, INPUTS};
use crate::error::{Error, Result};

/// Appends corrections to a set. Threads may share a writer, and processes may share a set.
///
/// ```
/// use cresset::feedback::{Answer, Correction, FeedbackWriter, NewInput};
///
/// let folder = tempfile::tempdir().unwrap();
/// let writer = FeedbackWriter::new(folder.path())?;
/// let (correction, count) = writer.add(
///     NewInput::Values(&[5.1, 3.5, 1.4, 0.2]),
///     |input| Correction {
///         id: "a1".to_string(),
///         time: "2026-07-31T12:34:56Z".to_string(),
///         input,
///         answer: Answer { class: "virginica".to_string(), probability: 0.61 },
///         correction: "setosa".to_string(),
///         model_sha256: String::new(),
///         model_version: None,
///     },
///     "a1",
/// )?;
/// assert_eq!(count, 1);
/// assert_eq!(cresset::feedback::read(folder.path())?.corrections, [correction]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct FeedbackWriter {
    folder: PathBuf,
    /// Number of corrections in the set.
    count: Mutex<u64>,
}

/// The input of a new correction.
///
/// ```
/// use cresset::feedback::NewInput;
///
/// // A row of a table, with a missing value, and an image.
/// let row = NewInput::Values(&[5.1, f32::NAN, 1.4, 0.2]);
/// let image = NewInput::Image(b"\x89PNG\r\n\x1a\n", "png");
/// assert!(matches!((row, image), (NewInput::Values(_), NewInput::Image(_, "png"))));
/// ```
#[derive(Debug, Clone, Copy)]
pub enum NewInput<'a> {
    /// An image: encoded bytes and file extension (`png`).
    Image(&'a [u8], &'a str),
    /// Raw values.
    Values(&'a [f32]),
}

impl FeedbackWriter {
    /// A writer for the set in this folder, which is created with the first correction.
    ///
    /// # Errors
    /// If an existing set cannot be read.
    pub fn new(folder: &Path) -> Result<Self> {
        let count = super::read(folder)?.corrections.len() as u64;
        Ok(FeedbackWriter { folder: folder.to_path_buf(), count: Mutex::new(count) })
    }

    /// Appends a correction, with `id` as the name of its image, and flushes it to disk. Returns the number of corrections
    /// known to this process.
    ///
    /// # Errors
    /// If writing fails.
    pub fn add(
        &self,
        given: NewInput,
        fill: impl FnOnce(CorrectedInput) -> Correction,
        id: &str,
    ) -> Result<(Correction, u64)> {
        // Held until the line is complete.
        let mut count = self.count.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let inputs = self.folder.join(INPUTS);
        let is_new = !inputs.is_dir();
        fs::create_dir_all(&inputs).map_err(Error::io("create the folder", &inputs))?;
        if is_new {
            sync_folder(self.folder.parent().unwrap_or(Path::new("/")))?;
            sync_folder(&self.folder)?;
        }
        let input = match given {
            NewInput::Values(values) => CorrectedInput::Values(values.to_vec()),
            NewInput::Image(bytes, ending) => {
                let name = format!("{id}.{ending}");
                write_image(&inputs, &name, bytes)?;
                CorrectedInput::Image(format!("{INPUTS}/{name}"))
            }
        };
        let correction = fill(input);
        self.append(&correction)?;
        *count += 1;
        Ok((correction, *count))
    }

    /// The folder of the set.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Number of corrections known to this process.
    pub fn count(&self) -> u64 {
        *self.count.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn append(&self, correction: &Correction) -> Result<()> {
        let path = self.folder.join(CORRECTIONS);
        let refused = || Error::io("write", &path);
        let is_new = !path.exists();
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(refused())?;
        file.lock().map_err(refused())?;
        let mut line = serde_json::to_vec(correction).expect("a correction serializes");
        line.push(b'\n');
        if !ends_its_last_line(&mut file).map_err(refused())? {
            line.insert(0, b'\n');
        }
        file.write_all(&line).and_then(|()| file.sync_all()).map_err(refused())?;
        if is_new { sync_folder(&self.folder) } else { Ok(()) }
    }
}

/// Whether a file is empty or ends with a newline. It may not if a process was killed while writing.
fn ends_its_last_line(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn write_image(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(name);
    let mut file = File::create_new(&path).map_err(Error::io("create", &path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::io("write", &path))?;
    sync_folder(folder)
}

/// Syncs a folder: a new file only survives a system crash once its folder is on disk.
fn sync_folder(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(Error::io("write to the folder", folder))
}

impl Answer {
    /// Whether the probability is valid.
    pub fn has_valid_probability(&self) -> bool {
        (0. ..=1.).contains(&self.probability)
    }
}
