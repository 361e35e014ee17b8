//! Whether the rows of a table are streamed from a file or read into memory.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::format::options::{DataOptions, Streaming};
use crate::format::{self, builtin, csv};
use crate::hosted::HostedDataset;
use crate::{Dataset, load, path_of, room, table_files};

/// Files of a size whose rows take more than this multiple in memory are rare: compressed columns of few different values.
const MAX_GROWTH: u64 = 64;

/// Reads and checks a data set like [`load`]. The rows of a table that does not fit in memory, or of any with
/// `--stream always`, stay in a file, unless `refused` names an option that needs them in memory.
///
/// # Errors
/// Those of [`load`], and with `--stream always` also `refused` and data that is no table.
pub fn load_for_training(
    source: &str,
    options: &DataOptions,
    refused: Option<&'static str>,
) -> Result<Dataset> {
    let Some(path) = table_of(source, options)? else {
        return match options.stream {
            Streaming::Always => Err(Error::Usage(format!(
                "--stream always works only for tables in delimited text, JSON lines and Parquet, and {source} is none"
            ))),
            Streaming::Auto | Streaming::Never => load(source, options),
        };
    };
    match (options.stream, refused) {
        (Streaming::Never, _) => load(source, options),
        (Streaming::Always, Some(option)) => {
            Err(Error::Usage(format!("{option} is an option {}", csv::NOT_STREAMED)))
        }
        (Streaming::Always, None) => streamed(&path, options),
        (Streaming::Auto, refused) => match (needed_and_available(&path, options), refused) {
            (None, _) => load(source, options),
            (Some((needed, available)), Some(option)) => {
                tracing::warn!(
                    "{}: the rows take an estimated {} of memory, and {} are available; without {option}, they would be streamed from disk",
                    path.display(),
                    room::size(needed),
                    room::size(available)
                );
                load(source, options)
            }
            (Some((needed, available)), None) => {
                tracing::info!(
                    "{}: the rows would take an estimated {} of memory, and {} are available, so they are streamed from disk",
                    path.display(),
                    room::size(needed),
                    room::size(available)
                );
                streamed(&path, options)
            }
        },
    }
}

fn streamed(path: &Path, options: &DataOptions) -> Result<Dataset> {
    let dataset = csv::read_streamed(path, options)?;
    dataset.check()?;
    Ok(dataset)
}

/// The path of a source that is a table.
fn table_of(source: &str, options: &DataOptions) -> Result<Option<PathBuf>> {
    if builtin::DATASETS.iter().any(|dataset| dataset.name == source) || HostedDataset::of(source).is_some() {
        return Ok(None);
    }
    let path = path_of(source)?;
    let name = format::of(&path, options)?.name();
    // A pipe cannot be read twice.
    Ok((matches!(name, "csv" | "records") && table_files::are_files(&path)).then_some(path))
}

/// The memory that training on a table needs and that is available, in bytes, if it is too little.
fn needed_and_available(path: &Path, options: &DataOptions) -> Option<(u64, u64)> {
    let available = options.room().available();
    let mut files = table_files::files(path);
    if files.is_empty() {
        files.push(path.to_path_buf());
    }
    let on_disk: u64 =
        files.iter().filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum();
    if on_disk.saturating_mul(MAX_GROWTH) < available {
        return None;
    }
    // What is wrong with the table is said when it is read.
    let needed = csv::estimated_memory(path, &files, options).ok()?;
    (needed > available).then_some((needed, available))
}
