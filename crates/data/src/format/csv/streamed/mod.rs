//! Tables larger than memory: one pass stores their rows in a file, from which they are read during training.

mod cache;
pub(super) mod columns;
mod description;
pub(super) mod labels;
pub(super) mod pass;
#[cfg(test)]
mod tests;
pub(super) mod texts;

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cache::Place;
use columns::StoredColumn;
use description::{Description, Finished};
use pass::Pass;
use tempfile::TempDir;
use texts::TextInputs;

use super::chunk_reader::ChunkReader;
use super::converted::{Source, source_of};
use super::inferred::Inferred;
use super::kinds::MAX_CATEGORIES;
use super::layout::Layout;
use super::parallel::parse_each;
use super::uses::Uses;
use super::{Faults, TextUse, delimiter};
use crate::column::ColumnKind;
use crate::error::{Error, Location, Result};
use crate::format::options::DataOptions;
use crate::{Dataset, atomic, hashing, table_files};

/// Reads the rows of a table from a file in the cache, after it was written there if it is not yet.
///
/// # Errors
/// As for [`read`](super::read), and a table that cannot be streamed or a cache that cannot be written to.
pub fn read(path: &Path, options: &DataOptions) -> Result<Dataset> {
    let mut files = table_files::files(path);
    if files.is_empty() {
        files.push(path.to_path_buf());
    }
    read_at(path, &files, options, &Place::of(&files, options)?)
}

fn read_at(path: &Path, files: &[PathBuf], options: &DataOptions, place: &Place) -> Result<Dataset> {
    // Another process may be writing the same file.
    let _lock = place.lock()?;
    if let Some(dataset) = description::open(path, &place.file(), options) {
        place.touch();
        return dataset;
    }
    place.clear_old();
    let before = states(files)?;
    store(path, files, options, &place.file())?;
    if let Some(changed) =
        files.iter().zip(&before).find(|(file, state)| state_of(file).ok() != Some(**state))
    {
        // Rows of two versions are worth nothing.
        let _ = std::fs::remove_file(place.file());
        let problem = "the file changed while it was read; run the command again once it is complete";
        return Err(Error::data(changed.0.as_path(), problem));
    }
    let opened = description::open(path, &place.file(), options);
    opened.unwrap_or_else(|| {
        Err(Error::data(place.file().as_path(), "the stored rows were changed by another process"))
    })
}

/// A folder in the cache for rows that are not kept, removed when it is dropped.
///
/// # Errors
/// No cache folder, or one that cannot be written to.
pub(super) fn temporary_folder() -> Result<TempDir> {
    let folder = cache::folder()?;
    std::fs::create_dir_all(&folder).map_err(Error::io("create the folder", &folder))?;
    atomic::partial(&folder)
}

/// The size and the time of the last change of a file.
type State = (u64, SystemTime);

fn states(files: &[PathBuf]) -> Result<Vec<State>> {
    files
        .iter()
        .map(|file| {
            state_of(file).map_err(|e| Error::data(file.as_path(), format!("cannot read the file: {e}")))
        })
        .collect()
}

fn state_of(file: &Path) -> std::io::Result<State> {
    let metadata: Metadata = file.metadata()?;
    Ok((metadata.len(), metadata.modified()?))
}

