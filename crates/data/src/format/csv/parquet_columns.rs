//! Stores a table in Apache Parquet, column by column, without its rows as text.

use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use parquet::file::reader::FileReader;

use super::chunk_reader::SAMPLE;
use super::inferred::Inferred;
use super::layout::{InputColumn, Layout};
use super::parquet::{self as by_row, Schema};
use super::parquet_cells::{Cell, CellReader};
use super::parquet_file::{damaged, guarded, open, sha256};
use super::streamed::columns::{StoredColumn, number_of_words};
use super::streamed::pass::Pass;
use super::streamed::texts::TextInputs;
use crate::cell::is_missing;
use crate::error::{Error, Location, Result, quoted};
use crate::format::options::{DataOptions, Missing};
use crate::table_files;

/// The rows that are read at once, …
const AT_ONCE: usize = 1 << 14;
/// … and those of texts, which may be long.
const TEXTS_AT_ONCE: usize = 1 << 9;

/// The files of a table.
pub(super) struct ParquetTable {
    path: PathBuf,
    files: Vec<PathBuf>,
    pub layout: Layout,
    pub inferred: Inferred,
    /// The inputs, if they are texts.
    pub texts: Option<TextInputs>,
}

impl ParquetTable {
    /// Infers the layout of a table from the first rows of its first file.
    ///
    /// # Errors
    /// A damaged file, or options with a column that does not exist.
    pub fn open(path: &Path, files: &[PathBuf], options: &DataOptions) -> Result<Self> {
        let (beginning, mut layout, inferred) = first(path, &files[0], options)?;
        let texts = TextInputs::keep(path, &beginning, &mut layout, options);
        Ok(ParquetTable { path: path.to_path_buf(), files: files.to_vec(), layout, inferred, texts })
    }

    /// The number of rows of a table, and the text and layout of its first rows.
    ///
    /// # Errors
    /// As for [`ParquetTable::open`].
    pub fn beginning(
        path: &Path,
        files: &[PathBuf],
        options: &DataOptions,
    ) -> Result<(u64, Vec<u8>, Layout)> {
        let mut rows = 0;
        for file in files {
            rows += open(file)?.metadata().file_metadata().num_rows().max(0) as u64;
        }
        let (text, layout, _) = first(path, &files[0], options)?;
        Ok((rows, text, layout))
    }

    /// Stores all rows. Returns the SHA-256 of the files.
    ///
    /// # Errors
    /// A damaged file, cells that their columns cannot have, and a full disk.
    pub fn store(&self, pass: &mut Pass) -> Result<String> {
        std::thread::scope(|scope| {
            let hash = scope.spawn(|| sha256(&self.files));
            for (index, file) in self.files.iter().enumerate() {
                guarded(file, || self.store_file(index, file, pass))?;
            }
            hash.join().expect("hashing does not panic")
        })
    }

    fn store_file(&self, index: usize, file: &Path, pass: &mut Pass) -> Result<()> {
        let damaged = |error: ParquetError| damaged(file, &error);
        let reader = open(file)?;
        let schema = Schema::of(file, &reader)?;
        self.check_names(file, &schema.names)?;
        let columns = reader.metadata().file_metadata().schema_descr_ptr();
        let mut number = 1;
        for group in 0..reader.num_row_groups() {
            let rows = reader.get_row_group(group).map_err(damaged)?;
            let cells = |position: usize| {
                let reader = rows.get_column_reader(position).map_err(damaged)?;
                Ok(CellReader { reader, column: columns.column(position), is_nanos: schema.nanos[position] })
            };
            let mut inputs: Vec<CellReader> =
                self.layout.inputs.iter().map(|input| cells(input.position)).collect::<Result<_>>()?;
            let label = self.layout.label.expect("a table that is streamed has one label column");
            let mut labels = cells(label)?;
            let mut left = rows.metadata().num_rows() as usize;
            while left > 0 {
                let count = left.min(if self.texts.is_some() { TEXTS_AT_ONCE } else { AT_ONCE });
                let part = Part { file, first: number, index, count };
                self.store_part(&part, &mut inputs, &mut labels, pass)?;
                (number, left) = (number + count as u64, left - count);
            }
        }
        Ok(())
    }

