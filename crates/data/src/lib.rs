//! Labelled data: reads it from files of many formats, describes it, checks it and splits it. Nothing here needs libtorch.

pub mod atomic;
pub mod audit;
pub mod builtin;
pub mod column;
mod dataset;
pub mod error;
pub mod format;
mod grouping;
pub mod image;
mod labels;
pub mod lists;
mod lone;
pub mod notation;
pub mod options;
pub mod parallel;
pub mod random;
pub mod room;
mod split;
mod table;
pub mod terminal;
pub mod thumbnail;
pub mod unknown;

use std::path::PathBuf;

use sha2::{Digest, Sha256};

pub use column::TableLayout;
pub use dataset::{Dataset, InputShape, Inputs, Names, Portion, gather};
pub use grouping::{Grouping, GroupingOptions};
pub use labels::{LabelsBuilder, sorted_classes};
pub use lone::Lacking;
pub use options::DataOptions;
pub use split::{Split, SplitPlan};
pub use table::{Table, ValueRange};

use crate::error::{Error, Result, did_you_mean};

/// Reads a data set, by the name of a built-in one or by the path of a file or folder.
///
/// # Errors
/// Data that is missing, in no known format, damaged, or unfit for classification.
pub fn load(source: &str, options: &DataOptions) -> Result<Dataset> {
    let dataset = read(source, options)?;
    let dataset = match &options.exclude {
        Some(list) => lists::leave_out(dataset, list)?,
        None => dataset,
    };
    dataset.check()?;
    Ok(dataset)
}

/// Reads a data set whole, fit for classification or not.
///
/// # Errors
/// Data that is missing, in no known format, or damaged.
pub fn read(source: &str, options: &DataOptions) -> Result<Dataset> {
    if let Some(known) = builtin::DATASETS.iter().find(|dataset| dataset.name == source) {
        return known.load(options);
    }
    let path = PathBuf::from(source);
    // A path that cannot even be looked at is left to the reader, which says why.
    if matches!(path.try_exists(), Ok(false)) && !format::webdataset::is_pattern(&path) {
        let known: Vec<_> = builtin::DATASETS.iter().map(|dataset| dataset.name).collect();
        let hint = did_you_mean(source, known.iter().copied()).unwrap_or_default();
        let problem = format!(
            "there is no such file, and no built-in data set of that name (they are: {}){hint}",
            known.join(", ")
        );
        return Err(Error::data(path.as_path(), problem));
    }
    room::refuse_special(&path)?;
    format::of(&path, options)?.read(&path, options)
}

/// SHA-256 of bytes, as 64 hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Bytes as hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
