//! Comma-separated values: a row an example, numbers first, the label last. A header is recognised, and not needed.

use std::path::Path;

use csv::{Position, ReaderBuilder, StringRecord, Trim};

use super::{Format, has_extension};
use crate::data::options::DataOptions;
use crate::data::{Dataset, InputShape, Table, sha256};
use crate::error::{Error, Place, Result, quoted};

/// The format.
pub struct Csv;

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn summary(&self) -> &'static str {
        "a table as text (.csv)"
    }

    fn recognises(&self, path: &Path) -> bool {
        has_extension(path, &["csv"])
    }

    fn read(&self, path: &Path, _options: &DataOptions) -> Result<Dataset> {
        let table = read(path)?;
        let shape = InputShape(vec![table.width() as i64]);
        table.into_dataset(shape, None)
    }
}

/// What stands behind the inputs of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// A label stands last in every row.
    Last,
    /// Rows have this many inputs, and may have a label behind them.
    Perhaps {
        /// The number of inputs a row.
        inputs: usize,
    },
}

/// Reads a file whose rows end in a label.
pub fn read(path: &Path) -> Result<Table> {
    read_as(path, Labels::Last)
}

/// Reads a file.
///
/// # Errors
/// A file that cannot be read or holds no rows; a row of another length than the first; a cell that is empty, no number
/// or not finite. Each names line and column.
pub fn read_as(path: &Path, labels: Labels) -> Result<Table> {
    let bytes = std::fs::read(path).map_err(|e| Error::data(path, format!("cannot read the file: {e}")))?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    refuse_nul(path, text)?;
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(text);
    let records = reader.records().map(|record| match record {
        Ok(record) => Ok(with_true_line(record, text)),
        Err(error) => Err(malformed(path, text, &error)),
    });
    let mut records = records.peekable();

    let first = match records.peek() {
        Some(Ok(first)) => first.clone(),
        Some(Err(_)) => return Err(records.next().expect("it was peeked at").expect_err("it was an error")),
        None => {
            return Err(Error::data(
                path,
                "the file is empty; it needs a row an example, with the label last",
            ));
        }
    };
    let has_label = row_has_label(path, &first, labels)?;
    let inputs = first.len() - usize::from(has_label);
    let header = is_header(&first, inputs).then(|| first.iter().map(str::to_string).collect::<Vec<_>>());
    if header.is_some() {
        records.next();
    }

    let mut table = Table {
        path: path.to_path_buf(),
        header,
        values: Vec::new(),
        labels: Vec::new(),
        lines: Vec::new(),
        sha256: sha256(&bytes),
    };
    for record in records {
        append(&mut table, &record?, first.len(), inputs)?;
    }
    if table.lines.is_empty() {
        let problem = format!("the file holds a header and no rows{}", swallowed(&first));
        return Err(Error::data(path, problem));
    }
    Ok(table)
}

fn refuse_nul(path: &Path, text: &[u8]) -> Result<()> {
    let Some(at) = text.iter().position(|byte| *byte == 0) else {
        return Ok(());
    };
    let line = 1 + text[..at].iter().filter(|byte| **byte == b'\n').count();
    let problem = "a NUL byte stands here, so the file is damaged or in an encoding such as UTF-16; save it as CSV in UTF-8";
    Err(Error::data(Place::line(path, line as u64), problem))
}

fn row_has_label(path: &Path, first: &StringRecord, labels: Labels) -> Result<bool> {
    let place = || Place::line(path, line_of(first));
    match labels {
        Labels::Last if first.len() < 2 => {
            let problem = format!(
                "a row needs at least one number and a label, separated by commas; this one has a single value{}",
                swallowed(first)
            );
            Err(Error::data(place(), problem))
        }
        Labels::Last => Ok(true),
        Labels::Perhaps { inputs } if first.len() == inputs => Ok(false),
        Labels::Perhaps { inputs } if first.len() == inputs + 1 => Ok(true),
        Labels::Perhaps { inputs } => {
            let problem = format!(
                "the row has {} value(s), but the model takes {inputs} (and may be given a label behind them){}",
                first.len(),
                swallowed(first)
            );
            Err(Error::data(place(), problem))
        }
    }
}

/// A header has a name where a row has a number.
fn is_header(first: &StringRecord, inputs: usize) -> bool {
    first.iter().take(inputs).any(|cell| !cell.is_empty() && cell.parse::<f32>().is_err())
        && first.iter().take(inputs).all(|cell| cell.parse::<f32>().is_err())
}

