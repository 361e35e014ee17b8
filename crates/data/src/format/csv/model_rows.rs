//! Reads rows as inputs of a trained model.

use std::path::Path;
use std::sync::Arc;

use super::Missing;
use super::chunk_reader::ChunkReader;
use super::column_positions::{ColumnPositions, RowMismatch, positions};
use super::converted::first_line;
use super::delimiter::ranked;
use super::encode::Encoder;
use super::layout::{InputColumn, Layout};
use super::parallel::parse;
use super::parse::Parsed;
use super::rows::{Row, for_each_row, text_of};
use crate::Table;
use crate::column::{ColumnKind, TableLayout};
use crate::error::{Error, Location, Result, quoted};
use crate::unknown::{UnknownCategory, UnknownCounts, UnknownPolicy, known_categories};

/// How missing values and unknown categories are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowPolicy {
    /// Whether missing values are allowed.
    pub missing: bool,
    /// How unknown categories are handled.
    pub unknown: UnknownPolicy,
    /// Whether the label of a row may be empty: a model of labels takes it as none.
    pub no_label: bool,
}

/// An input row.
#[derive(Debug, Clone, PartialEq)]
pub struct InputRow {
    /// One value per feature; NaN if missing.
    pub values: Vec<f32>,
    /// The unknown categories of the row.
    pub unknown: Vec<UnknownCategory>,
}

impl From<Vec<f32>> for InputRow {
    fn from(values: Vec<f32>) -> Self {
        InputRow { values, unknown: Vec::new() }
    }
}

/// Reads rows for a model that was trained on a table with this layout. With a header, columns are found by
/// name. Without one, the columns are those of the training table or only the inputs; if the model was not
/// trained on a table, a label may follow the inputs.
///
/// # Errors
/// A file that is unreadable or has no rows, a header without the model's columns, or rows that do not match
/// the model, with line and column.
pub fn read_rows(path: &Path, model: &TableLayout, allowed: RowPolicy) -> Result<Table> {
    let OpenRows { reader, layout, empty } = OpenRows::open(path, model, allowed)?;
    let fingerprint = reader.fingerprint();
    let mut parsed = parse(reader, &layout)?;
    if parsed.rows.is_empty() {
        return Err(empty);
    }
    let mut unknowns = UnknownCounts::default();
    let check = Check { path, model, layout: &layout, allowed };
    let values = check.features(&Encoder::new(model), &mut parsed, &mut unknowns)?;
    warn_of_unknowns(path, &unknowns, parsed.rows.len());
    Ok(Table { sha256: fingerprint.sha256(), ..check.table(parsed, values) })
}

/// A table whose header is known.
pub(super) struct OpenRows {
    pub reader: ChunkReader,
    pub layout: Layout,
    /// The error if no row follows.
    pub empty: Error,
}

impl OpenRows {
    /// Opens a table with rows for a model.
    ///
    /// # Errors
    /// A file that cannot be read, or whose header or first row does not match the model.
    pub fn open(path: &Path, model: &TableLayout, allowed: RowPolicy) -> Result<Self> {
        let reader = ChunkReader::open(path)?;
        let beginning = reader.beginning();
        let layout = layout_of(path, beginning, first_line(path), model, allowed)
            .map_err(|mismatch| mismatch.error)?
            .ok_or_else(|| Error::data(path, "the file is empty; expected one row per input"))?;
        let first = First::take(path, beginning, first_line(path), layout.delimiter)?;
        let unclosed_quote_hint = first.map_or("", |first| first.unclosed_quote_hint);
        let empty = Error::data(path, format!("{HEADER_ALONE}{unclosed_quote_hint}"));
        Ok(OpenRows { reader, layout, empty })
    }
}

/// Warns of categories in a table that the model was not trained on.
pub(super) fn warn_of_unknowns(path: &Path, unknowns: &UnknownCounts, rows: usize) {
    if let Some(summary) = unknowns.summary(rows) {
        tracing::warn!("{}: {summary}", Location::from(path).name());
    }
}

pub(super) const HEADER_ALONE: &str = "the file has a header but no rows";

/// Parses rows as inputs of a model.
pub(super) struct RowParser {
    layout: Layout,
    model: Arc<TableLayout>,
    encoder: Encoder,
    allowed: RowPolicy,
}

impl RowParser {
    /// Infers the layout from the first row of a text that begins at line `first_line`; `None` if all lines
    /// are blank. Labels are ignored.
    ///
    /// # Errors
    /// A first row that does not match the model.
    pub fn of(
        path: &Path,
        text: &[u8],
        first_line: u64,
        model: &Arc<TableLayout>,
        allowed: RowPolicy,
    ) -> std::result::Result<Option<Self>, RowMismatch> {
        let layout = layout_of(path, text, first_line, model, allowed)?;
        let unlabelled = |layout| RowParser {
            layout: Layout { label: None, label_columns: Vec::new(), ..layout },
            model: Arc::clone(model),
            encoder: Encoder::new(model),
            allowed,
        };
        Ok(layout.map(unlabelled))
    }

    /// The delimiter.
    pub fn delimiter(&self) -> u8 {
        self.layout.delimiter
    }

