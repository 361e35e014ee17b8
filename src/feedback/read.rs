//! Reads feedback sets.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path};

use super::{CORRECTIONS, CorrectedInput, Correction, INPUTS};
use crate::error::{Error, Location, Result, quoted};

/// A feedback set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FeedbackSet {
    /// The corrections in order of arrival.
    pub corrections: Vec<Correction>,
    /// Notes on skipped lines, which killed processes left incomplete.
    pub notes: Vec<String>,
}

/// Reads the feedback set in a folder; a missing file is an empty set.
///
/// ```
/// // A folder without corrections is an empty set.
/// let folder = tempfile::tempdir().unwrap();
/// let set = cresset::feedback::read(folder.path())?;
/// assert!(set.corrections.is_empty() && set.notes.is_empty());
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// If the file cannot be read.
pub fn read(folder: &Path) -> Result<FeedbackSet> {
    let path = folder.join(CORRECTIONS);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(FeedbackSet::default()),
        other => other.map_err(Error::io("read", &path))?,
    };
    let mut set = FeedbackSet::default();
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        if text.trim_ascii().is_empty() {
            continue;
        }
        match parse_line(text) {
            Ok(correction) => set.corrections.push(correction),
            Err(problem) => set.notes.push(format!("{}: skipped: {problem}", Location::line(&path, line))),
        }
    }
    Ok(set)
}

fn parse_line(text: &[u8]) -> std::result::Result<Correction, String> {
    let correction: Correction =
        serde_json::from_slice(text).map_err(|e| format!("this is not a complete correction ({e})"))?;
    match &correction.input {
        CorrectedInput::Image(name) if !is_in_set(name) => {
            Err(format!("the image {} is not in the folder {INPUTS}", quoted(name)))
        }
        _ => Ok(correction),
    }
}

/// Whether the path of an image is directly in [`INPUTS`], not elsewhere on the disk.
fn is_in_set(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    parts.next() == Some(Component::Normal(INPUTS.as_ref()))
        && matches!(parts.next(), Some(Component::Normal(_)))
        && parts.next().is_none()
}
