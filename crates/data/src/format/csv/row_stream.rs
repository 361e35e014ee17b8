//! Streams rows for a model from a file of any length or an open pipe.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chunks::{Chunk, Chunks};
use super::column_positions::RowMismatch;
use super::converted::{Content, Source, convert, first_line, source_of};
use super::model_rows::{HEADER_ALONE, InputRow, RowParser, RowPolicy};
use super::rows::for_each_row;
use super::text;
use crate::column::TableLayout;
use crate::compression::Codec;
use crate::error::{Error, Result};

/// Complete rows of a text, not yet parsed.
pub struct RowChunk {
    path: Arc<Path>,
    first_line: u64,
    text: Vec<u8>,
    parser: Arc<RowParser>,
}

impl RowChunk {
    /// Parses the rows. Each has its line, and its values or error.
    pub fn rows(&self) -> Vec<(u64, Result<InputRow>)> {
        self.parser.rows(&self.path, &self.text, self.first_line)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// An error while streaming rows.
#[derive(Debug)]
pub struct RowStreamError {
    /// The error.
    pub error: Error,
    /// Whether the whole table is unusable, because its header does not match the model.
    pub is_table: bool,
}

impl From<Error> for RowStreamError {
    fn from(error: Error) -> Self {
        RowStreamError { error, is_table: false }
    }
}

/// An iterator over the rows of a text in chunks, for a model that was trained on a table. Header and columns
/// are inferred as in [`read_rows`](super::read_rows), from the first row that matches the model.
///
/// Rows above that, and errors that make the rest unreadable, are returned as errors with their location.
pub struct RowStream {
    path: Arc<Path>,
    chunks: Chunks,
    /// Why the file cannot be converted.
    failure: Option<Error>,
    model: Arc<TableLayout>,
    allowed: RowPolicy,
    parser: Option<Arc<RowParser>>,
    /// The rest of a chunk whose first row did not match.
    remaining: Option<(u64, Vec<u8>)>,
    /// The number of rows so far that do not match.
    mismatches: usize,
    has_rows: bool,
    is_finished: bool,
}

/// The chunk size in bytes.
const CHUNK_SIZE: usize = 1 << 16;

/// After this number of rows that do not match, the text is rejected.
const MAX_MISMATCHES: usize = 20;

impl RowStream {
    /// Streams the rows of a file, decompressed if it is gzip or zstd, for a model that was trained on a table with
    /// this layout.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn open(path: &Path, model: &Arc<TableLayout>, allowed: RowPolicy) -> Result<Self> {
        if let Some(kind) = source_of(path) {
            let text = convert(path, kind, &Content::of(path)?).map(|converted| converted.text);
            return Ok(RowStream::of(path.to_path_buf(), text, model, allowed));
        }
        let unreadable = |e: io::Error| Error::data(path, format!("cannot read the file: {e}"));
        let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
        // Read errors are reported with the first row.
        let codec = Codec::of(path, file.fill_buf().unwrap_or_default());
        let source: Box<dyn Read + Send> = match codec {
            Some(codec) => codec.reader(file),
            None => Box::new(file),
        };
        Ok(RowStream::of(path.to_path_buf(), Ok(source), model, allowed))
    }

    /// Streams the rows of `source`; `path` is its name in messages.
    pub fn new(
        path: PathBuf,
        source: Box<dyn Read + Send>,
        model: &Arc<TableLayout>,
        allowed: RowPolicy,
    ) -> Self {
        let text = match source_of(&path) {
            None => Ok(source),
            Some(kind) => converted(&path, kind, source),
        };
        RowStream::of(path, text, model, allowed)
    }

    /// Streams the rows of a text, if there is one.
    fn of(
        path: PathBuf,
        text: Result<Box<dyn Read + Send>>,
        model: &Arc<TableLayout>,
        allowed: RowPolicy,
    ) -> Self {
        let (source, failure) = match text {
            Ok(source) => (source, None),
            Err(error) => (Box::new(io::empty()) as Box<dyn Read + Send>, Some(error)),
        };
        let chunks = Chunks::new(source, CHUNK_SIZE, text::delimiters(&path), first_line(&path));
        RowStream {
            path: path.into(),
            chunks,
            failure,
            model: Arc::clone(model),
            allowed,
            parser: None,
            remaining: None,
            mismatches: 0,
            has_rows: false,
            is_finished: false,
        }
    }

    /// The parser for a chunk; `None` if it has no rows.
    fn parser(
        &mut self,
        first_line: u64,
        text: &[u8],
    ) -> std::result::Result<Option<Arc<RowParser>>, RowMismatch> {
        if self.parser.is_none() {
            let found = RowParser::of(&self.path, text, first_line, &self.model, self.allowed)?;
            if let Some(found) = &found {
                self.chunks.set_delimiter(found.delimiter());
            }
            self.parser = found.map(Arc::new);
        }
        Ok(self.parser.clone())
    }

    /// The error for a row that does not match. The rest of its chunk is read next; after a header that does
    /// not match, reading stops.
    fn mismatch(&mut self, mismatch: RowMismatch, first_line: u64, text: &[u8]) -> RowStreamError {
        let RowMismatch { error, is_header } = mismatch;
        if is_header {
            self.is_finished = true;
            return RowStreamError { error, is_table: true };
        }
        self.has_rows = true;
        self.mismatches += 1;
        if let (Error::Data { location, problem }, true) = (&error, self.mismatches == MAX_MISMATCHES) {
            self.is_finished = true;
            let problem = format!("{problem}; the rows above do not match either, so the rest is skipped");
            return Error::data(location.clone(), problem).into();
        }
        let (mut first, mut next_line) = (None, None);
        let _ = for_each_row(&self.path, text, text::delimiters(&self.path)[0], first_line, &mut |row| {
            next_line = Some(row.line).filter(|line| line > first.get_or_insert(row.line));
            // An error stops the iteration.
            if next_line.is_none() { Ok(()) } else { Err(Error::Usage(String::new())) }
        });
        if let Some(line) = next_line {
            let mut ends = memchr::memchr_iter(b'\n', text);
            let end = ends.nth((line - first_line - 1) as usize).expect("a line begins after a line end");
            self.remaining = Some((line, text[end + 1..].to_vec()));
        }
        error.into()
    }
}

impl Iterator for RowStream {
    type Item = std::result::Result<RowChunk, RowStreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failure.take() {
            self.is_finished = true;
            return Some(Err(RowStreamError { error, is_table: true }));
        }
        while !self.is_finished {
            let next = || {
                self.chunks.next().map(|chunk| chunk.map(|Chunk { first_line, text, .. }| (first_line, text)))
            };
            let (first_line, text) = match self.remaining.take().map(Ok).or_else(next) {
                Some(Ok(chunk)) => chunk,
                Some(Err(fault)) => {
                    self.is_finished = true;
                    return Some(Err(fault.of(&self.path).into()));
                }
                None => break,
            };
            match self.parser(first_line, &text) {
                Ok(None) => {}
                Ok(Some(parser)) => {
                    self.has_rows |= has_rows(&text, first_line, &parser);
                    return Some(Ok(RowChunk { path: Arc::clone(&self.path), first_line, text, parser }));
                }
                Err(mismatch) => return Some(Err(self.mismatch(mismatch, first_line, &text))),
            }
        }
        let is_empty = !self.is_finished && !self.has_rows;
        self.is_finished = true;
        let problem = if self.parser.is_some() {
            HEADER_ALONE
        } else {
            "the file is empty; expected one row per input"
        };
        is_empty.then(|| Err(Error::data(&*self.path, problem).into()))
    }
}

