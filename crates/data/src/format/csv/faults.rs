//! Collects all errors of a table in one pass, with a command that works around them. It runs only after
//! reading stopped at the first error.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::chunk_reader::ChunkReader;
use super::delimiter::delimiter;
use super::layout::{InputColumn, Layout};
use super::notation::date_order;
use super::rows::{Row, for_each_row};
use crate::DataOptions;
use crate::TaskKind;
use crate::cell::is_missing;
use crate::column_choice::ColumnChoice;
use crate::error::{Error, Result, quoted};
use crate::format::options::Missing;
use crate::notation::Notation;
use crate::table::{LabelFault, are_too_many_classes};
use crate::table_files;
use crate::targets::{are_quantities, task_of};

/// An error in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The kind of error.
    pub check: &'static str,
    /// The problem and its location.
    pub summary: String,
    /// The remedy.
    pub advice: &'static str,
}

/// All errors of a table.
#[derive(Debug)]
pub struct Faults {
    /// The errors, by kind.
    pub all: Vec<Fault>,
    /// Options with which the table can be read anyway; `None` if it must be corrected first.
    pub remedied: Option<DataOptions>,
    /// The training command with these options.
    pub command: String,
    /// The number of errors, counted per column.
    count: usize,
    /// The number of non-numeric cells and their column, if there are no other errors.
    non_numeric: Option<(u64, String)>,
}

/// The check of rows without a label.
pub const MISSING_LABELS: &str = "missing-labels";

/// The maximum length of the message.
const MAX_LENGTH: usize = 800;

impl Faults {
    /// Returns `first`, or all errors of the table if there are more.
    pub(super) fn explain(path: &Path, options: &DataOptions, first: Error) -> Error {
        // A pipe cannot be read twice.
        let (Error::Data { location, problem }, true) = (&first, table_files::are_files(path)) else {
            return first;
        };
        let Ok(faults) = Faults::of(path, options) else { return first };
        match &faults.non_numeric {
            _ if faults.count > 1 => Error::data(path, faults.message()),
            Some((count, column)) => {
                let more = if *count > 1 { format!(" (one of {count} such cells)") } else { String::new() };
                let remedy = format!(
                    "; correct it, ignore the column with --ignore {column}, or set its type with --schema"
                );
                Error::data(location.clone(), format!("{problem}{more}{remedy}"))
            }
            None => first,
        }
    }

    /// The text columns among those that were taken as numeric, with the percentage of their cells that are numbers: the ones in
    /// which most cells are no numbers, or all others are codes.
    pub(super) fn text_columns(path: &Path, layout: &Layout) -> Vec<(usize, u64)> {
        let Ok(stats) = TableStats::of(path, layout) else { return Vec::new() };
        let is_text = |(input, column): &(&InputColumn, &ColumnStats)| {
            let others = column.non_numeric.count;
            let is_mostly_text = 2 * others > stats.rows - column.missing.count;
            let has_codes = others >= MIN_CODES && others == column.codes;
            !input.is_text && !input.is_fixed && input.declared.is_none() && (is_mostly_text || has_codes)
        };
        let share = |column: &ColumnStats| {
            let cells = stats.rows - column.missing.count;
            100 * (cells - column.non_numeric.count) / cells.max(1)
        };
        let inputs = layout.inputs.iter().zip(&stats.columns);
        inputs.filter(is_text).map(|(input, column)| (input.position, share(column))).collect()
    }

    /// Collects all errors of a table.
    ///
    /// # Errors
    /// An unreadable file, or options with a column that does not exist.
    pub fn of(path: &Path, options: &DataOptions) -> Result<Self> {
        let reader = ChunkReader::open(path)?;
        let beginning = reader.beginning();
        let (mut layout, _) =
            Layout::of(path, beginning, delimiter(path, beginning), reader.types(), options)?;
        let texts = Faults::text_columns(path, &layout);
        layout.read_as_texts(&texts);
        Ok(TableStats::of(path, &layout)?.faults(path, &layout, options))
    }