fn append(table: &mut Table, record: &StringRecord, columns: usize, inputs: usize) -> Result<()> {
    let place = Place::line(&table.path, line_of(record));
    if record.len() != columns {
        let first = if table.header.is_some() { "the header" } else { "the first row" };
        let problem =
            format!("the row has {} value(s), but {first} has {columns}{}", record.len(), swallowed(record));
        return Err(Error::data(place, problem));
    }
    for (column, cell) in record.iter().take(inputs).enumerate() {
        let value = number(cell).map_err(|problem| {
            let problem = format!("{problem}{}", swallowed(record));
            Error::data(place.clone().column(table.column_name(column)), problem)
        })?;
        table.values.push(value);
    }
    if inputs < columns {
        let label = &record[inputs];
        if label.is_empty() {
            return Err(Error::data(place, "the row has no label (its last value is empty)"));
        }
        if label.contains('\n') {
            let problem = format!("the label {} has more than one line{}", quoted(label), swallowed(record));
            return Err(Error::data(place, problem));
        }
        table.labels.push(label.to_string());
    }
    table.lines.push(place.line.expect("a row's place has a line"));
    Ok(())
}

fn number(cell: &str) -> std::result::Result<f32, String> {
    match cell.parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ if cell.is_empty() => Err("the value is missing; fill it in or leave the row out".to_string()),
        Ok(_) => Err(format!("{} is not a finite number; fill it in or leave the row out", quoted(cell))),
        Err(_) => Err(format!("{} is not a number", quoted(cell))),
    }
}

/// A hint for a row that goes over several lines, which hardly anyone means.
fn swallowed(record: &StringRecord) -> &'static str {
    if record.iter().any(|cell| cell.contains('\n')) {
        "; a quotation mark is opened in this row and not closed, so the lines below it belong to it"
    } else {
        ""
    }
}

fn line_of(record: &StringRecord) -> u64 {
    record.position().map_or(1, Position::line)
}

fn with_true_line(mut record: StringRecord, text: &[u8]) -> StringRecord {
    if let Some(mut position) = record.position().cloned() {
        position.set_line(true_line(&position, text));
        record.set_position(Some(position));
    }
    record
}

/// The reader notes the position of a row before it passes over the blank lines above it.
fn true_line(position: &Position, text: &[u8]) -> u64 {
    let rest = text.get(position.byte() as usize..).unwrap_or_default();
    let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + blank.filter(|byte| **byte == b'\n').count() as u64
}

