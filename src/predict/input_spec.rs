//! Converts encoded images, tables and cells to raw input values.

use std::borrow::Cow;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sources::{Job, table_jobs};
use crate::data::column::{Column, ColumnKind};
use crate::data::error::{Error, Location, Result, quoted};
use crate::data::format::csv::{InputRow, RowPolicy, RowStream, RowStreamError, read_row};
use crate::data::image::{self, Channels, Decoding, InputReader};
use crate::data::text;
use crate::data::unknown::UnknownCategory;
use crate::data::{InputShape, TableLayout, ValueRange};

/// An input that was read.
///
/// ```
/// use cresset::prelude::*;
/// use std::sync::Arc;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let spec = Arc::new(fitted.classifier()?.input_spec());
/// let inputs = spec.table("flowers.csv", b"5.1,3.5,1.4,0.2\n6.3,wide,5.6,1.8\n".to_vec());
/// assert_eq!(inputs[0].values, Ok(vec![5.1, 3.5, 1.4, 0.2]));
/// assert_eq!(inputs[1].name, "flowers.csv:2");
/// assert!(inputs[1].values.is_err());
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The path of an image, or `file:line`.
    pub name: String,
    /// The raw values, one for each feature of the model, or the error.
    pub values: std::result::Result<Vec<f32>, String>,
    /// Warnings.
    pub notes: Notes,
}

/// Warnings about an input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notes {
    /// The categories in a row that the model was not trained on.
    pub unknown: Vec<UnknownCategory>,
    /// Whether the error is about a whole table, none of whose rows can be used.
    pub is_table: bool,
    /// A warning about an image that could be read.
    pub remark: Option<String>,
}

/// The input specification of a model. The threads that read inputs share it.
///
/// ```
/// use cresset::predict::Cell;
/// use cresset::prelude::*;
/// use std::sync::Arc;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let spec = Arc::new(fitted.classifier()?.input_spec());
/// assert_eq!((spec.cells(), spec.names().len()), (4, 4));
/// let cells = [5.1, 3.5, 1.4, 0.2].map(Cell::Number);
/// assert_eq!(spec.row(&cells).unwrap().values, [5.1, 3.5, 1.4, 0.2]);
/// assert!(spec.row(&cells[..3]).is_err());
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct InputSpec {
    pub(super) shape: InputShape,
    pub(super) range: Option<ValueRange>,
    /// How images are decoded and resized.
    pub(super) decoding: Decoding,
    /// The folder of the images in lists, if given.
    pub(super) images: Option<PathBuf>,
    pub(super) layout: Arc<TableLayout>,
    pub(super) allowed: RowPolicy,
}

/// A cell of a row.
///
/// ```
/// use cresset::predict::Cell;
///
/// let row = [Cell::Number(5.1), Cell::Text("red".to_string()), Cell::Missing];
/// assert_eq!(row[1], Cell::Text("red".to_string()));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A number.
    Number(f32),
    /// A text.
    Text(String),
    /// A missing value.
    Missing,
}

impl InputSpec {
    /// Decodes an image as `cresset predict` does.
    ///
    /// # Errors
    /// Data that is not an image, a damaged image, or a model that does not take images.
    pub fn image(&self, encoded: &[u8]) -> std::result::Result<Vec<f32>, String> {
        self.image_reader()?.read(encoded)
    }

    /// Reads the rows of a table named `name` as `cresset predict` does: the values or the error of each row.
    pub fn table(self: &Arc<Self>, name: &str, text: Vec<u8>) -> Vec<Input> {
        let source = Box::new(Cursor::new(text));
        let rows = RowStream::new(PathBuf::from(name), source, &self.layout, self.allowed);
        table_jobs(Ok(rows)).flat_map(|job| self.read(job, &mut None)).collect()
    }

    /// The number of cells in a row.
    pub fn cells(&self) -> usize {
        self.layout.columns.len()
    }