    fn check_names(&self, file: &Path, names: &[String]) -> Result<()> {
        let first = self.layout.header.as_ref().map_or(&[][..], |(names, _)| names);
        if names == first {
            return Ok(());
        }
        let differing = names.iter().zip(first).find(|(own, first)| own != first);
        let difference = match differing {
            Some((own, first)) => format!("it has {} where that has {}", quoted(own), quoted(first)),
            None => format!("it has {} column(s), and that has {}", names.len(), first.len()),
        };
        let problem = format!(
            "the columns differ from those of {}, which is a part of the same table: {difference}",
            crate::terminal::path(&self.files[0])
        );
        Err(Error::data(file, problem))
    }

    fn store_part(
        &self,
        part: &Part,
        inputs: &mut [CellReader],
        labels: &mut CellReader,
        pass: &mut Pass,
    ) -> Result<()> {
        let drops = self.layout.missing == Missing::Drop;
        let mut columns = read_columns(part, &self.layout.inputs, inputs, &mut pass.columns, drops)?;
        let first_fault = columns.iter().enumerate().filter_map(|(input, cells)| {
            let (row, problem) = cells.fault.as_ref()?;
            Some((*row, self.layout.inputs[input].position, problem))
        });
        let fault = first_fault.min_by_key(|(row, position, _)| (*row, *position));
        let label = self.labels(part, labels, pass.layout, fault.as_ref().map(|(row, ..)| *row))?;
        if let Some((row, position, problem)) = fault {
            let location = part.location(&self.path, row).column(self.layout.shown(position));
            return Err(Error::data(location, problem.clone()));
        }
        let mut keeps: Vec<bool> = label.iter().map(Option::is_some).collect();
        if drops {
            for cells in &columns {
                keeps.iter_mut().zip(&cells.values).for_each(|(keeps, value)| *keeps &= !value.is_nan());
            }
        }
        let rows: Vec<(u64, u64)> = (0..part.count)
            .filter(|row| keeps[*row])
            .map(|row| (pass.seen + row as u64, part.line(row)))
            .collect();
        if rows.len() < part.count {
            for cells in &mut columns {
                retain(&mut cells.values, &keeps);
                retain(&mut cells.texts, &keeps);
            }
        }
        let lines: Vec<u64> = rows.iter().map(|(_, line)| *line).collect();
        let texts: Vec<Vec<String>> =
            columns.iter_mut().map(|cells| std::mem::take(&mut cells.texts)).collect();
        let mut stored: Vec<Vec<f32>> = columns.into_iter().map(|cells| cells.values).collect();
        in_threads(pass.columns.iter_mut().zip(&stored).collect(), |(column, values)| {
            column.count(values, lines.iter().copied());
        });
        let kept =
            || label.iter().zip(&keeps).filter(|(_, keeps)| **keeps).filter_map(|(label, _)| label.as_ref());
        let (mut numbers, mut values) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for (text, line) in kept().zip(&lines) {
            let (number, value) =
                pass.labels.add(text.as_bytes(), || (*line, Location::line(&self.path, *line)))?;
            numbers.push(number);
            values.push(value);
        }
        stored.extend([numbers, values]);
        pass.writer.push(&stored, &texts, &rows)?;
        pass.seen += part.count as u64;
        pass.kept += rows.len() as u64;
        Ok(())
    }

    /// The label of each row; `None` for a row that is dropped. Labels after the row of a fault of another cell are not checked.
    fn labels(
        &self,
        part: &Part,
        labels: &mut CellReader,
        layout: &Layout,
        fault: Option<usize>,
    ) -> Result<Vec<Option<String>>> {
        let column = layout.label.expect("a table that is streamed has one label column");
        let mut found: Vec<Option<String>> = Vec::with_capacity(part.count);
        let mut problem: Option<(usize, String)> = None;
        labels.read(part.file, part.count, true, &mut |row, cell| {
            let text = match cell {
                Cell::Text(text) => text,
                Cell::Missing | Cell::Number(_) => "",
                Cell::Fault(fault) => {
                    problem.get_or_insert((row, fault));
                    ""
                }
            };
            let drops = layout.missing == Missing::Drop && is_missing(text.as_bytes())
                || text.is_empty() && layout.drops_unlabelled;
            if text.is_empty() && !drops {
                problem
                    .get_or_insert((row, format!("the row has no label (column {} is empty)", column + 1)));
            }
            found.push((!drops).then(|| text.to_string()));
        })?;
        match problem.filter(|(row, _)| fault.is_none_or(|fault| *row < fault)) {
            Some((row, problem)) => Err(Error::data(part.location(&self.path, row), problem)),
            None => Ok(found),
        }
    }
}

