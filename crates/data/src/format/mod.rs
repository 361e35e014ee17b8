//! The formats that examples are read from, one file each.

mod binary;
mod cifar;
pub mod csv;
pub mod folder;
mod idx;
pub mod listed;
mod numpy;
mod pictures;
mod portions;
pub mod skipped;
pub mod webdataset;

use std::path::Path;

use super::options::DataOptions;
use super::{Dataset, builtin};
use crate::error::{Error, Result};

/// A format that examples are read from.
///
/// To add one, write a file beside `csv.rs` with a type that implements this trait, and put it in [`FORMATS`].
pub trait Format: Sync {
    /// Its name, as `--format` takes it.
    fn name(&self) -> &'static str;

    /// What it is, in a few words.
    fn summary(&self) -> &'static str;

    /// Whether data at this path is in this format, by its name or, for a folder, by what is in it. Nothing is decoded.
    fn recognises(&self, path: &Path) -> bool;

    /// Reads labelled examples.
    ///
    /// # Errors
    /// Data that cannot be read, is damaged, or does not fit the options; with its place.
    fn read(&self, path: &Path, options: &DataOptions) -> Result<Dataset>;
}

/// All formats. Where several recognise a path, the first is taken.
pub static FORMATS: &[&dyn Format] = &[
    &listed::ImageList,
    &csv::Csv,
    &idx::Idx,
    &cifar::Cifar,
    &numpy::Numpy,
    &webdataset::WebDataset,
    &folder::Folder,
];

/// The format of the data at `path`: the one named by `--format`, or else the first that recognises it.
///
/// # Errors
/// Data that no format recognises.
pub fn of(path: &Path, options: &DataOptions) -> Result<&'static dyn Format> {
    let wanted = |format: &&&dyn Format| match options.format.as_str() {
        "auto" if options.images.is_some() => format.name() == listed::ImageList.name(),
        "auto" => format.recognises(path),
        name => format.name() == name,
    };
    FORMATS.iter().find(wanted).copied().ok_or_else(|| {
        let known: Vec<_> = FORMATS.iter().map(|format| format.summary()).collect();
        let builtin: Vec<_> = builtin::DATASETS.iter().map(|dataset| dataset.name).collect();
        let problem = format!(
            "this is no format that can be recognised; name it with --format. The formats are: {}; built-in data sets are {}",
            known.join(", "),
            builtin.join(", ")
        );
        Error::data(path, problem)
    })
}

/// Whether the name of `path` ends in one of these extensions (without the first dot, in lower case; "csv.gz" is one).
pub fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    extensions.iter().any(|extension| {
        name.strip_suffix(extension).is_some_and(|stem| stem.len() > 1 && stem.ends_with('.'))
    })
}