    /// The unique names of the columns, in order.
    pub fn names(&self) -> Vec<Cow<'_, str>> {
        self.layout.names()
    }

    /// The name of the label column, if the model was trained on a table.
    pub fn label(&self) -> Option<&str> {
        self.layout.label.as_ref().map(|label| label.name.as_str())
    }

    /// Converts the cells of a row, in the order of the model's columns, to raw values. Cells other than numbers are parsed
    /// like the cells of a CSV row.
    ///
    /// # Errors
    /// A wrong number of cells, an unknown category, a missing value, or a value outside the model's range.
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
        let values = self.in_range(values, &Location::from(Path::new(""))).map_err(problem)?;
        Ok(InputRow { values, unknown })
    }

    /// Reads the inputs of a job. Each thread reuses its image `reader`.
    pub(super) fn read(&self, job: Job, reader: &mut Option<InputReader>) -> Vec<Input> {
        match job {
            Job::Image(path) => {
                let values = image::encoded(&path).and_then(|encoded| match reader {
                    Some(reader) => reader.read(&encoded),
                    None => reader.insert(self.image_reader()?).read(&encoded),
                });
                let remark = reader.as_mut().and_then(InputReader::take_warning);
                let notes = Notes { remark, ..Notes::default() };
                vec![Input { name: Location::from(&*path).name(), values, notes }]
            }
            Job::Text(path) => {
                let values = self.text_file(&path).map_err(problem);
                vec![Input { name: Location::from(&*path).name(), values, notes: Notes::default() }]
            }
            Job::Rows(rows) => {
                let input = |(line, row): (u64, Result<InputRow>)| {
                    let location = Location::line(rows.path(), line);
                    let mut notes = Notes::default();
                    let values = row.and_then(|row| {
                        notes.unknown = row.unknown;
                        self.in_range(row.values, &location)
                    });
                    Input { name: location.name(), values: values.map_err(problem), notes }
                };
                rows.rows().into_iter().map(input).collect()
            }
            Job::Bad(RowStreamError { error, is_table }) => {
                let (name, problem) = match error {
                    Error::Data { location, problem } => (location.name(), problem),
                    error => (String::new(), error.to_string()),
                };
                let notes = Notes { is_table, ..Notes::default() };
                vec![Input { name, values: Err(problem), notes }]
            }
        }
    }

    /// Whether the model takes one text.
    pub fn takes_texts(&self) -> bool {
        self.layout.only_text().is_some()
    }

    /// The token ids of the text in a file.
    pub(super) fn text_file(&self, path: &Path) -> Result<Vec<f32>> {
        let bytes =
            std::fs::read(path).map_err(|e| Error::data(path, format!("cannot read the text: {e}")))?;
        self.text(&bytes).map_err(|problem| Error::data(path, problem))
    }

    /// The token ids of a text or a raw mail, in any encoding that text files have.
    ///
    /// # Errors
    /// A model that does not take one text, and a text that its tokenizer cannot encode.
    pub fn text(&self, bytes: &[u8]) -> std::result::Result<Vec<f32>, String> {
        let problem = || "the model does not take a text alone".to_string();
        let (tokenization, length) = self.layout.only_text().ok_or_else(problem)?;
        tokenization.features(&text::of_file(bytes).0, length)
    }

    /// Whether the model takes images.
    pub(super) fn takes_images(&self) -> bool {
        Channels::of(&self.shape).is_some()
    }

    /// Creates an image reader for the model.
    fn image_reader(&self) -> std::result::Result<InputReader, String> {
        let range = self.range.unwrap_or(ValueRange { min: 0., max: 255. });
        Ok(InputReader::new(&self.shape, range)?.with_decoding(self.decoding))
    }

    fn in_range(&self, values: Vec<f32>, location: &Location) -> Result<Vec<f32>> {
        let Some(range) = self.range else { return Ok(values) };
        match range.outside(&values) {
            Some(at) => Err(range.refusal(values[at], location.clone(), at, &self.layout)),
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

/// The message of an error, without the file and line.
fn problem(error: Error) -> String {
    match error {
        Error::Data { location: Location { column: Some(column), .. }, problem } => {
            format!("column {column}: {problem}")
        }
        Error::Data { problem, .. } => problem,
        error => error.to_string(),
    }
}
