//! Reads labeled rows for a model, and stores them in a file once they are too many for memory.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::encode::Encoder;
use super::model_rows::{Check, OpenRows, RowPolicy, warn_of_unknowns};
use super::parallel::parse_each;
use super::parse::Parsed;
use super::streamed::labels::StoredLabelTexts;
use super::streamed::temporary_folder;
use crate::column::TableLayout;
use crate::error::{Error, Location, Result};
use crate::stored::{
    Blocks, InputFeatures, RowWriter, Source, StoredFile, StoredLabels, StoredNames, StoredRows,
};
use crate::unknown::UnknownCounts;
use crate::{Table, Targets, TaskKind, ValueRange};

/// What labeled rows are read for.
#[derive(Debug, Clone, Copy)]
pub struct RowsOfModel<'a> {
    /// The columns of the model.
    pub layout: &'a TableLayout,
    /// How missing values and unknown categories are handled.
    pub allowed: RowPolicy,
    /// What the values of rows have to be within.
    pub range: Option<ValueRange>,
    /// The task of the model.
    pub task: TaskKind,
    /// Its classes, labels or quantity.
    pub classes: &'a [String],
    /// The number of values that may be in memory.
    pub in_memory: usize,
}

/// Labeled rows.
#[derive(Debug)]
pub enum LabeledRows {
    /// All are in memory.
    Table(Box<Table>),
    /// They are in a file that has no name, and is gone once they are dropped.
    Stored {
        /// The rows.
        rows: Arc<StoredRows>,
        /// What their labels mean.
        targets: Targets,
        /// Their numbers and lines.
        names: Arc<StoredNames>,
    },
}

impl LabeledRows {
    /// Reads the rows of a table as [`read_rows`](super::read_rows) does.
    ///
    /// # Errors
    /// As for `read_rows`, and values outside the range. Once the rows are stored, also rows without labels or with one that the model
    /// does not have, and a full disk.
    pub fn read(path: &Path, model: &RowsOfModel) -> Result<Self> {
        let OpenRows { reader, layout, empty } = OpenRows::open(path, model.layout, model.allowed)?;
        let fingerprint = reader.fingerprint();
        let check = Check { path, model: model.layout, layout: &layout, allowed: model.allowed };
        let encoder = Encoder::new(model.layout);
        let mut rows = Rows { model, check, encoder, unknowns: UnknownCounts::default(), seen: 0 };
        let mut parsed = Parsed::of(&layout);
        let mut stored: Option<Storing> = None;
        parse_each(reader, &layout, &mut |part| {
            match (&mut stored, parsed.seen) {
                (Some(stored), _) => {
                    let next = rows.features(part)?;
                    return stored.push(&rows, next);
                }
                (None, 0) => parsed = part,
                (None, _) => parsed.append(part, &layout),
            }
            let values = model.layout.features().max(layout.inputs.len()).saturating_mul(parsed.rows.len());
            if values > model.in_memory {
                let first = rows.features(std::mem::replace(&mut parsed, Parsed::of(&layout)))?;
                stored.insert(Storing::begin(path, model)?).push(&rows, first)?;
            }
            Ok(())
        })?;
        if stored.is_none() && parsed.rows.is_empty() {
            return Err(empty);
        }
        let found = match stored {
            None => {
                let (values, parsed) = rows.features(parsed)?;
                LabeledRows::Table(Box::new(Table {
                    sha256: fingerprint.sha256(),
                    ..rows.check.table(parsed, values)
                }))
            }
            Some(stored) => stored.finish(path, model)?,
        };
        warn_of_unknowns(path, &rows.unknowns, rows.seen);
        Ok(found)
    }
}

/// Encodes parsed rows.
struct Rows<'a> {
    model: &'a RowsOfModel<'a>,
    check: Check<'a>,
    encoder: Encoder,
    unknowns: UnknownCounts,
    /// The number of rows so far.
    seen: usize,
}