    /// Adds an error for several columns or one location, if there is any.
    fn push(&mut self, check: &'static str, advice: &'static str, entries: impl IntoIterator<Item = String>) {
        let entries: Vec<_> = entries.into_iter().collect();
        if entries.is_empty() {
            return;
        }
        self.count += entries.len();
        let more = entries.len().saturating_sub(SHOWN);
        let mut summary = entries.into_iter().take(SHOWN).collect::<Vec<_>>().join("; ");
        if more > 0 {
            summary += &format!("; and {more} more columns");
        }
        self.all.push(Fault { check, summary, advice });
    }

    /// All errors in one message.
    fn message(&self) -> String {
        let count = self.count;
        let remedy = match &self.remedied {
            Some(_) => format!("Correct the table, or work around the problems with: {}", self.command),
            None => "Correct the table".to_string(),
        };
        let mut message = format!("the table has {count} problems");
        for (at, fault) in self.all.iter().enumerate() {
            let entry = format!("{}{}", if at == 0 { ": " } else { "; " }, fault.summary);
            if message.len() + entry.len() + remedy.len() > MAX_LENGTH {
                message += "; and more";
                break;
            }
            message += &entry;
        }
        format!("{message}. {remedy}")
    }
}

/// The number of occurrences and the line of the first.
#[derive(Default)]
struct Occurrences {
    count: u64,
    line: u64,
}

impl Occurrences {
    fn add(&mut self, line: u64) {
        if self.count == 0 {
            self.line = line;
        }
        self.count += 1;
    }
}

/// Statistics of a column.
#[derive(Default)]
struct ColumnStats {
    missing: Occurrences,
    /// Non-numeric cells of a numeric column, and the first of them.
    non_numeric: Occurrences,
    first_non_numeric: String,
    /// How many of the non-numeric cells are codes.
    codes: u64,
    /// The distinct texts of a column of dates.
    texts: HashSet<Vec<u8>>,
}

/// Statistics of a table.
#[derive(Default)]
struct TableStats {
    path: PathBuf,
    rows: u64,
    columns: Vec<ColumnStats>,
    unlabelled: Occurrences,
    /// The distinct labels, with the line of their first occurrence.
    labels: Vec<String>,
    label_lines: Vec<u64>,
    known_labels: HashSet<Vec<u8>>,
    /// Rows with a different number of cells, and the number of the first of them.
    ragged: Occurrences,
    first_ragged: usize,
    not_utf8: Occurrences,
    /// Why the end of the file cannot be read.
    broken: Option<String>,
}

