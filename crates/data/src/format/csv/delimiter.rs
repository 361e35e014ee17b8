//! Infers the delimiter of a table from many rows and the types of the resulting cells.

use std::path::Path;

use super::converted::first_line;
use super::notation::{contains_delimiter, looks_like_number};
use super::rows::for_each_row;
use super::text::delimiters;
use crate::error::{Error, Result};

/// The number of rows used to infer the delimiter.
const SAMPLE: usize = 100;

/// Candidates that split nearly as many rows consistently as the best one are compared by their cells.
const TOLERANCE: f64 = 0.9;

/// The delimiter of a table.
pub fn delimiter(path: &Path, text: &[u8]) -> u8 {
    ranked(path, text, first_line(path), SAMPLE)[0]
}

/// Possible delimiters in order of preference, from the first `rows` rows of a text that begins at line
/// `first_line`: first those that split the rows into equal numbers of cells, then those whose cells are
/// numbers and complete texts, then those with the most cells.
pub fn ranked(path: &Path, text: &[u8], first_line: u64, rows: usize) -> Vec<u8> {
    let candidates = delimiters(path);
    let splits: Vec<SplitRows> =
        candidates.iter().map(|delimiter| SplitRows::of(path, text, *delimiter, first_line, rows)).collect();
    let best = splits.iter().map(|split| split.consistency).fold(0., f64::max);
    let rank = |split: &SplitRows| {
        (split.consistency > 0. && split.consistency >= TOLERANCE * best, split.quality, split.cells)
    };
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    // The sort is stable, so ties keep the order of preference.
    order.sort_by(|a, b| rank(&splits[*b]).partial_cmp(&rank(&splits[*a])).expect("no rank is NaN"));
    order.into_iter().map(|index| candidates[index]).collect()
}

/// How a delimiter splits the rows.
struct SplitRows {
    /// The fraction of rows with the most frequent number of cells, if that is more than one.
    consistency: f64,
    /// From 0 to 1: how much the columns look like numbers and complete texts.
    quality: f64,
    /// The most frequent number of cells.
    cells: usize,
}

impl SplitRows {
    fn of(path: &Path, text: &[u8], delimiter: u8, first_line: u64, max_rows: usize) -> Self {
        let mut rows: Vec<Vec<Vec<u8>>> = Vec::new();
        let _ = for_each_row(path, text, delimiter, first_line, &mut |row| {
            rows.push(row.cells.iter().take(MAX_COLUMNS).map(|cell| cell.to_vec()).collect());
            // An error stops the iteration.
            if rows.len() < max_rows { Ok(()) } else { Err(Error::Usage(String::new())) }
        }) as Result<()>;
        let count = |cells: usize| rows.iter().filter(|row| row.len() == cells).count();
        // In a tie, the number of the first row, which may be a header.
        let frequent = rows.iter().map(Vec::len).rev().max_by_key(|cells| count(*cells));
        let Some(cells) = frequent.filter(|cells| *cells > 1) else {
            return SplitRows { consistency: 0., quality: 0., cells: 1 };
        };
        let consistency = count(cells) as f64 / rows.len() as f64;
        let fitting: Vec<_> = rows.into_iter().filter(|row| row.len() == cells).collect();
        let quality = (0..cells).map(|column| quality(&fitting, column)).sum::<f64>() / cells as f64;
        SplitRows { consistency, quality, cells }
    }
}

/// More columns add no information.
const MAX_COLUMNS: usize = 200;

/// 1 for a column of numbers, 0.5 for one of texts, 0 for one whose texts contain other delimiters.
fn quality(rows: &[Vec<Vec<u8>>], column: usize) -> f64 {
    let is_number = rows.iter().filter(|row| looks_like_number(&row[column])).count();
    let is_cells = rows.iter().filter(|row| contains_delimiter(&row[column])).count();
    let half = rows.len().div_ceil(2);
    match (is_number >= half, is_cells >= half) {
        (true, _) => 1.,
        (_, true) => 0.,
        _ => 0.5,
    }
}
