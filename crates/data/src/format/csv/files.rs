//! The headers of the files of one table.

use std::path::PathBuf;

use super::chunks::Chunk;
use super::rows::{Row, for_each_row};
use crate::error::{Error, Location, Result, quoted};
use crate::table_files::file_line;

/// Replaces the header in the first chunk of a file after the first by blank lines.
///
/// # Errors
/// Another header than that of the first file, whose names are `header`.
pub(super) fn remove_header(
    files: &[PathBuf],
    index: usize,
    chunk: &mut Chunk,
    delimiter: u8,
    header: &[String],
) -> Result<()> {
    let file = &files[index];
    let (mut found, mut next) = (None, None);
    let _ = for_each_row(file, &chunk.text, delimiter, chunk.first_line, &mut |row: Row| {
        if found.is_some() {
            next = Some(row.line);
            // An error stops the iteration.
            return Err(Error::Usage(String::new()));
        }
        let cells = row.cells.iter().map(|cell| String::from_utf8_lossy(cell).into_owned());
        found = Some((row.line, cells.collect::<Vec<_>>()));
        Ok(())
    });
    let Some((line, cells)) = found else { return Ok(()) };
    if cells != header {
        let location = Location { line: Some(file_line(line)), ..file.as_path().into() };
        let difference = match cells.iter().zip(header).position(|(own, first)| own != first) {
            Some(column) => format!(
                "column {} is {}, and there {}",
                column + 1,
                quoted(&cells[column]),
                quoted(&header[column])
            ),
            None => format!("it has {} column(s), and there are {}", cells.len(), header.len()),
        };
        let problem = format!(
            "the header differs from that of {}, which is a part of the same table: {difference}",
            crate::terminal::path(&files[0])
        );
        return Err(Error::data(location, problem));
    }
    let lines = next.map_or(chunk.line_ends, |next| next - chunk.first_line);
    let ends = memchr::memchr_iter(b'\n', &chunk.text);
    let end = match lines.checked_sub(1).and_then(|last| ends.into_iter().nth(last as usize)) {
        Some(end) => end + 1,
        None => chunk.text.len(),
    };
    chunk.text.splice(..end, std::iter::repeat_n(b'\n', lines as usize));
    Ok(())
}
