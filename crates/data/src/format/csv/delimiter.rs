//! What stands between the cells of a text: told by many rows, and by what the cells are with each candidate.

use std::path::Path;

use super::notation::{looks_like_number, looks_like_text_of_cells};
use super::rows::for_each_row;
use super::text::delimiters;
use crate::error::{Error, Result};

/// The rows by which the delimiter is told.
const SAMPLE: usize = 100;

/// Candidates that cut nearly as many rows alike as the best one does are told apart by their cells.
const NEARLY: f64 = 0.9;

/// The byte between cells of a table.
pub fn delimiter(path: &Path, text: &[u8]) -> u8 {
    ranked(path, text, 1, SAMPLE)[0]
}

/// The bytes that may stand between cells, the likeliest first, by the first `rows` rows of a text whose first line has this
/// number: those that cut the rows into equally many cells, then those whose cells are numbers and whole texts, then those that
/// make the most cells.
pub fn ranked(path: &Path, text: &[u8], first_line: u64, rows: usize) -> Vec<u8> {
    let candidates = delimiters(path);
    let cuts: Vec<Cut> =
        candidates.iter().map(|delimiter| Cut::of(path, text, *delimiter, first_line, rows)).collect();
    let most = cuts.iter().map(|cut| cut.alike).fold(0., f64::max);
    let rank = |cut: &Cut| (cut.alike > 0. && cut.alike >= NEARLY * most, cut.quality, cut.cells);
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    // A stable sort: of equals, the likelier stays in front.
    order.sort_by(|a, b| rank(&cuts[*b]).partial_cmp(&rank(&cuts[*a])).expect("no rank is NaN"));
    order.into_iter().map(|index| candidates[index]).collect()
}

/// The rows as a delimiter cuts them.
struct Cut {
    /// The share of the rows that have the most frequent number of cells, if that is more than one.
    alike: f64,
    /// From 0 to 1: how much the columns look like numbers and whole texts.
    quality: f64,
    /// The most frequent number of cells.
    cells: usize,
}

impl Cut {
    fn of(path: &Path, text: &[u8], delimiter: u8, first_line: u64, most_rows: usize) -> Self {
        let mut rows: Vec<Vec<Vec<u8>>> = Vec::new();
        let _ = for_each_row(path, text, delimiter, first_line, &mut |row| {
            rows.push(row.cells.iter().take(MOST_COLUMNS).map(|cell| cell.to_vec()).collect());
            // An error ends the walk.
            if rows.len() < most_rows { Ok(()) } else { Err(Error::Usage(String::new())) }
        }) as Result<()>;
        let count = |cells: usize| rows.iter().filter(|row| row.len() == cells).count();
        // Of equally frequent numbers the first row's, which may be a header.
        let frequent = rows.iter().map(Vec::len).rev().max_by_key(|cells| count(*cells));
        let Some(cells) = frequent.filter(|cells| *cells > 1) else {
            return Cut { alike: 0., quality: 0., cells: 1 };
        };
        let alike = count(cells) as f64 / rows.len() as f64;
        let fitting: Vec<_> = rows.into_iter().filter(|row| row.len() == cells).collect();
        let quality = (0..cells).map(|column| quality(&fitting, column)).sum::<f64>() / cells as f64;
        Cut { alike, quality, cells }
    }
}

/// More columns tell no more.
const MOST_COLUMNS: usize = 200;

/// A column of numbers counts 1, one of texts a half, and one whose texts hold other delimiters nothing.
fn quality(rows: &[Vec<Vec<u8>>], column: usize) -> f64 {
    let is_number = rows.iter().filter(|row| looks_like_number(&row[column])).count();
    let is_cells = rows.iter().filter(|row| looks_like_text_of_cells(&row[column])).count();
    let half = rows.len().div_ceil(2);
    match (is_number >= half, is_cells >= half) {
        (true, _) => 1.,
        (_, true) => 0.,
        _ => 0.5,
    }
}
