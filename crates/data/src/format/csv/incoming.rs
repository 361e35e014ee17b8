//! Rows for a model, taken up as they come in: from a file of any length, or from a pipe that is still open.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use super::expected::{Allowed, Expected, HEADER_ALONE, InputRow};
use super::pieces::{Piece, Pieces};
use super::places::Misfit;
use super::rows::for_each_row;
use super::text;
use crate::column::TableLayout;
use crate::error::{Error, Place, Result};

/// Some whole rows of a text, not yet parsed.
pub struct Stretch {
    path: Arc<Path>,
    first_line: u64,
    text: Vec<u8>,
    expected: Arc<Expected>,
}

impl Stretch {
    /// The rows, each with its line, or what is wrong with the row.
    pub fn rows(&self) -> Vec<(u64, Result<InputRow>)> {
        self.expected.rows(&self.path, &self.text, self.first_line)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What of a text cannot be read.
#[derive(Debug)]
pub struct Unread {
    /// What is wrong.
    pub error: Error,
    /// Whether no row of the table can be used, because its header does not fit the model.
    pub is_table: bool,
}

impl From<Error> for Unread {
    fn from(error: Error) -> Self {
        Unread { error, is_table: false }
    }
}

/// The rows of a text for a model that was trained on a table, stretch by stretch. Header and columns are told as
/// [`read_rows`](super::read_rows) does, by the first row that fits the model.
///
/// A row above that, and what makes the rest of the text unreadable, comes as an error with its place.
pub struct Incoming {
    path: Arc<Path>,
    pieces: Pieces,
    model: Arc<TableLayout>,
    allowed: Allowed,
    expected: Option<Arc<Expected>>,
    /// A piece that is to be looked at again, without its first row.
    again: Option<(u64, Vec<u8>)>,
    /// The rows so far that do not fit.
    misfits: usize,
    has_rows: bool,
    is_over: bool,
}

/// Bytes that are taken up together, if so many are there.
const AT_ONCE: usize = 1 << 16;

/// A text whose first rows, so many of them, do not fit the model is no table for it.
const MOST_MISFITS: usize = 20;

impl Incoming {
    /// The rows of a file, unpacked if it is gzip, for a model that was trained on a table of this layout.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn open(path: &Path, model: &Arc<TableLayout>, allowed: Allowed) -> Result<Self> {
        let unreadable = |e: io::Error| Error::data(path, format!("cannot read the file: {e}"));
        let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
        // What cannot be read says so with the first row.
        let is_gzip = text::is_gzip(path, file.fill_buf().unwrap_or_default());
        let source: Box<dyn Read + Send> = match is_gzip {
            true => Box::new(MultiGzDecoder::new(file)),
            false => Box::new(file),
        };
        Ok(Incoming::new(path.to_path_buf(), source, model, allowed))
    }

    /// The rows of what comes from `source`, which is called `path`.
    pub fn new(
        path: PathBuf,
        source: Box<dyn Read + Send>,
        model: &Arc<TableLayout>,
        allowed: Allowed,
    ) -> Self {
        let pieces = Pieces::new(source, AT_ONCE, text::delimiters(&path));
        Incoming {
            path: path.into(),
            pieces,
            model: Arc::clone(model),
            allowed,
            expected: None,
            again: None,
            misfits: 0,
            has_rows: false,
            is_over: false,
        }
    }

    /// What the rows of a piece are; none if it holds none.
    fn expected(
        &mut self,
        first_line: u64,
        text: &[u8],
    ) -> std::result::Result<Option<Arc<Expected>>, Misfit> {
        if self.expected.is_none() {
            let found = Expected::of(&self.path, text, first_line, &self.model, self.allowed)?;
            if let Some(found) = &found {
                self.pieces.settle(found.delimiter());
            }
            self.expected = found.map(Arc::new);
        }
        Ok(self.expected.clone())
    }

    /// What is said of a row that does not fit, after which the rest of its piece is looked at. What stands below a header
    /// that does not fit is left out.
    fn misfit(&mut self, misfit: Misfit, first_line: u64, text: &[u8]) -> Unread {
        let Misfit { error, is_header } = misfit;
        if is_header {
            self.is_over = true;
            return Unread { error, is_table: true };
        }
        self.has_rows = true;
        self.misfits += 1;
        if let (Error::Data { place, problem }, true) = (&error, self.misfits == MOST_MISFITS) {
            self.is_over = true;
            let problem = format!("{problem}; none of the rows above fits either, so the rest is left out");
            return Error::data(place.clone(), problem).into();
        }
        let (mut first, mut behind) = (None, None);
        let _ = for_each_row(&self.path, text, text::delimiters(&self.path)[0], first_line, &mut |row| {
            behind = Some(row.line).filter(|line| line > first.get_or_insert(row.line));
            // An error ends the walk.
            if behind.is_none() { Ok(()) } else { Err(Error::Usage(String::new())) }
        });
        if let Some(line) = behind {
            let mut ends = memchr::memchr_iter(b'\n', text);
            let end = ends.nth((line - first_line - 1) as usize).expect("a line begins behind an end");
            self.again = Some((line, text[end + 1..].to_vec()));
        }
        error.into()
    }
}

impl Iterator for Incoming {
    type Item = std::result::Result<Stretch, Unread>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            let next = || {
                self.pieces.next().map(|piece| piece.map(|Piece { first_line, text, .. }| (first_line, text)))
            };
            let (first_line, text) = match self.again.take().map(Ok).or_else(next) {
                Some(Ok(piece)) => piece,
                Some(Err((line, problem))) => {
                    self.is_over = true;
                    return Some(Err(Error::data(Place::line(&self.path, line), problem).into()));
                }
                None => break,
            };
            match self.expected(first_line, &text) {
                Ok(None) => {}
                Ok(Some(expected)) => {
                    self.has_rows |= has_rows(&text, first_line, &expected);
                    return Some(Ok(Stretch { path: Arc::clone(&self.path), first_line, text, expected }));
                }
                Err(misfit) => return Some(Err(self.misfit(misfit, first_line, &text))),
            }
        }
        let nothing = !self.is_over && !self.has_rows;
        self.is_over = true;
        let problem =
            if self.expected.is_some() { HEADER_ALONE } else { "the file is empty; it needs a row an input" };
        nothing.then(|| Err(Error::data(&*self.path, problem).into()))
    }
}