impl TableStats {
    fn of(path: &Path, layout: &Layout) -> Result<Self> {
        let mut reader = ChunkReader::open(path)?;
        reader.set_layout(layout);
        let mut stats = TableStats { path: path.to_path_buf(), ..TableStats::new(layout) };
        for chunk in reader {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    stats.broken = Some(error.to_string());
                    break;
                }
            };
            for_each_row(path, &chunk.text, layout.delimiter, chunk.first_line, &mut |row| {
                stats.add(&row, layout);
                Ok(())
            })?;
        }
        Ok(stats)
    }

    fn new(layout: &Layout) -> Self {
        TableStats {
            columns: layout.inputs.iter().map(|_| ColumnStats::default()).collect(),
            ..TableStats::default()
        }
    }

    fn add(&mut self, row: &Row, layout: &Layout) {
        if layout.header.as_ref().is_some_and(|(_, line)| *line == row.line) {
            return;
        }
        if row.cells.len() != layout.width {
            self.ragged.add(row.line);
            if self.ragged.count == 1 {
                self.first_ragged = row.cells.len();
            }
            return;
        }
        self.rows += 1;
        let is_utf8 = |column: usize| std::str::from_utf8(row.cells[column]).is_ok();
        if !layout.inputs.iter().map(|input| input.position).chain(layout.label).all(is_utf8) {
            self.not_utf8.add(row.line);
            return;
        }
        for (input, column) in layout.inputs.iter().zip(&mut self.columns) {
            column.add(row.cells[input.position], row.line, input);
        }
        let Some(cell) = layout.label.map(|label| row.cells[label]) else { return };
        if cell.is_empty() && !layout.allows_no_label {
            self.unlabelled.add(row.line);
        } else if self.known_labels.insert(cell.to_vec()) {
            self.labels.push(String::from_utf8_lossy(cell).into_owned());
            self.label_lines.push(row.line);
        }
    }

    /// The number of occurrences and the line of the first, for a message.
    fn shown(&self, of: &Occurrences) -> (u64, String) {
        (of.count, table_files::shown_line(&self.path, of.line))
    }

    fn faults(&self, path: &Path, layout: &Layout, options: &DataOptions) -> Faults {
        let mut faults =
            Faults { all: Vec::new(), remedied: None, command: String::new(), count: 0, non_numeric: None };
        let (ignored, fills) = self.column_faults(layout, options, &mut faults);
        let has_missing_labels = self.unlabelled.count > 0 && !layout.drops_unlabelled;
        let (count, line) = self.shown(&self.unlabelled);
        let column = layout.label.map_or(String::new(), |label| layout.shown(label));
        let summary = format!("{count} row(s) have no label (column {column}), the first in line {line}");
        let advice = "fill them in, or drop these rows with --missing value";
        faults.push(MISSING_LABELS, advice, has_missing_labels.then_some(summary));
        let avoidable = faults.count;
        self.file_faults(layout, &column, options, &mut faults);
        if faults.count != 1 {
            faults.non_numeric = None;
        }
        if avoidable == faults.count && ignored.len() < layout.inputs.len() {
            let missing = match options.missing {
                // It also drops rows without a label.
                Missing::Error if fills || has_missing_labels => Missing::Value,
                own => own,
            };
            let own = options.ignore.iter().cloned();
            let ignore: Vec<String> =
                own.chain(ignored.iter().map(|column| layout.choice(*column))).collect();
            let ignore = (!ignore.is_empty()).then(|| ignore.join(","));
            let remedied = DataOptions { missing, ignore, ..options.clone() };
            faults.command = command(path, &remedied);
            faults.remedied = Some(remedied);
        }
        faults
    }

    /// Adds the errors of the columns. Returns the columns to ignore, and whether missing values in others
    /// must be filled.
    fn column_faults(
        &self,
        layout: &Layout,
        options: &DataOptions,
        faults: &mut Faults,
    ) -> (BTreeSet<usize>, bool) {
        let (mut ignored, mut fillable) = (BTreeSet::new(), Vec::new());
        let (mut missing_values, mut non_numeric, mut dates) = (Vec::new(), Vec::new(), Vec::new());
        for (input, column) in layout.inputs.iter().zip(&self.columns) {
            let (position, rows) = (input.position, self.rows);
            let shown = layout.shown(position);
            if column.missing.count > 0 && options.missing == Missing::Error {
                let (count, line) = self.shown(&column.missing);
                missing_values
                    .push(format!("column {shown} has {count} missing value(s), the first in line {line}"));
                // If most values would be filled in, the column is useless.
                if 2 * count > rows { ignored.extend([position]) } else { fillable.push(position) }
            }
            let texts = column.texts.iter().filter_map(|text| std::str::from_utf8(text).ok());
            if let Some((_, Some(date))) = date_order(texts) {
                ignored.insert(position);
                let date = quoted(&date);
                dates.push(format!("ambiguous day and month in dates such as {date} in column {shown}"));
            }
            if column.non_numeric.count > 0 {
                ignored.insert(position);
                let (count, line) = self.shown(&column.non_numeric);
                let more = if count > 1 { format!(" (one of {count} such cells)") } else { String::new() };
                let cell = quoted(&column.first_non_numeric);
                non_numeric.push(format!("{cell} in line {line}, column {shown}, is not a number{more}"));
                faults.non_numeric = Some((count, layout.choice(position)));
            }
        }
        faults.push("missing-values", "fill them in, or handle them with --missing", missing_values);
        faults.push("odd-cells", "correct the cells, or ignore the columns with --ignore", non_numeric);
        faults.push(
            "ambiguous-dates",
            "write them as 2020-12-31, or ignore the columns with --ignore",
            dates,
        );
        let fills = fillable.iter().any(|column| !ignored.contains(column));
        (ignored, fills)
    }

    /// Adds the errors that no option can work around. `label` is the label column.
    fn file_faults(&self, layout: &Layout, label: &str, options: &DataOptions, faults: &mut Faults) {
        let ((count, line), cells, width) = (self.shown(&self.ragged), self.first_ragged, layout.width);
        let ragged =
            format!("{count} row(s) do not have {width} values, the first in line {line} with {cells}");
        let advice = "correct these rows: a delimiter is missing or extra";
        faults.push("ragged-rows", advice, (count > 0).then_some(ragged));

        let (count, line) = self.shown(&self.not_utf8);
        let not_utf8 = format!("{count} row(s) are not UTF-8, the first in line {line}");
        faults.push("not-utf-8", "save the file as CSV in UTF-8", (count > 0).then_some(not_utf8));

        faults.push("broken", "correct the file", self.broken.clone());
        let choice = options.targets().unwrap_or_default();
        if task_of(choice, &self.labels, self.rows as usize) != TaskKind::Classification {
            return;
        }
        let advice = "select the label column with --label, or correct it";
        if are_quantities(&self.labels, self.rows as usize) {
            let advice = "select the label column with --label, or predict the number with --task regression";
            let quantities =
                format!("column {label} has quantities, not classes; --task regression predicts the number");
            faults.push("no-class", advice, Some(quantities));
            return;
        }
        let is_invalid = |(label, _): &(&String, &u64)| LabelFault::of(label, &self.labels).is_some();
        let invalid_label = self.labels.iter().zip(&self.label_lines).find(is_invalid);
        let invalid_label = invalid_label.map(|(text, line)| {
            let line = table_files::shown_line(&self.path, *line);
            format!("the label {} in line {line} is not a class", quoted(text))
        });
        faults.push("no-class", advice, invalid_label);

        let (different, rows) = (self.labels.len(), self.rows);
        let many = format!(
            "column {label} has {different} different values in {rows} rows, so it is not a label column"
        );
        faults.push("many-labels", advice, are_too_many_classes(different, rows as usize).then_some(many));
    }
}