/// The text of the first rows of a file, and what is inferred from them.
fn first(path: &Path, file: &Path, options: &DataOptions) -> Result<(Vec<u8>, Layout, Inferred)> {
    let reader = open(file)?;
    let (text, types) = guarded(file, || by_row::first_rows(file, &reader, SAMPLE))?;
    let (layout, inferred) = Layout::of(path, &text, b',', &types, options)?;
    Ok((text, layout, inferred))
}

/// Rows that are read at once.
struct Part<'a> {
    file: &'a Path,
    /// The index of the file.
    index: usize,
    /// The number of the first row in the file, from 1.
    first: u64,
    count: usize,
}

impl Part<'_> {
    fn line(&self, row: usize) -> u64 {
        table_files::line_of(self.index, self.first + row as u64)
    }

    fn location(&self, path: &Path, row: usize) -> Location {
        Location::line(path, self.line(row))
    }
}

/// Removes the items of rows that are dropped.
fn retain<T>(items: &mut Vec<T>, keeps: &[bool]) {
    let mut keeps = keeps.iter();
    items.retain(|_| keeps.next().is_some_and(|keeps| *keeps));
}

/// The values of a column of a part, and the first cell that it cannot have.
struct ReadCells {
    values: Vec<f32>,
    /// The texts of a column of which they are stored.
    texts: Vec<String>,
    fault: Option<(usize, String)>,
}

/// Reads the input columns in threads.
fn read_columns(
    part: &Part,
    inputs: &[InputColumn],
    readers: &mut [CellReader],
    columns: &mut [StoredColumn],
    drops: bool,
) -> Result<Vec<ReadCells>> {
    let mut read: Vec<Option<Result<ReadCells>>> = inputs.iter().map(|_| None).collect();
    let jobs = inputs.iter().zip(readers).zip(columns).zip(&mut read).collect();
    in_threads(jobs, |(((input, reader), column), read)| {
        *read = Some(read_column(part, input, reader, column, drops))
    });
    read.into_iter().map(|read| read.expect("every column was read")).collect()
}

fn read_column(
    part: &Part,
    input: &InputColumn,
    reader: &mut CellReader,
    column: &mut StoredColumn,
    drops: bool,
) -> Result<ReadCells> {
    let mut cells = ReadCells { values: Vec::with_capacity(part.count), texts: Vec::new(), fault: None };
    reader.read(part.file, part.count, input.takes_text(), &mut |row, cell| {
        if let StoredColumn::Tokens = column {
            cells.texts.push(match &cell {
                Cell::Text(text) => text.to_string(),
                _ => String::new(),
            });
        }
        let value = match cell {
            Cell::Number(number) if number.is_finite() => Ok(Some(number)),
            Cell::Number(number) => input.value(number.to_string().as_bytes(), |_| None, drops),
            Cell::Missing => input.value(b"", |_| None, drops),
            Cell::Fault(problem) => Err(problem),
            Cell::Text(text) => match column {
                StoredColumn::Text(texts) => match texts.known(text.as_bytes()) {
                    Some(known) => Ok(Some(known)),
                    None => input.value(text.as_bytes(), |text| texts.value(text), drops),
                },
                StoredColumn::Tokens => input.value(text.as_bytes(), number_of_words, drops),
                StoredColumn::Number(_) => input.value(text.as_bytes(), |_| None, drops),
            },
        };
        cells.values.push(match value {
            Ok(value) => value.unwrap_or(f32::NAN),
            Err(problem) => {
                cells.fault.get_or_insert((row, problem));
                f32::NAN
            }
        });
    })?;
    Ok(cells)
}

/// Calls `work` with each item, on all cores.
fn in_threads<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut shares: Vec<Vec<T>> = (0..cores).map(|_| Vec::new()).collect();
    // Neighbors are often similar, so each thread gets some of each kind.
    items.into_iter().enumerate().for_each(|(at, item)| shares[at % cores].push(item));
    std::thread::scope(|scope| {
        for share in shares {
            scope.spawn(|| share.into_iter().for_each(&work));
        }
    });
}