/// Stores the rows in a file.
fn store(path: &Path, files: &[PathBuf], options: &DataOptions, to: &Path) -> Result<()> {
    tracing::info!(table = %path.display(), file = %to.display(), "storing the rows of the table");
    #[cfg(feature = "parquet")]
    if files.iter().all(|file| source_of(file) == Some(Source::Parquet)) {
        let table = super::parquet_columns::ParquetTable::open(path, files, options)?;
        let mut pass = Pass::begin(path, &table.layout, table.texts.is_some(), to)?;
        let sha256 = table.store(&mut pass)?;
        return finish(pass, &table.inferred, table.texts.as_ref(), options, sha256);
    }
    let reader = ChunkReader::open(path)?;
    let beginning = reader.beginning();
    let (mut layout, mut inferred) =
        Layout::of(path, beginning, delimiter::delimiter(path, beginning), reader.types(), options)?;
    let texts = TextInputs::keep(path, beginning, &mut layout, options);
    drop(reader);
    let store = |layout: &Layout, inferred: &Inferred| {
        let (pass, sha256) = store_text(path, layout, texts.is_some(), to)?;
        finish(pass, inferred, texts.as_ref(), options, sha256)
    };
    let Err(error) = store(&layout, &inferred) else { return Ok(()) };
    // The first rows may have looked like numbers.
    let others =
        if matches!(error, Error::Data { .. }) { Faults::text_columns(path, &layout) } else { Vec::new() };
    if others.is_empty() {
        return Err(error);
    }
    layout.read_as_texts(&others);
    inferred.read_as_texts(others);
    store(&layout, &inferred)
}

fn store_text<'a>(
    path: &'a Path,
    layout: &'a Layout,
    are_texts: bool,
    to: &Path,
) -> Result<(Pass<'a>, String)> {
    let reader = ChunkReader::open(path)?;
    let fingerprint = reader.fingerprint();
    let mut pass = Pass::begin(path, layout, are_texts, to)?;
    parse_each(reader, layout, &mut |part| pass.take(part))?;
    Ok((pass, fingerprint.sha256()))
}

/// Finds out what the columns are, and completes the file.
fn finish(
    pass: Pass,
    inferred: &Inferred,
    texts: Option<&TextInputs>,
    options: &DataOptions,
    sha256: String,
) -> Result<()> {
    let Pass { path, layout, mut columns, labels, writer, seen, kept } = pass;
    if seen == 0 {
        return Err(Error::data(path, "the file has a header but no rows"));
    }
    if kept == 0 {
        return Err(Error::data(path, "every row has a missing value, so no row is left"));
    }
    let mut uses = match texts {
        Some(_) => texts::uses(path, writer.longest(), layout)?,
        None => Uses::of(path, &columns, layout, (options, TextUse::Tokens))?,
    };
    if !uses.ids.is_empty() {
        let problem =
            "the inputs are texts, which the first rows do not show; select the text columns with --text";
        return Err(Error::data(path, problem));
    }
    for (index, slot) in uses.slots.iter().enumerate() {
        let (Some(slot), StoredColumn::Text(cells)) = (*slot, &columns[index]) else { continue };
        match &mut uses.columns[slot].kind {
            _ if cells.others == 0 => {}
            kind @ ColumnKind::Code { .. } => *kind = ColumnKind::Hash { rows: hashing::ROWS },
            kind => {
                let position = layout.inputs[index].position;
                let problem = format!(
                    "the column has more than {} different values, too many for a {} in a table that is streamed; hash it with `type = \"category\"` and `hash = {}` in a --schema, store it as a number, or ignore it with --ignore {}",
                    MAX_CATEGORIES,
                    kind.name(),
                    hashing::ROWS,
                    layout.choice(position)
                );
                return Err(Error::data(Location::from(path).column(layout.shown(position)), problem));
            }
        }
    }
    let mut warnings = match texts {
        Some(texts) => texts.warnings.clone(),
        None => uses.warnings(layout),
    };
    if kept < seen {
        let name = if options.missing == super::Missing::Drop { "value" } else { "label" };
        warnings.push(format!("dropped {} of {seen} rows without a {name}", seen - kept));
    }
    inferred.warn(path, layout);
    let finished = Finished { path, layout, uses, labels, rows: kept as usize, sha256, warnings };
    let description = Description::of(finished, std::mem::take(&mut columns), options)?;
    writer.finish(|blocks, names| description.at(blocks, names))?;
    Ok(())
}

/// The end of a message about a table that cannot be streamed.
pub(crate) const NOT_STREAMED: &str =
    "that cannot be streamed from disk; read the table into memory with --stream never";
