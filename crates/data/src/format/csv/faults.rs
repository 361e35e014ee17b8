//! All that is wrong with a table, found in one pass, with one command that deals with it. Reading stops at the first fault;
//! only then is this looked for.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::are_many;
use super::assumed::Assumed;
use super::delimiter::delimiter;
use super::layout::{Input, Layout, is_missing};
use super::reading::Reading;
use super::rows::{Row, for_each_row};
use crate::DataOptions;
use crate::error::{Error, Result, quoted};
use crate::options::{ColumnChoice, Missing};
use crate::table::{LabelFault, are_too_many_classes};

/// Something that is wrong with a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A word for its kind.
    pub check: &'static str,
    /// What is wrong, and where.
    pub summary: String,
    /// What to do.
    pub advice: &'static str,
}

/// All that is wrong with a table.
#[derive(Debug)]
pub struct Faults {
    /// The faults, by kind.
    pub all: Vec<Fault>,
    /// The options with which the table can be read all the same; none if it must be corrected first.
    pub remedied: Option<DataOptions>,
    /// The command that trains with these options.
    pub command: String,
    /// The number of faults, each column counted.
    count: usize,
    /// Of cells that are no numbers, where there is nothing else: how many, and the column.
    odd: Option<(u64, String)>,
}

/// The longest account, so that it fits a paragraph.
const LONGEST: usize = 800;

impl Faults {
    /// `first`, or all faults of the table if there are more.
    pub(super) fn explain(path: &Path, options: &DataOptions, first: Error) -> Error {
        // A pipe cannot be read again.
        let (Error::Data { place, problem }, true) = (&first, path.is_file()) else { return first };
        let Ok(faults) = Faults::of(path, options) else { return first };
        match &faults.odd {
            _ if faults.count > 1 => Error::data(path, faults.account()),
            Some((count, column)) => {
                let more = if *count > 1 { format!(" (one of {count} such cells)") } else { String::new() };
                let remedy = format!("; correct it, or leave the column out with --ignore {column}");
                Error::data(place.clone(), format!("{problem}{more}{remedy}"))
            }
            None => first,
        }
    }

    /// All that is wrong with a table.
    ///
    /// # Errors
    /// A file that cannot be read at all, and options that name no column of it.
    pub fn of(path: &Path, options: &DataOptions) -> Result<Self> {
        let mut reading = Reading::open(path)?;
        let beginning = reading.beginning();
        let (layout, assumed) = Layout::of(path, beginning, delimiter(path, beginning), options)?;
        reading.settle(layout.delimiter);
        let mut tally = Tally::new(&layout);
        for piece in reading {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => {
                    tally.broken = Some(error.to_string());
                    break;
                }
            };
            for_each_row(path, &piece.text, layout.delimiter, piece.first_line, &mut |row| {
                tally.add(&row, &layout);
                Ok(())
            })?;
        }
        Ok(tally.faults(path, &layout, &assumed, options))
    }

    /// Adds a fault for several columns or one place, if there is any.
    fn push(&mut self, check: &'static str, advice: &'static str, entries: impl IntoIterator<Item = String>) {
        let entries: Vec<_> = entries.into_iter().collect();
        if entries.is_empty() {
            return;
        }
        self.count += entries.len();
        let more = entries.len().saturating_sub(SHOWN);
        let mut summary = entries.into_iter().take(SHOWN).collect::<Vec<_>>().join("; ");
        if more > 0 {
            summary += &format!("; and {more} more columns likewise");
        }
        self.all.push(Fault { check, summary, advice });
    }

    /// All faults in a paragraph.
    fn account(&self) -> String {
        let count = self.count;
        let cure = match &self.remedied {
            Some(_) => format!("Correct the table, or go on all the same: {}", self.command),
            None => "Correct the table".to_string(),
        };
        let mut account = format!("{count} things are wrong with the table");
        for (at, fault) in self.all.iter().enumerate() {
            let entry = format!("{}{}", if at == 0 { ": " } else { "; " }, fault.summary);
            if account.len() + entry.len() + cure.len() > LONGEST {
                account += "; and more";
                break;
            }
            account += &entry;
        }
        format!("{account}. {cure}")
    }
}

/// How often something was seen, and in what line first.
#[derive(Default)]
struct Seen {
    count: u64,
    line: u64,
}

impl Seen {
    fn add(&mut self, line: u64) {
        if self.count == 0 {
            self.line = line;
        }
        self.count += 1;
    }
}

/// What was seen of a column.
#[derive(Default)]
struct Column {
    missing: Seen,
    /// Cells that should be numbers, and the first of them.
    odd: Seen,
    first_odd: String,
    texts: HashSet<Vec<u8>>,
}

/// What was seen of a table.
#[derive(Default)]
struct Tally {
    rows: u64,
    columns: Vec<Column>,
    unlabelled: Seen,
    /// The different labels, with the line in which each stands first.
    labels: Vec<String>,
    label_lines: Vec<u64>,
    known_labels: HashSet<Vec<u8>>,
    /// Rows of another length than the first, and the length of the first of them.
    ragged: Seen,
    first_ragged: usize,
    not_utf8: Seen,
    /// Why the file cannot be read to its end.
    broken: Option<String>,
}

impl Tally {
    fn new(layout: &Layout) -> Self {
        Tally { columns: layout.inputs.iter().map(|_| Column::default()).collect(), ..Tally::default() }
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
        if cell.is_empty() {
            self.unlabelled.add(row.line);
        } else if self.known_labels.insert(cell.to_vec()) {
            self.labels.push(String::from_utf8_lossy(cell).into_owned());
            self.label_lines.push(row.line);
        }
    }

