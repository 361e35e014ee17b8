//! Labelled data: reading it, describing it, splitting it, feeding it.

pub mod builtin;
pub mod csv;
mod dataset;
mod epoch;
pub mod image;
mod split;
mod table;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use dataset::{Dataset, HeldOutPart, InputShape, Part, TrainPart};
pub use epoch::EpochOrder;
pub use split::Split;
pub use table::{Table, ValueRange};

use crate::error::{Error, Result, nearest};

/// A file format that examples are read from.
///
/// To add one, write a file beside `csv.rs` with a constant of this type and put it in [`FORMATS`].
#[derive(Debug)]
pub struct Format {
    /// Its name.
    pub name: &'static str,
    /// The file name endings that it is recognised by, without the dot, in lower case.
    pub extensions: &'static [&'static str],
    /// Reads a file of labelled rows.
    pub read: fn(&Path) -> Result<Table>,
}

/// All formats.
pub const FORMATS: &[Format] = &[csv::FORMAT];

/// Reads a data set, by the name of a built-in one or by the path of a file.
///
/// # Errors
/// Data that is missing, in no known format, damaged, or unfit for classification.
pub fn load(source: &str) -> Result<Dataset> {
    if let Some(known) = builtin::DATASETS.iter().find(|dataset| dataset.name == source) {
        return known.load();
    }
    let path = PathBuf::from(source);
    // A path that cannot even be looked at is left to the reader, which says why.
    if matches!(path.try_exists(), Ok(false)) {
        let known: Vec<_> = builtin::DATASETS.iter().map(|dataset| dataset.name).collect();
        let hint = nearest(source, known.iter().copied())
            .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let problem = format!(
            "there is no such file, and no built-in data set of that name (they are: {}){hint}",
            known.join(", ")
        );
        return Err(Error::data(path.as_path(), problem));
    }
    let format = format_of(&path)?;
    let table = (format.read)(&path)?;
    let shape = InputShape(vec![table.width() as i64]);
    Dataset::from_table(table, shape, None)
}

/// The format of a file, by its name.
pub fn format_of(path: &Path) -> Result<&'static Format> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    FORMATS.iter().find(|format| format.extensions.contains(&extension.as_str())).ok_or_else(|| {
        let known: Vec<_> = FORMATS.iter().flat_map(|format| format.extensions).copied().collect();
        let builtin: Vec<_> = builtin::DATASETS.iter().map(|dataset| dataset.name).collect();
        Error::data(
            path,
            format!(
                "this is no format that can be read: a file's name ends in {}; built-in data sets are {}",
                known.join(", "),
                builtin.join(", ")
            ),
        )
    })
}

/// SHA-256 of bytes, as 64 hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
