//! The data formats, one file each.

mod binary;
pub mod builtin;
mod cifar;
mod class_folders;
pub mod csv;
mod encoded_images;
pub mod folder;
mod idx;
pub mod listed;
mod numpy;
pub mod options;
pub mod skipped;
mod text_column;
pub mod text_folder;
pub mod trained_vocabulary;
pub mod webdataset;

use std::path::Path;

use super::Dataset;
use crate::error::{Error, Result};
use options::DataOptions;

/// A data format.
///
/// To add one, implement this trait for a type in a new file next to `csv.rs`, and add it to [`FORMATS`].
///
/// ```
/// use cresset_data::{DataOptions, read};
///
/// let folder = tempfile::tempdir().unwrap();
/// let table = folder.path().join("table.csv");
/// std::fs::write(&table, "width,label\n1.5,a\n2.5,b\n").unwrap();
///
/// let dataset = read(table.to_str().unwrap(), &DataOptions::default())?;
/// assert_eq!((dataset.rows(), dataset.classes), (2, vec!["a".to_string(), "b".to_string()]));
/// # Ok::<(), cresset_data::error::Error>(())
/// ```
pub trait Format: Sync {
    /// The name, as an argument of `--format`.
    fn name(&self) -> &'static str;

    /// A short description.
    fn summary(&self) -> &'static str;

    /// Whether data at this path has this format, judged by its name or, for a folder, its contents. Nothing
    /// is decoded.
    fn recognizes(&self, path: &Path) -> bool;

    /// Reads labelled examples.
    ///
    /// # Errors
    /// Data that is unreadable, damaged, or does not fit the options; with its location.
    fn read(&self, path: &Path, options: &DataOptions) -> Result<Dataset>;
}

/// All formats. If several recognize a path, the first one is used.
pub static FORMATS: &[&dyn Format] = &[
    &listed::ImageList,
    &csv::Csv,
    &csv::Converted,
    &idx::Idx,
    &cifar::Cifar,
    &numpy::Numpy,
    &webdataset::WebDataset,
    &text_folder::TextFolder,
    &folder::Folder,
];

/// The format of the data at `path`: the one set by `--format`, or else the first that recognizes it.
///
/// # Errors
/// Data that no format recognizes.
pub fn of(path: &Path, options: &DataOptions) -> Result<&'static dyn Format> {
    let is_selected = |format: &&&dyn Format| match options.format.as_str() {
        "auto" if options.images.is_some() => format.name() == listed::ImageList.name(),
        "auto" => format.recognizes(path),
        name => format.name() == name,
    };
    FORMATS.iter().find(is_selected).copied().ok_or_else(|| {
        let known: Vec<_> = FORMATS.iter().map(|format| format.summary()).collect();
        let builtin: Vec<_> = builtin::DATASETS.iter().map(|dataset| dataset.name).collect();
        let problem = format!(
            "unknown data format; set it with --format. The formats are: {}; built-in data sets are {}",
            known.join(", "),
            builtin.join(", ")
        );
        Error::data(path, problem)
    })
}

/// Reads labelled examples, with labels as the task of the options needs them.
///
/// # Errors
/// Data that no format recognizes, or that its format or the task cannot use.
pub fn read(path: &Path, options: &DataOptions) -> Result<Dataset> {
    of(path, options)?.read(path, options)?.for_task(options.targets()?)
}

/// Whether the name of `path` has one of these extensions (lower case, without the leading dot; "csv.gz" is
/// one).
pub(crate) fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    extensions.iter().any(|extension| {
        name.strip_suffix(extension).is_some_and(|stem| stem.len() > 1 && stem.ends_with('.'))
    })
}