/// The text of a converted file whose bytes can be read only once.
fn converted(path: &Path, kind: Source, mut source: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>> {
    let mut bytes = Vec::new();
    let unreadable = |e: io::Error| Error::data(path, format!("cannot read the file: {e}"));
    source.read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(convert(path, kind, &Content::Memory(bytes.into()))?.text)
}

/// Whether a text has a row other than the header.
fn has_rows(text: &[u8], first_line: u64, parser: &RowParser) -> bool {
    let is_row = |row: super::rows::Row| {
        // An error stops the iteration.
        if Some(row.line) == parser.header() { Ok(()) } else { Err(Error::Usage(String::new())) }
    };
    for_each_row(Path::new(""), text, parser.delimiter(), first_line, &mut { is_row }).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Column, ColumnKind};
    use crate::notation::Notation;
    use crate::unknown::UnknownPolicy;
    use proptest::prelude::*;

    /// Returns at most this number of bytes per read.
    struct Slow(io::Cursor<Vec<u8>>, usize);

    impl Read for Slow {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(bytes.len());
            self.0.read(&mut bytes[..count])
        }
    }

    fn model(unknown: bool) -> Arc<TableLayout> {
        let column = |name: &str, position, kind| Column {
            name: name.into(),
            position,
            kind,
            notation: Notation::Plain,
        };
        let categories = ["b", "x\ny"].map(String::from).to_vec();
        let columns = vec![
            column("n", 0, ColumnKind::Number),
            column("t", 1, ColumnKind::Category { categories, unknown }),
        ];
        Arc::new(TableLayout { columns, width: 2, ..TableLayout::default() })
    }

    /// Each row as text: its line and values, or its error.
    fn rows(text: &[u8], at_once: usize) -> Vec<String> {
        rows_of(&model(false), text, at_once)
    }

    fn rows_of(model: &Arc<TableLayout>, text: &[u8], at_once: usize) -> Vec<String> {
        let allowed = RowPolicy { missing: true, unknown: UnknownPolicy::Allow, no_label: false };
        let source = Box::new(Slow(io::Cursor::new(text.to_vec()), at_once));
        let mut rows = Vec::new();
        for stretch in RowStream::new("a".into(), source, model, allowed) {
            match stretch {
                Ok(stretch) => rows.extend(stretch.rows().into_iter().map(|(line, row)| match row {
                    Ok(InputRow { values, unknown }) => {
                        let unknown: Vec<_> = unknown.iter().map(|unknown| unknown.text.as_str()).collect();
                        format!("{line}: {values:?} {}", unknown.join(" ")).trim_end().to_string()
                    }
                    Err(error) => error.to_string(),
                })),
                Err(unread) => rows.push(unread.error.to_string()),
            }
        }
        rows
    }

    #[test]
    fn a_bad_row_is_one_error_and_the_others_are_read() {
        let found = rows(b"n,t,label\n1,b,z\noops,b,z\n3,c,\n4,b\n5,\"x\ny\",\n", 3);
        let expected = [
            "2: [1.0, 1.0, 0.0]",
            "a, line 3, column 1 (n): `oops` is not a number",
            "a, line 4, column 2 (t): unknown category `c` in this column; known categories are b, x\\ny; retrain the model to support unknown categories",
            "a, line 5: the row has 2 value(s), but the header has 3",
            "6: [5.0, 0.0, 1.0]",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_unknown_category_is_all_zeros_and_is_reported() {
        assert_eq!(
            rows_of(&model(true), b"n,t\n1,b\n2,c\n3,\n", 4),
            ["2: [1.0, 1.0, 0.0]", "3: [2.0, 0.0, 0.0] c", "4: [3.0, NaN, NaN]"]
        );
    }

    #[test]
    fn nothing_is_read_below_a_header_that_does_not_match() {
        let found = rows(b"n,u\n1,b\n2,b\n", 100);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("a, line 1: the header has no column `t`"), "{found:?}");
    }

    #[test]
    fn rows_above_the_first_match_are_errors_up_to_a_limit() {
        let found = rows(b"a title\n\n1,b\n2,b\n", 5);
        assert!(found[0].starts_with("a, line 1: the row has 1 value(s)"), "{found:?}");
        assert_eq!(found[1..], ["3: [1.0, 1.0, 0.0]", "4: [2.0, 1.0, 0.0]"]);
        let found = rows("a\n".repeat(1000).as_bytes(), 64);
        assert_eq!(found.len(), MAX_MISMATCHES);
        assert!(found[MAX_MISMATCHES - 1].contains("the rows above do not match either"), "{found:?}");
    }

    #[test]
    fn rows_above_a_read_error_are_read() {
        assert_eq!(rows(b"1,b\n2,\0,b\n3,b\n", 100)[0], "1: [1.0, 1.0, 0.0]");
        assert!(rows(b"1,b\n2,\0,b\n3,b\n", 2)[1].starts_with("a, line 2: unexpected NUL byte"));
        assert_eq!(rows(b"\n\n", 1), ["a: the file is empty; expected one row per input"]);
        assert_eq!(rows(b"n,t\n", 1), ["a: the file has a header but no rows"]);
    }

    proptest! {
        #[test]
        fn rows_do_not_depend_on_the_read_size(
            text in "(\u{feff})?([1-3b,;\"\n\r]|\r\n|\"x\ny\"|1,b\n){0,40}", at_once in 1usize..9
        ) {
            prop_assert_eq!(rows(text.as_bytes(), at_once), rows(text.as_bytes(), 1 << 20));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = rows(&bytes, 7);
        }
    }
}