    /// The line of the header, if there is one.
    pub fn header(&self) -> Option<u64> {
        self.layout.header.as_ref().map(|(_, line)| *line)
    }

    /// Parses the rows of a part of the text. Each has its line, and its values or error.
    pub fn rows(&self, path: &Path, text: &[u8], first_line: u64) -> Vec<(u64, Result<InputRow>)> {
        let mut rows = Vec::new();
        let mut parsed = Parsed::of(&self.layout);
        let result = for_each_row(path, text, self.layout.delimiter, first_line, &mut |row| {
            if Some(row.line) != self.header() {
                rows.push((row.line, self.row(path, &row, &mut parsed)));
            }
            Ok(())
        });
        rows.extend(result.err().map(|error| (first_line, Err(error))));
        rows
    }

    fn row(&self, path: &Path, row: &Row, parsed: &mut Parsed) -> Result<InputRow> {
        if parsed.categories.iter().any(|texts| texts.texts.len() > MAX_CACHED_TEXTS) {
            *parsed = Parsed::of(&self.layout);
        }
        parsed.values.clear();
        parsed.add(path, row, &self.layout)?;
        let texts: Vec<_> = parsed.categories.iter().map(|texts| &texts.texts[..]).collect();
        let check = Check { path, model: &self.model, layout: &self.layout, allowed: self.allowed };
        let (values, unknown) = check.encode(&self.encoder, parsed.values.clone(), &texts, &[row.line])?;
        Ok(InputRow { values, unknown: unknown.into_iter().map(|(_, unknown)| unknown).collect() })
    }
}

/// The maximum number of distinct texts of a column that are cached between rows.
const MAX_CACHED_TEXTS: usize = 200;

/// Parses a single row without a header, with cells in the order of the model's columns.
///
/// # Errors
/// An invalid row.
pub fn read_row(text: &[u8], model: &Arc<TableLayout>, allowed: RowPolicy) -> Result<InputRow> {
    let path = Path::new("");
    let names: Vec<_> = model.names().iter().map(|name| name.to_string()).collect();
    let positions = ColumnPositions {
        columns: (0..names.len()).collect(),
        label: None,
        label_columns: Vec::new(),
        has_header: true,
        by_name: true,
        is_row: false,
        extra: Vec::new(),
    };
    // The header is above the first line.
    let first = First { line: 0, cells: names, unclosed_quote_hint: "" };
    let layout = first.layout(&positions, model, b',', allowed);
    let parser = RowParser { layout, model: Arc::clone(model), encoder: Encoder::new(model), allowed };
    match parser.rows(path, text, 1).pop() {
        Some((_, row)) => row,
        None => Err(Error::data(path, "the row is empty")),
    }
}

/// Infers the layout of a text that begins at line `first_line`; `None` if all lines are blank. Uses the
/// first delimiter for which the first row matches the model, preferring a match by column names.
fn layout_of(
    path: &Path,
    text: &[u8],
    first_line: u64,
    model: &TableLayout,
    allowed: RowPolicy,
) -> std::result::Result<Option<Layout>, RowMismatch> {
    let mut found: Option<(First, ColumnPositions, u8)> = None;
    let mut mismatch: Option<RowMismatch> = None;
    let mut best_rank = (false, 0);
    for delimiter in &ranked(path, text, first_line, 1) {
        let first = First::take(path, text, first_line, *delimiter);
        let first = first.map_err(|error| RowMismatch { error, is_header: false })?;
        let Some(first) = first else { return Ok(None) };
        match positions(path, first.line, &first.cells, model) {
            Ok(positions) if found.is_none() || positions.by_name => {
                let is_final = positions.by_name;
                found = Some((first, positions, *delimiter));
                if is_final {
                    break;
                }
            }
            Ok(_) => {}
            Err(error) => {
                // Report the mismatch of the delimiter with the most cells, preferring headers.
                let rank = (error.is_header, first.cells.len());
                if rank > best_rank {
                    best_rank = rank;
                    mismatch = Some(error.with_note(first.unclosed_quote_hint));
                }
            }
        }
    }
    match (found, mismatch) {
        // With another delimiter, a header may have as many cells as the model has inputs.
        (Some((_, positions, _)), Some(mismatch))
            if mismatch.is_header && !positions.by_name && !positions.is_row =>
        {
            Err(mismatch)
        }
        (Some((first, positions, delimiter)), _) => {
            // A request has no path, and its sender does not see the log.
            if !path.as_os_str().is_empty() {
                positions.warn(path);
            }
            Ok(Some(first.layout(&positions, model, delimiter, allowed)))
        }
        (None, mismatch) => Err(mismatch.expect("a row has cells")),
    }
}

/// The first row.
struct First {
    line: u64,
    cells: Vec<String>,
    unclosed_quote_hint: &'static str,
}