fn malformed(path: &Path, text: &[u8], error: &csv::Error) -> Error {
    let place = error.position().map_or(path.into(), |position| Place::line(path, true_line(position, text)));
    match error.kind() {
        csv::ErrorKind::Utf8 { err, .. } => Error::data(
            place.column((err.field() + 1).to_string()),
            "the text is not UTF-8; save the file as CSV in UTF-8",
        ),
        _ => Error::data(place, format!("this is no CSV: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: impl AsRef<[u8]>, labels: Labels) -> Result<Table> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        read_as(&path, labels)
    }

    fn problem(text: impl AsRef<[u8]>) -> String {
        let text = parse(text, Labels::Last).unwrap_err().to_string();
        text.split_once("a.csv").unwrap().1.to_string()
    }

    #[test]
    fn a_header_is_recognised_and_not_needed() {
        let with = parse("x,y,kind\n1,2,a\n3,4,b\n", Labels::Last).unwrap();
        let without = parse("1,2,a\n3,4,b\n", Labels::Last).unwrap();
        assert_eq!(with.values, without.values);
        assert_eq!(with.labels, ["a", "b"]);
        assert_eq!((with.lines, without.lines), (vec![2, 3], vec![1, 2]));
    }

    #[test]
    fn a_byte_order_mark_spaces_and_windows_line_ends_do_no_harm() {
        let table = parse("\u{feff}1, 2 ,a\r\n3,4, b\r\n", Labels::Last).unwrap();
        assert_eq!((table.values, table.labels), (vec![1., 2., 3., 4.], vec!["a".into(), "b".into()]));
    }

    #[test]
    fn faults_name_line_and_column() {
        assert_eq!(problem("1,2,a\n3,x,b\n"), ", line 2, column 2: `x` is not a number");
        assert_eq!(
            problem("p,q,k\n1,2,a\n3,,b\n"),
            ", line 3, column 2 (q): the value is missing; fill it in or leave the row out"
        );
        assert!(problem("1,2,a\n3,NaN,b\n").starts_with(", line 2, column 2: `NaN` is not a finite number"));
        assert!(
            problem("1,2,a\n3,1e99,b\n").starts_with(", line 2, column 2: `1e99` is not a finite number")
        );
        assert_eq!(problem("1,2,a\n3,b\n"), ", line 2: the row has 2 value(s), but the first row has 3");
        assert_eq!(problem("1,2,a\n3,4,\n"), ", line 2: the row has no label (its last value is empty)");
        assert!(problem("").starts_with(": the file is empty"));
        assert!(problem("x,kind\n").starts_with(": the file holds a header and no rows"));
        assert!(problem(b"1,2,a\n3,\xff,b\n").starts_with(", line 2, column 2: the text is not UTF-8"));
        assert!(problem("1\n2\n").contains("single value"));
        assert!(problem(b"1,2,a\n3\0,4,b\n").starts_with(", line 2: a NUL byte stands here"));
    }

    #[test]
    fn blank_lines_and_windows_line_ends_are_counted() {
        assert_eq!(problem("1,2,a\n\n\n3,x,b\n"), ", line 4, column 2: `x` is not a number");
        assert_eq!(problem("\r\n1,2,a\r\n3,4,b\r\n\r\n3,x,b\r\n"), ", line 5, column 2: `x` is not a number");
        assert!(problem(b"1,2,a\n\n3,4,\xff\n").starts_with(", line 3, column 3: the text is not UTF-8"));
        assert_eq!(parse("\n\nx,k\n\n1,a\r\n\r\n\r\n2,b", Labels::Last).unwrap().lines, [5, 8]);
    }

    #[test]
    fn a_quotation_mark_that_is_not_closed_swallows_no_rows_in_silence() {
        for (text, expected) in [
            (
                "1,2,a\n3,4,\"b\n5,6,a\n7,8,b\n",
                ", line 2: the label `b\\n5,6,a\\n7,8,b` has more than one line",
            ),
            ("1,2,a\n3,\"4,b\n5,6,a\n", ", line 2: the row has 2 value(s)"),
            ("\"1,2,a\n3,4,b\n", ", line 1: a row needs at least one number"),
            ("x,y,\"k\n1,2,a\n", ": the file holds a header and no rows"),
            ("1,2,a\n\"3\n,\",4,b\n", ", line 2, column 1: `3\\n,` is not a number"),
        ] {
            let problem = problem(text);
            assert!(problem.starts_with(expected) && problem.contains("quotation mark"), "{problem}");
        }
    }

    #[test]
    fn a_first_row_with_one_bad_cell_is_no_header() {
        assert_eq!(problem("1,oops,a\n3,4,b\n"), ", line 1, column 2: `oops` is not a number");
    }

    #[test]
    fn labels_are_optional_where_the_number_of_inputs_is_known() {
        let labels = Labels::Perhaps { inputs: 2 };
        assert!(parse("1,2\n", labels).unwrap().labels.is_empty());
        assert_eq!(parse("1,2,a\n", labels).unwrap().labels, ["a"]);
        assert!(
            parse("1\n", labels).unwrap_err().to_string().contains("has 1 value(s), but the model takes 2")
        );
    }

    proptest! {
        #[test]
        fn numbers_and_labels_survive_the_file(
            rows in prop::collection::vec((prop::collection::vec(-1e30f32..1e30, 3), "[a-z0-9 ,\"]{1,8}"), 1..20)
        ) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            let mut labels = Vec::new();
            for (values, label) in &rows {
                // What surrounds a cell is trimmed, so an expected label is trimmed too; an empty one is an error.
                let label = if label.trim().is_empty() { "blank" } else { label.trim() };
                labels.push(label.to_string());
                let mut cells: Vec<_> = values.iter().map(f32::to_string).collect();
                cells.push(label.to_string());
                writer.write_record(&cells).unwrap();
            }
            let table = parse(writer.into_inner().unwrap(), Labels::Last).unwrap();
            prop_assert_eq!(table.values, rows.iter().flat_map(|(values, _)| values.clone()).collect::<Vec<_>>());
            prop_assert_eq!(table.labels, labels);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = parse(bytes, Labels::Last);
        }
    }
}
