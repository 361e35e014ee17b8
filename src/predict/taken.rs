//! From what is sent to what a model takes: encoded pictures, text with rows, and cells become raw values.

use std::borrow::Cow;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sources::{Job, of_table};
use crate::data::column::{Column, ColumnKind};
use crate::data::error::{Error, Place, Result, quoted};
use crate::data::format::csv::{Allowed, Incoming, InputRow, Unread, read_row};
use crate::data::image::{self, Channels, InputReader};
use crate::data::unknown::UnknownText;
use crate::data::{InputShape, TableLayout, ValueRange};

/// An input on its way to the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Where it stands: a picture's path, or `file:line`.
    pub name: String,
    /// Its raw values, as many as the model has features, or why there are none.
    pub values: std::result::Result<Vec<f32>, String>,
    /// What else is to be said of it.
    pub notes: Notes,
}

/// What is to be said of an input beside its result.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notes {
    /// The categories of a row that the model was not trained on.
    pub unknown: Vec<UnknownText>,
    /// The input stands for a whole table, none of whose rows can be used.
    pub is_table: bool,
    /// What is to be said of an image although it could be read.
    pub remark: Option<String>,
}

/// What a model takes. Threads that read inputs share it.
#[derive(Debug)]
pub struct Taken {
    pub(super) shape: InputShape,
    pub(super) range: Option<ValueRange>,
    /// The bits that images of 16 a value use, if the model was trained on such images.
    pub(super) depth: Option<u8>,
    /// Where the images are that lists name, if the user says.
    pub(super) images: Option<PathBuf>,
    pub(super) layout: Arc<TableLayout>,
    pub(super) allowed: Allowed,
}

/// A cell of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A number.
    Number(f32),
    /// A text.
    Text(String),
    /// Nothing.
    Missing,
}

impl Taken {
    /// Reads an encoded picture as `cresset predict` does.
    ///
    /// # Errors
    /// What is wrong with it: no picture, a damaged one, or a model that takes none.
    pub fn picture(&self, encoded: &[u8]) -> std::result::Result<Vec<f32>, String> {
        self.picture_reader()?.read(encoded)
    }

    /// Reads the rows of a table, which is called `name`, as `cresset predict` does: each row, or what is wrong with it.
    pub fn table(self: &Arc<Self>, name: &str, text: Vec<u8>) -> Vec<Input> {
        let source = Box::new(Cursor::new(text));
        let rows = Incoming::new(PathBuf::from(name), source, &self.layout, self.allowed);
        of_table(Ok(rows)).flat_map(|job| self.read(job, &mut None)).collect()
    }

    /// The number of cells of a row: one a column.
    pub fn cells(&self) -> usize {
        self.layout.columns.len()
    }

    /// The names of a row's cells, in their order, each once.
    pub fn names(&self) -> Vec<Cow<'_, str>> {
        self.layout.names()
    }

    /// The name of the column of labels, if the model was trained on a table.
    pub fn label(&self) -> Option<&str> {
        self.layout.label.as_ref().map(|label| label.name.as_str())
    }

    /// A row's cells, in the order of the model's columns, as raw values. What is more than numbers is read as the row of a
    /// table.
    ///
    /// # Errors
    /// What is wrong with them: another number, a text that is no category of its column, a value that is missing or outside
    /// the model's range.
    pub fn row(self: &Arc<Self>, cells: &[Cell]) -> std::result::Result<InputRow, String> {
        if cells.len() != self.cells() {
            return Err(format!(
                "the row has {} value(s), but the model takes {}",
                cells.len(),
                self.cells()
            ));
        }
        let is_number = |(cell, column): (&Cell, &Column)| {
            matches!(cell, Cell::Number(value) if value.is_finite()) && column.kind == ColumnKind::Number
        };
        if cells.iter().zip(&self.layout.columns).all(is_number) {
            let values = cells
                .iter()
                .filter_map(|cell| if let Cell::Number(value) = cell { Some(*value) } else { None });
            return self.checked(values.collect::<Vec<_>>().into());
        }
        for (number, (cell, column)) in (1..).zip(cells.iter().zip(&self.layout.columns)) {
            if let (Cell::Text(text), ColumnKind::Number) = (cell, &column.kind)
                && column.notation.number(text.trim().as_bytes()).is_none()
            {
                return Err(format!("column {number} ({}): {} is not a number", column.name, quoted(text)));
            }
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        let written = "a record can be written to memory";
        writer.write_record(cells.iter().map(Cell::text)).expect(written);
        let text = writer.into_inner().expect(written);
        self.checked(read_row(&text, &self.layout, self.allowed).map_err(problem)?)
    }

    fn checked(&self, row: InputRow) -> std::result::Result<InputRow, String> {
        let InputRow { values, unknown } = row;
        let values = self.in_range(values, &Place::from(Path::new(""))).map_err(problem)?;
        Ok(InputRow { values, unknown })
    }

    /// Reads a job's inputs. `pictures` is kept by each thread.
    pub(super) fn read(&self, job: Job, pictures: &mut Option<InputReader>) -> Vec<Input> {
        match job {
            Job::Picture(path) => {
                let values = image::encoded(&path).and_then(|encoded| match pictures {
                    Some(reader) => reader.read(&encoded),
                    None => pictures.insert(self.picture_reader()?).read(&encoded),
                });
                let remark = pictures.as_mut().and_then(InputReader::take_remark);
                let notes = Notes { remark, ..Notes::default() };
                vec![Input { name: Place::from(&*path).name(), values, notes }]
            }
            Job::Rows(rows) => {
                let input = |(line, row): (u64, Result<InputRow>)| {
                    let place = Place::line(rows.path(), line);
                    let mut notes = Notes::default();
                    let values = row.and_then(|row| {
                        notes.unknown = row.unknown;
                        self.in_range(row.values, &place)
                    });
                    Input { name: place.name(), values: values.map_err(problem), notes }
                };
                rows.rows().into_iter().map(input).collect()
            }
            Job::Bad(Unread { error, is_table }) => {
                let (name, problem) = match error {
                    Error::Data { place, problem } => (place.name(), problem),
                    error => (String::new(), error.to_string()),
                };
                let notes = Notes { is_table, ..Notes::default() };
                vec![Input { name, values: Err(problem), notes }]
            }
        }
    }

    /// Whether the model takes images, as files of them hold.
    pub(super) fn takes_images(&self) -> bool {
        Channels::of(&self.shape).is_some()
    }

    /// What reads pictures for the model.
    fn picture_reader(&self) -> std::result::Result<InputReader, String> {
        let range = self.range.unwrap_or(ValueRange { min: 0., max: 255. });
        Ok(InputReader::new(&self.shape, range)?.with_depth(self.depth))
    }

    fn in_range(&self, values: Vec<f32>, place: &Place) -> Result<Vec<f32>> {
        let Some(range) = self.range else { return Ok(values) };
        match range.outside(&values) {
            Some(at) => Err(range.refusal(values[at], place.clone(), at, &self.layout)),
            None => Ok(values),
        }
    }
}

impl Cell {
    fn text(&self) -> String {
        match self {
            Cell::Number(value) => value.to_string(),
            Cell::Text(text) => text.clone(),
            Cell::Missing => String::new(),
        }
    }
}

/// What is wrong, for a row that has its place beside it.
fn problem(error: Error) -> String {
    match error {
        Error::Data { place: Place { column: Some(column), .. }, problem } => {
            format!("column {column}: {problem}")
        }
        Error::Data { problem, .. } => problem,
        error => error.to_string(),
    }
}