impl First {
    fn take(path: &Path, text: &[u8], first_line: u64, delimiter: u8) -> Result<Option<Self>> {
        let mut first = None;
        let mut failure = None;
        let _ = for_each_row(path, text, delimiter, first_line, &mut |row| {
            let location = || Location::line(path, row.line);
            let cells = row.cells.iter().enumerate().map(|(column, cell)| {
                text_of(cell, || location().column((column + 1).to_string())).map(str::to_string)
            });
            match cells.collect() {
                Ok(cells) => {
                    first =
                        Some(First { line: row.line, cells, unclosed_quote_hint: row.unclosed_quote_hint() })
                }
                Err(error) => failure = Some(error),
            }
            // An error stops the iteration.
            Err(Error::Usage(String::new()))
        });
        failure.map_or(Ok(first), Err)
    }

    fn layout(
        self,
        positions: &ColumnPositions,
        model: &TableLayout,
        delimiter: u8,
        allowed: RowPolicy,
    ) -> Layout {
        let inputs = model.columns.iter().zip(&positions.columns);
        Layout {
            delimiter,
            width: self.cells.len(),
            inputs: inputs
                .map(|(column, position)| InputColumn {
                    position: *position,
                    is_text: !matches!(column.kind, ColumnKind::Number | ColumnKind::Hash { .. }),
                    hash_rows: match column.kind {
                        ColumnKind::Hash { rows } => Some(rows),
                        _ => None,
                    },
                    notation: column.notation.clone(),
                    is_fixed: false,
                    declared: None,
                    takes_missing: allowed.missing || model.has_features_of_missing(column),
                })
                .collect(),
            header: positions.has_header.then_some((self.cells, self.line)),
            label: positions.label,
            label_columns: positions.label_columns.clone(),
            group: None,
            missing: if allowed.missing { Missing::Mean } else { Missing::Error },
            drops_unlabelled: false,
            allows_no_label: allowed.no_label,
        }
    }
}

/// An unknown category, and the index of its row.
type UnknownOfRow = (usize, UnknownCategory);

/// Detects unknown categories.
pub(super) struct Check<'a> {
    pub path: &'a Path,
    pub model: &'a TableLayout,
    pub layout: &'a Layout,
    pub allowed: RowPolicy,
}

impl Check<'_> {
    /// The features of parsed rows, whose values and texts are taken. `unknowns` counts unknown categories.
    ///
    /// # Errors
    /// A cell that its column cannot have, or an unknown category that is not allowed.
    pub fn features(
        &self,
        encoder: &Encoder,
        parsed: &mut Parsed,
        unknowns: &mut UnknownCounts,
    ) -> Result<Vec<f32>> {
        let texts: Vec<_> =
            parsed.categories.iter_mut().map(|texts| std::mem::take(&mut texts.texts)).collect();
        let values = std::mem::take(&mut parsed.values);
        let (values, unknown) = self.encode(encoder, values, &texts, &parsed.lines)?;
        unknown
            .chunk_by(|(a, _), (b, _)| a == b)
            .for_each(|row| unknowns.add(row.iter().map(|(_, unknown)| unknown)));
        Ok(values)
    }

    /// The table of parsed rows with these features, without the hash of the file.
    pub fn table(&self, parsed: Parsed, values: Vec<f32>) -> Table {
        Table {
            path: self.path.to_path_buf(),
            layout: self.model.clone(),
            values,
            labels: parsed.labels,
            label_texts: parsed.label_texts.texts,
            groups: None,
            rows: parsed.rows,
            lines: parsed.lines,
            sha256: String::new(),
            texts: None,
        }
    }

    /// The features of rows with one value per input column, which begin at `lines`, and the unknown categories with the index
    /// of their row.
    ///
    /// # Errors
    /// A cell that its column cannot have, or an unknown category that is not allowed.
    fn encode<T: AsRef<[String]>>(
        &self,
        encoder: &Encoder,
        values: Vec<f32>,
        texts: &[T],
        lines: &[u64],
    ) -> Result<(Vec<f32>, Vec<UnknownOfRow>)> {
        let mut found = Vec::new();
        let mut refused = None;
        let slots: Vec<Option<usize>> = (0..self.model.columns.len()).map(Some).collect();
        let encoded = encoder.rows(values, &slots, texts, |row, input, text| {
            let column = &self.model.columns[input];
            if self.allows_unknown(&column.kind) {
                found.push((row, UnknownCategory { column: column.name.clone(), text: text.to_string() }));
            } else {
                refused.get_or_insert_with(|| (row, input, self.refusal(&column.kind, text)));
            }
        });
        let refused = match encoded {
            Ok(encoded) if refused.is_none() => return Ok((encoded, found)),
            Ok(_) => refused,
            Err(fault) => refused.or(Some((fault.row, fault.input, fault.problem))),
        };
        let (row, input, problem) = refused.expect("one of both is an error");
        let column = self.layout.shown(self.layout.inputs[input].position);
        Err(Error::data(Location::line(self.path, lines[row]).column(column), problem))
    }

    fn allows_unknown(&self, kind: &ColumnKind) -> bool {
        kind.knows_unknown() && self.allowed.unknown == UnknownPolicy::Allow
    }

    /// The error for an unknown category.
    fn refusal(&self, kind: &ColumnKind, text: &str) -> String {
        format!("unknown category {} in this column; {}", quoted(text), known_categories(kind))
    }
}