impl Rows<'_> {
    /// The features of parsed rows, and the rows without them.
    fn features(&mut self, mut parsed: Parsed) -> Result<(Vec<f32>, Parsed)> {
        let values = self.check.features(&self.encoder, &mut parsed, &mut self.unknowns)?;
        parsed.rows.iter_mut().for_each(|row| *row += self.seen as u64);
        self.seen += parsed.rows.len();
        let outside = self.model.range.and_then(|range| Some((range, range.outside(&values)?)));
        if let Some((range, index)) = outside {
            let (row, feature) = (index / self.model.layout.features(), index % self.model.layout.features());
            let location = Location::line(self.check.path, parsed.lines[row]);
            return Err(range.refusal(values[index], location, feature, self.model.layout));
        }
        Ok((values, parsed))
    }
}

/// What the file says about its rows.
#[derive(Serialize, Deserialize)]
struct Description {
    blocks: Blocks,
    names: StoredNames,
}

/// Rows that are being stored.
struct Storing {
    folder: tempfile::TempDir,
    writer: RowWriter,
    width: usize,
    labels: StoredLabelTexts,
}

/// The name of the file in its folder.
const FILE: &str = "rows";

impl Storing {
    fn begin(path: &Path, model: &RowsOfModel) -> Result<Self> {
        let folder = temporary_folder()?;
        tracing::info!(table = %path.display(), folder = %folder.path().display(), "storing the rows of the table");
        let width = model.layout.features();
        let writer = RowWriter::create(&folder.path().join(FILE), width + 2, 0)?;
        Ok(Storing { folder, writer, width, labels: StoredLabelTexts::default() })
    }

    fn push(&mut self, rows: &Rows, (values, parsed): (Vec<f32>, Parsed)) -> Result<()> {
        let path = rows.check.path;
        if parsed.labels.is_empty() {
            return Err(rows.check.table(parsed, values).without_labels());
        }
        let column = |index: usize| values.iter().skip(index).step_by(self.width).copied().collect();
        let mut columns: Vec<Vec<f32>> = (0..self.width).map(column).collect();
        columns.extend(self.labels.columns(
            path,
            &parsed.labels,
            &parsed.label_texts.texts,
            &parsed.lines,
        )?);
        let numbers: Vec<(u64, u64)> =
            parsed.rows.iter().copied().zip(parsed.lines.iter().copied()).collect();
        self.writer.push::<_, &str>(&columns, &[], &numbers)
    }

    fn finish(self, path: &Path, model: &RowsOfModel) -> Result<LabeledRows> {
        let Storing { folder, writer, width, labels } = self;
        writer.finish(|blocks, names| Description { blocks, names })?;
        let file = folder.path().join(FILE);
        let damaged = || Error::data(file.as_path(), "the stored rows were changed by another process");
        let (opened, Description { blocks, names }) = StoredFile::open(&file).ok_or_else(damaged)?;
        let is_over = labels.is_over;
        let (texts, lines) = labels.finish();
        // Each label once, in place of the rows.
        let table = Table {
            path: path.to_path_buf(),
            layout: model.layout.clone(),
            values: Vec::new(),
            labels: (0..texts.len() as u32).collect(),
            rows: vec![0; texts.len()],
            label_texts: texts,
            groups: None,
            lines,
            sha256: String::new(),
            texts: None,
        };
        let found = table.labels_for(model.task, model.classes)?;
        let labels = match is_over {
            true if model.task == TaskKind::Regression => StoredLabels::Values,
            true => {
                let problem = format!("the rows have more than {} different labels", table.labels.len());
                return Err(Error::data(Location::from(path), problem));
            }
            false => StoredLabels::Indexes(found.labels),
        };
        let input = |index| InputFeatures { column: index, first: index, width: 1, source: Source::Number };
        let rows = StoredRows::new(opened, blocks, (0..width).map(input).collect(), labels);
        Ok(LabeledRows::Stored { rows: Arc::new(rows), targets: found.targets, names: Arc::new(names) })
    }
}
