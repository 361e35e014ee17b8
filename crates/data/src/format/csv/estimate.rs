//! Estimates the memory that training on a table takes.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::chunk_reader::ChunkReader;
#[cfg(feature = "parquet")]
use super::converted::{Source, source_of};
use super::delimiter;
use super::kinds::MAX_ONE_HOT;
use super::layout::Layout;
use super::rows::for_each_row;
use super::streamed::texts::TextInputs;
use crate::compression::Codec;
use crate::error::Result;
use crate::format::options::DataOptions;
use crate::tokens::{MAX_LENGTH, words};

/// The bytes of a feature in memory: the table, the tensors of the subsets, and what is computed from them.
const OF_FEATURE: u64 = 20;

/// The bytes of a cell in memory while the table is read.
const OF_CELL: u64 = 20;

/// The bytes of a row apart from its cells: label, number, line, and its places in the split and in the order of an epoch.
const OF_ROW: u64 = 64;

/// The bytes of a token in memory: its id in the features and in the tensors of the subsets.
const OF_TOKEN: u64 = 12;

/// How often a text is in memory while a table of texts is read.
const COPIES_OF_TEXT: u64 = 3;

/// How many times larger a compressed text is.
const EXPANSION: u64 = 5;

/// The estimated memory in bytes for training on a table in these files, from its first rows.
///
/// # Errors
/// A table whose first rows cannot be read.
pub fn estimated_memory(path: &Path, files: &[PathBuf], options: &DataOptions) -> Result<u64> {
    #[cfg(feature = "parquet")]
    if files.iter().all(|file| source_of(file) == Some(Source::Parquet)) {
        let (rows, text, layout) = super::parquet_columns::ParquetTable::beginning(path, files, options)?;
        return Ok(rows.saturating_mul(of_row(path, &text, layout, options)));
    }
    let (text, types) = ChunkReader::beginning_of(path, &files[0])?;
    let (layout, _) = Layout::of(path, &text, delimiter::delimiter(path, &text), &types, options)?;
    let mut rows = 0u64;
    let _ = for_each_row(path, &text, layout.delimiter, 0, &mut |_| {
        rows += 1;
        Ok(())
    });
    let on_disk = |file: &PathBuf| {
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        if Codec::of(file, &[]).is_some() { bytes * EXPANSION } else { bytes }
    };
    let bytes: u64 = files.iter().map(on_disk).sum();
    let all_rows = bytes / (text.len() as u64 / rows.max(1)).max(1);
    Ok(all_rows.saturating_mul(of_row(path, &text, layout, options)))
}

/// The bytes of a row of a table with these first rows.
fn of_row(path: &Path, text: &[u8], mut layout: Layout, options: &DataOptions) -> u64 {
    if TextInputs::keep(path, text, &mut layout, options).is_some() {
        return of_texts(path, text, &layout, options);
    }
    let mut different: Vec<HashSet<Vec<u8>>> = vec![HashSet::new(); layout.inputs.len()];
    let _ = for_each_row(path, text, layout.delimiter, 0, &mut |row| {
        for (input, seen) in layout.inputs.iter().zip(&mut different) {
            if input.is_text && seen.len() <= MAX_ONE_HOT {
                seen.extend(row.cells.get(input.position).map(|cell| cell.to_vec()));
            }
        }
        Ok(())
    });
    // More categories become one feature.
    let features =
        |seen: &HashSet<Vec<u8>>| if seen.len() > MAX_ONE_HOT { 1 } else { seen.len().max(1) as u64 };
    let features: u64 = different.iter().map(features).sum();
    features * OF_FEATURE + layout.inputs.len() as u64 * OF_CELL + OF_ROW
}

/// The bytes of a row of a table of texts with these first rows. All texts have as many ids as the longest one.
fn of_texts(path: &Path, text: &[u8], layout: &Layout, options: &DataOptions) -> u64 {
    let most = options.max_length.map_or(MAX_LENGTH, |length| length as usize);
    let (mut rows, mut bytes, mut longest) = (0u64, 0u64, vec![0u64; layout.inputs.len()]);
    let _ = for_each_row(path, text, layout.delimiter, 0, &mut |row| {
        rows += 1;
        for (input, longest) in layout.inputs.iter().zip(&mut longest) {
            let cell = row.cells.get(input.position).copied().unwrap_or_default();
            bytes += cell.len() as u64;
            *longest = (*longest).max(words(cell).take(most).count() as u64);
        }
        Ok(())
    });
    COPIES_OF_TEXT * bytes / rows.max(1) + longest.iter().sum::<u64>() * OF_TOKEN + OF_ROW
}