    fn faults(&self, path: &Path, layout: &Layout, assumed: &Assumed, options: &DataOptions) -> Faults {
        let mut faults =
            Faults { all: Vec::new(), remedied: None, command: String::new(), count: 0, odd: None };
        let (ignored, fills) = self.of_columns(layout, assumed, options, &mut faults);
        let lacks_labels = self.unlabelled.count > 0 && !layout.drops_unlabelled;
        let Seen { count, line } = self.unlabelled;
        let column = layout.label.map_or(String::new(), |label| layout.shown(label));
        let summary = format!("{count} row(s) have no label (column {column}), the first in line {line}");
        let advice = "fill them in, or leave the rows out with --missing drop";
        faults.push("missing-labels", advice, lacks_labels.then_some(summary));
        let corrigible = faults.count;
        self.of_file(layout, &column, &mut faults);
        if faults.count != 1 {
            faults.odd = None;
        }
        if corrigible == faults.count && ignored.len() < layout.inputs.len() {
            let missing = match options.missing {
                Missing::Error if fills => Missing::Mean,
                Missing::Error if lacks_labels => Missing::Drop,
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

    /// The faults of the columns. Gives those that had better be left out, and whether there are gaps to fill in the others.
    fn of_columns(
        &self,
        layout: &Layout,
        assumed: &Assumed,
        options: &DataOptions,
        faults: &mut Faults,
    ) -> (BTreeSet<usize>, bool) {
        let (mut ignored, mut with_gaps) = (BTreeSet::new(), Vec::new());
        let (mut lacking, mut many, mut odd, mut dates) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (input, column) in layout.inputs.iter().zip(&self.columns) {
            let (place, rows) = (input.position, self.rows);
            let shown = layout.shown(place);
            if column.missing.count > 0 && options.missing == Missing::Error {
                let Seen { count, line } = column.missing;
                lacking.push(format!("column {shown} lacks {count} value(s), the first in line {line}"));
                // Where most values would be made up, there is nothing to learn from.
                if 2 * count > rows { ignored.extend([place]) } else { with_gaps.push(place) }
            }
            let texts = column.texts.len();
            if are_many(texts, rows as usize) {
                ignored.insert(place);
                many.push(format!(
                    "column {shown} holds {texts} different texts in {rows} rows, so it is no category"
                ));
            }
            if column.odd.count > 0 {
                ignored.insert(place);
                let Seen { count, line } = column.odd;
                let more = if count > 1 { format!(" (one of {count} such cells)") } else { String::new() };
                let cell = quoted(&column.first_odd);
                odd.push(format!("{cell} in line {line}, column {shown}, is not a number{more}"));
                faults.odd = Some((count, layout.choice(place)));
            }
        }
        for (column, date) in &assumed.ambiguous {
            ignored.insert(*column);
            let (date, column) = (quoted(date), layout.shown(*column));
            dates.push(format!(
                "day and month of dates such as {date} in column {column} cannot be told apart"
            ));
        }
        faults.push("missing-values", "fill them in, or say what becomes of them with --missing", lacking);
        faults.push("many-texts", "leave the columns out with --ignore", many);
        faults.push("odd-cells", "correct the cells, or leave the columns out with --ignore", odd);
        faults.push(
            "ambiguous-dates",
            "write them as 2020-12-31, or leave the columns out with --ignore",
            dates,
        );
        let fills = with_gaps.iter().any(|column| !ignored.contains(column));
        (ignored, fills)
    }

    /// The faults that no option can pass over. `label` is the column of the label.
    fn of_file(&self, layout: &Layout, label: &str, faults: &mut Faults) {
        let (Seen { count, line }, cells, width) = (&self.ragged, self.first_ragged, layout.width);
        let ragged =
            format!("{count} row(s) do not have {width} values, the first in line {line} with {cells}");
        let advice = "correct these rows: a delimiter is missing or too many";
        faults.push("ragged-rows", advice, (*count > 0).then_some(ragged));

        let Seen { count, line } = &self.not_utf8;
        let not_utf8 = format!("{count} row(s) are not UTF-8, the first in line {line}");
        faults.push("not-utf-8", "save the file as CSV in UTF-8", (*count > 0).then_some(not_utf8));

        let is_wrong = |(label, _): &(&String, &u64)| LabelFault::of(label, &self.labels).is_some();
        let wrong = self.labels.iter().zip(&self.label_lines).find(is_wrong);
        let wrong =
            wrong.map(|(text, line)| format!("the label {} in line {line} is no class", quoted(text)));
        let advice = "name the column of the labels with --label, or correct it";
        faults.push("no-class", advice, wrong);

        let (different, rows) = (self.labels.len(), self.rows);
        let many =
            format!("column {label} holds {different} different values in {rows} rows, so it is no label");
        faults.push("many-labels", advice, are_too_many_classes(different, rows as usize).then_some(many));
        faults.push("broken", "correct the file", self.broken.clone());
    }
}

impl Column {
    fn add(&mut self, cell: &[u8], line: u64, input: &Input) {
        if is_missing(cell) {
            self.missing.add(line);
        } else if input.is_category {
            if !self.texts.contains(cell) {
                self.texts.insert(cell.to_vec());
            }
        } else if !input.number(cell).is_some_and(f32::is_finite) {
            self.odd.add(line);
            if self.odd.count == 1 {
                self.first_odd = String::from_utf8_lossy(cell).into_owned();
            }
        }
    }
}

/// Columns of a kind of fault that are told one by one.
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
    if options.missing != Missing::Error {
        command += &format!(" --missing {}", options.missing);
    }
    if let Some(ignore) = &options.ignore {
        command += &format!(" --ignore {}", word(ignore));
    }
    command
}
