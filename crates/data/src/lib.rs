//! Labelled data: reads, checks, audits and splits it, for many file formats. Independent of libtorch.

pub mod atomic;
pub mod audit;
pub mod booleans;
pub mod cell;
pub mod char_ngrams;
pub mod column;
pub mod column_choice;
mod compression;
mod dataset;
pub mod dates;
pub mod error;
pub mod format;
mod grouping;
pub mod hashing;
pub mod hosted;
mod identifier;
pub mod image;
pub mod joined;
mod label_columns;
mod labels;
pub mod lists;
mod missing_classes;
pub mod notation;
pub mod npy;
pub mod parallel;
pub mod random;
mod rare_words;
mod reread;
pub mod room;
pub mod schema;
mod split;
pub mod stored;
mod streaming;
mod table;
pub mod table_files;
mod target_summary;
mod targets;
mod task;
pub mod terminal;
pub mod text;
pub mod texts;
pub mod thumbnail;
#[cfg(feature = "tokenizers")]
pub mod tokenizer;
pub mod tokens;
pub mod unknown;
pub mod unlabelled;

use std::path::PathBuf;

use sha2::{Digest, Sha256};

pub use column::TableLayout;
pub use dataset::{Dataset, InputShape, Inputs, Names, Subset, gather};
pub use format::builtin;
pub use format::options::{self, DataOptions};
pub use grouping::{Grouping, GroupingOptions};
pub use labels::{LabelsBuilder, sorted_classes};
pub use missing_classes::MissingClasses;
pub use split::{Split, SplitMethod, SplitOptions};
pub use streaming::load_for_training;
pub use table::{Table, ValueRange};
pub use target_summary::{LabelPair, ValueSummary};
pub use targets::{Strata, TargetChoice, Targets, TaskKind, named_set};

use crate::error::{Error, Result, did_you_mean};
use crate::hosted::{HOSTED, HostedDataset};

/// Reads and checks a data set, given the name of a built-in one or the path of a file or folder.
///
/// # Errors
/// Data that is missing, in an unknown format, damaged, or unsuitable for classification.
pub fn load(source: &str, options: &DataOptions) -> Result<Dataset> {
    let dataset = read(source, options)?;
    let dataset = match &options.exclude {
        Some(list) => lists::exclude(dataset, list)?,
        None => dataset,
    };
    dataset.check()?;
    Ok(dataset)
}

/// Reads a data set without checking that it is suitable for classification.
///
/// # Errors
/// Data that is missing, in an unknown format, or damaged.
pub fn read(source: &str, options: &DataOptions) -> Result<Dataset> {
    tracing::debug!(source, "reading the data");
    if let Some(known) = builtin::DATASETS.iter().find(|dataset| dataset.name == source) {
        return known.load(options);
    }
    format::read(&path_of(source)?, options)
}

/// The path of data that is not built in.
fn path_of(source: &str) -> Result<PathBuf> {
    let path = match HostedDataset::of(source) {
        Some(hosted) => hosted.downloaded()?,
        None => PathBuf::from(source),
    };
    // If the path is not accessible, the reader reports the reason.
    let is_missing = || matches!(path.try_exists(), Ok(false)) && table_files::files(&path).is_empty();
    if !format::webdataset::is_pattern(&path) && is_missing() {
        let hosted = HOSTED.iter().map(|dataset| dataset.name);
        let known: Vec<_> = builtin::DATASETS.iter().map(|dataset| dataset.name).chain(hosted).collect();
        let hint = did_you_mean(source, known.iter().copied()).unwrap_or_default();
        let problem = format!("no such file or data set (known by name: {}){hint}", known.join(", "));
        return Err(Error::data(path.as_path(), problem));
    }
    room::reject_special(&path)?;
    Ok(path)
}

/// SHA-256 of `bytes` as 64 hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Formats bytes as hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
