//! The cells of a column of a Parquet file.

use std::path::Path;

use parquet::basic::ConvertedType;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray};
use parquet::record::Field;
use parquet::schema::types::ColumnDescPtr;

use super::parquet as by_row;
use super::parquet_file::damaged;
use super::rows::{NOT_UTF8, trim};
use crate::error::{Error, Result, quoted};

/// A cell.
pub(super) enum Cell<'a> {
    Missing,
    Number(f32),
    Text(&'a str),
    /// What is wrong with it.
    Fault(String),
}

/// Reads the cells of a column of a row group.
pub(super) struct CellReader {
    pub reader: ColumnReader,
    pub column: ColumnDescPtr,
    /// Whether whole numbers are times in nanoseconds.
    pub is_nanos: bool,
}

impl CellReader {
    /// Calls `take` with the cells of the next `count` rows: texts, or numbers where the file has numbers and no texts are wanted.
    ///
    /// # Errors
    /// A damaged file.
    pub fn read(
        &mut self,
        file: &Path,
        count: usize,
        wants_text: bool,
        take: &mut dyn FnMut(usize, Cell),
    ) -> Result<()> {
        let CellReader { reader, column, is_nanos } = self;
        let (levels, is_nanos) = (column.max_def_level(), *is_nanos);
        let general = |field: Field, row: usize, take: &mut dyn FnMut(usize, Cell)| match by_row::cell(
            &field, is_nanos,
        ) {
            Ok((text, _)) => normalized(&text, |text| take(row, text)),
            Err(problem) => take(row, Cell::Fault(problem)),
        };
        let is_whole = !wants_text
            && !is_nanos
            && matches!(
                column.converted_type(),
                ConvertedType::NONE | ConvertedType::INT_32 | ConvertedType::INT_64
            );
        let is_utf8 = column.converted_type() == ConvertedType::UTF8;
        let bytes = |value: ByteArray, row: usize, take: &mut dyn FnMut(usize, Cell)| {
            if is_utf8 && let Ok(text) = std::str::from_utf8(value.data()) {
                return normalized(text, |text| take(row, text));
            }
            match Field::convert_byte_array(column, value) {
                Ok(field) => general(field, row, take),
                Err(_) => take(row, Cell::Fault(NOT_UTF8.to_string())),
            }
        };
        let read = match reader {
            ColumnReader::BoolColumnReader(reader) => {
                each(reader, levels, count, take, |value, row, take| {
                    general(Field::convert_bool(column, *value), row, take);
                })
            }
            ColumnReader::Int32ColumnReader(reader) => {
                each(reader, levels, count, take, |value, row, take| match is_whole {
                    true => take(row, Cell::Number(*value as f32)),
                    false => general(Field::convert_int32(column, *value), row, take),
                })
            }
            ColumnReader::Int64ColumnReader(reader) => {
                each(reader, levels, count, take, |value, row, take| match is_whole {
                    true => take(row, Cell::Number(*value as f32)),
                    false => general(Field::convert_int64(column, *value), row, take),
                })
            }
            ColumnReader::Int96ColumnReader(reader) => {
                each(reader, levels, count, take, |value, row, take| {
                    general(Field::convert_int96(column, *value), row, take);
                })
            }
            ColumnReader::FloatColumnReader(reader) => {
                each(reader, levels, count, take, |value, row, take| match wants_text {
                    false => take(row, number(*value)),
                    true => general(Field::convert_float(column, *value), row, take),
                })
            }
            ColumnReader::DoubleColumnReader(reader) => {
                each(reader, levels, count, take, |value, row, take| match wants_text {
                    false => take(row, number(*value as f32)),
                    true => general(Field::convert_double(column, *value), row, take),
                })
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                each(reader, levels, count, take, |value, row, take| {
                    bytes(value.clone(), row, take);
                })
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                each(reader, levels, count, take, |value: &FixedLenByteArray, row, take| {
                    bytes(value.clone().into(), row, take);
                })
            }
        };
        match read {
            Ok(rows) if rows == count => Ok(()),
            Ok(_) => {
                Err(Error::data(file, "cannot read the Parquet file: a column has fewer rows than others"))
            }
            Err(error) => Err(damaged(file, &error)),
        }
    }
}

/// A number of the file; NaN is a missing value.
fn number(value: f32) -> Cell<'static> {
    if value.is_nan() { Cell::Missing } else { Cell::Number(value) }
}

/// Calls `take` with a text as the cells of a row of text have it: trimmed, and in one line.
fn normalized(text: &str, take: impl FnOnce(Cell)) {
    if memchr::memchr3(b'\n', b'\r', 0, text.as_bytes()).is_some() {
        if text.contains('\0') {
            return take(Cell::Fault(format!("{} contains a NUL byte; remove it", quoted(text))));
        }
        let line = text.replace(['\n', '\r'], " ");
        return normalized(&line, take);
    }
    let trimmed = trim(text.as_bytes());
    take(match std::str::from_utf8(trimmed) {
        Ok(text) => Cell::Text(text),
        Err(_) => Cell::Text(text),
    });
}

/// Calls `value` with each value of the next `count` rows, and `take` for missing ones. Returns the number of rows.
fn each<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    levels: i16,
    count: usize,
    take: &mut dyn FnMut(usize, Cell),
    mut value: impl FnMut(&T::T, usize, &mut dyn FnMut(usize, Cell)),
) -> parquet::errors::Result<usize> {
    let (mut values, mut present) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let wanted = (levels > 0).then_some(&mut present);
    let (rows, ..) = reader.read_records(count, wanted, None, &mut values)?;
    let mut values = values.iter();
    // Without missing values, there are no levels.
    present.resize(rows, levels);
    for (row, level) in present.into_iter().enumerate() {
        match if level == levels { values.next() } else { None } {
            Some(found) => value(found, row, take),
            None => take(row, Cell::Missing),
        }
    }
    Ok(rows)
}
