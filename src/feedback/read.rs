//! Reading a feedback set.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path};

use super::{CORRECTIONS, Correction, INPUTS, Input};
use crate::error::{Error, Place, Result, quoted};

/// A feedback set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Set {
    /// The corrections, in the order in which they came.
    pub corrections: Vec<Correction>,
    /// What was passed over, and why: lines of processes that were killed while they wrote them.
    pub notes: Vec<String>,
}

/// Reads the feedback set of a folder; one without corrections is empty.
///
/// # Errors
/// A file that cannot be read.
pub fn read(folder: &Path) -> Result<Set> {
    let path = folder.join(CORRECTIONS);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Set::default()),
        other => other.map_err(Error::io("read", &path))?,
    };
    let mut set = Set::default();
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        if text.trim_ascii().is_empty() {
            continue;
        }
        match of_line(text) {
            Ok(correction) => set.corrections.push(correction),
            Err(problem) => {
                set.notes.push(format!("{}: passed over, for {problem}", Place::line(&path, line)))
            }
        }
    }
    Ok(set)
}

fn of_line(text: &[u8]) -> std::result::Result<Correction, String> {
    let correction: Correction =
        serde_json::from_slice(text).map_err(|e| format!("this is no whole correction ({e})"))?;
    match &correction.input {
        Input::Image(name) if !is_of_set(name) => {
            Err(format!("the picture {} does not stand in the folder {INPUTS}", quoted(name)))
        }
        _ => Ok(correction),
    }
}

/// Whether a picture's name leads to a file right below [`INPUTS`], and not anywhere else on the disk.
fn is_of_set(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    parts.next() == Some(Component::Normal(INPUTS.as_ref()))
        && matches!(parts.next(), Some(Component::Normal(_)))
        && parts.next().is_none()
}