impl ColumnStats {
    fn add(&mut self, cell: &[u8], line: u64, input: &InputColumn) {
        if is_missing(cell) {
            self.missing.add(line);
        } else if input.is_text {
            if input.notation != Notation::Plain && !self.texts.contains(cell) {
                self.texts.insert(cell.to_vec());
            }
        } else if input.hash_rows.is_none() && !input.number(cell).is_some_and(f32::is_finite) {
            self.non_numeric.add(line);
            self.codes += u64::from(is_code(cell));
            if self.non_numeric.count == 1 {
                self.first_non_numeric = String::from_utf8_lossy(cell).into_owned();
            }
        }
    }
}

/// The fewest codes in a column of categories of which most are numbers. A typing error would look like less.
const MIN_CODES: u64 = 5;

/// Whether a cell is a number with a letter: `V27`, `E909.1` or `136A`, but not a number with a unit such as `10k`.
fn is_code(cell: &[u8]) -> bool {
    let digits = match cell {
        [first, digits @ ..] if first.is_ascii_alphabetic() => digits,
        [digits @ .., b'A'..=b'F'] => digits,
        _ => return false,
    };
    let parts = digits.split(|byte| *byte == b'.');
    parts.clone().count() <= 2
        && parts.into_iter().all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

/// The maximum number of columns listed per kind of error.
const SHOWN: usize = 3;

/// The command that trains on a table with these options.
fn command(path: &Path, options: &DataOptions) -> String {
    let word = |text: &str| {
        let is_plain = |c: char| c.is_alphanumeric() || "-_./,=:+@%".contains(c);
        let is_bare = !text.is_empty() && text.chars().all(is_plain);
        if is_bare { text.to_string() } else { format!("'{}'", text.replace('\'', r"'\''")) }
    };
    let mut command = format!("cresset train --data {}", word(&path.to_string_lossy()));
    if options.format != "auto" {
        command += &format!(" --format {}", options.format);
    }
    if options.label != ColumnChoice::Last {
        command += &format!(" --label {}", word(&options.label.to_string()));
    }
    if let Some(group) = &options.group {
        command += &format!(" --group {}", word(&group.to_string()));
    }
    if options.missing != Missing::Value {
        command += &format!(" --missing {}", options.missing);
    }
    if let Some(keep) = &options.keep {
        command += &format!(" --keep {}", word(keep));
    }
    if let Some(ignore) = &options.ignore {
        command += &format!(" --ignore {}", word(ignore));
    }
    command
}