/// Whether a text has a row that is no header.
fn has_rows(text: &[u8], first_line: u64, expected: &Expected) -> bool {
    let is_row = |row: super::rows::Row| {
        // An error ends the walk.
        if Some(row.line) == expected.header() { Ok(()) } else { Err(Error::Usage(String::new())) }
    };
    for_each_row(Path::new(""), text, expected.delimiter(), first_line, &mut { is_row }).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Column, ColumnKind};
    use crate::notation::Notation;
    use crate::unknown::OnUnknown;
    use proptest::prelude::*;

    /// Gives so many bytes at once.
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

    /// Each row as text: its place, and its values or what is wrong.
    fn rows(text: &[u8], at_once: usize) -> Vec<String> {
        rows_of(&model(false), text, at_once)
    }

    fn rows_of(model: &Arc<TableLayout>, text: &[u8], at_once: usize) -> Vec<String> {
        let allowed = Allowed { missing: true, unknown: OnUnknown::Allow };
        let source = Box::new(Slow(io::Cursor::new(text.to_vec()), at_once));
        let mut rows = Vec::new();
        for stretch in Incoming::new("a".into(), source, model, allowed) {
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
            "a, line 4, column 2 (t): `c` is none of the texts that the model knows in this column (b, x\\ny); train it again, and it takes texts that it does not know",
            "a, line 5: the row has 2 value(s), but the header has 3",
            "6: [5.0, 0.0, 1.0]",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_text_that_training_never_saw_is_all_zeros_and_is_told() {
        assert_eq!(
            rows_of(&model(true), b"n,t\n1,b\n2,c\n3,\n", 4),
            ["2: [1.0, 1.0, 0.0]", "3: [2.0, 0.0, 0.0] c", "4: [3.0, NaN, NaN]"]
        );
    }

    #[test]
    fn below_a_header_that_does_not_fit_nothing_is_read() {
        let found = rows(b"n,u\n1,b\n2,b\n", 100);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("a, line 1: the header has no column `t`"), "{found:?}");
    }

    #[test]
    fn rows_above_the_first_that_fits_are_errors_up_to_a_limit() {
        let found = rows(b"a title\n\n1,b\n2,b\n", 5);
        assert!(found[0].starts_with("a, line 1: the row has 1 value(s)"), "{found:?}");
        assert_eq!(found[1..], ["3: [1.0, 1.0, 0.0]", "4: [2.0, 1.0, 0.0]"]);
        let found = rows("a\n".repeat(1000).as_bytes(), 64);
        assert_eq!(found.len(), MOST_MISFITS);
        assert!(found[MOST_MISFITS - 1].contains("none of the rows above fits either"), "{found:?}");
    }

    #[test]
    fn what_ends_a_text_early_is_named_and_what_stands_above_is_read() {
        assert_eq!(rows(b"1,b\n2,\0,b\n3,b\n", 100)[0], "1: [1.0, 1.0, 0.0]");
        assert!(rows(b"1,b\n2,\0,b\n3,b\n", 2)[1].starts_with("a, line 2: a NUL byte"));
        assert_eq!(rows(b"\n\n", 1), ["a: the file is empty; it needs a row an input"]);
        assert_eq!(rows(b"n,t\n", 1), ["a: the file holds a header and no rows"]);
    }

    proptest! {
        #[test]
        fn rows_do_not_depend_on_how_the_text_comes_in(
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
