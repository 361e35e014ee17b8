//! Tables in Apache Parquet, converted row by row. The columns have the types of the file.

use std::path::Path;

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::TypePtr;

use super::converted::{CellType, Converted, RowWriter};
use crate::error::{Error, Location, Result, quoted};

/// The rows may always expand to this size, …
const ALWAYS_ALLOWED: usize = 1 << 30;
/// … and above it, to this multiple of the file's size.
const MAX_EXPANSION: usize = 100;

/// Converts a Parquet file to rows.
///
/// # Errors
/// A damaged file, a compression that is not supported, or nested columns, by name.
pub(super) fn convert(path: &Path, bytes: Vec<u8>) -> Result<Converted> {
    let damaged = |problem: String| Error::data(path, format!("cannot read the Parquet file: {problem}"));
    // The decoder indexes without checks in some damaged files.
    let result = std::panic::catch_unwind(|| rows(path, bytes));
    result.unwrap_or_else(|_| Err(damaged("it is damaged".to_string())))
}

fn rows(path: &Path, bytes: Vec<u8>) -> Result<Converted> {
    let damaged =
        |e: parquet::errors::ParquetError| Error::data(path, format!("cannot read the Parquet file: {e}"));
    let limit = ALWAYS_ALLOWED.max(bytes.len().saturating_mul(MAX_EXPANSION));
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).map_err(damaged)?;
    converted(path, &reader, usize::MAX, limit)
}

/// Converts the first rows of a file. Columns without a value in these rows have the type of the file.
///
/// # Errors
/// As for [`convert`].
pub(super) fn first_rows(path: &Path, reader: &dyn FileReader, count: usize) -> Result<Converted> {
    let Converted { text, types } = converted(path, reader, count, ALWAYS_ALLOWED)?;
    let fields = reader.metadata().file_metadata().schema().get_fields();
    let types = types.into_iter().zip(fields).map(|(found, field)| found.or(Some(declared(field)))).collect();
    Ok(Converted { text, types })
}

/// Whether a column has numbers or texts, as the file declares it.
fn declared(field: &TypePtr) -> CellType {
    let basic = field.get_basic_info();
    let is_text = match (basic.logical_type_ref(), basic.converted_type()) {
        (Some(LogicalType::Timestamp(_) | LogicalType::Date), _) => true,
        (_, ConvertedType::DATE | ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS) => true,
        (Some(LogicalType::Decimal { .. } | LogicalType::Float16), _) | (_, ConvertedType::DECIMAL) => false,
        _ => matches!(
            field.get_physical_type(),
            Physical::BOOLEAN | Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY | Physical::INT96
        ),
    };
    if is_text { CellType::Text } else { CellType::Number }
}

/// The columns of a file.
pub(super) struct Schema {
    pub names: Vec<String>,
    /// Whether each column has times in nanoseconds.
    pub nanos: Vec<bool>,
}

impl Schema {
    /// The columns of a file.
    ///
    /// # Errors
    /// Nested columns, by name.
    pub fn of(path: &Path, reader: &dyn FileReader) -> Result<Self> {
        let schema = reader.metadata().file_metadata().schema();
        let is_nested = |field: &&TypePtr| {
            let info = field.get_basic_info();
            !field.is_primitive() || info.has_repetition() && info.repetition() == Repetition::REPEATED
        };
        if let Some(nested) = schema.get_fields().iter().find(is_nested) {
            let problem = format!("the column {} is nested; a cell is a single value", quoted(nested.name()));
            return Err(Error::data(path, problem));
        }
        let is_nanos = |field: &TypePtr| {
            let logical = field.get_basic_info().logical_type_ref();
            matches!(logical, Some(LogicalType::Timestamp(time)) if time.unit == TimeUnit::NANOS)
        };
        let fields = schema.get_fields();
        Ok(Schema {
            names: fields.iter().map(|field| field.name().to_string()).collect(),
            nanos: fields.iter().map(is_nanos).collect(),
        })
    }
}

/// Converts the first `count` rows, of at most `limit` bytes.
fn converted(path: &Path, reader: &dyn FileReader, count: usize, limit: usize) -> Result<Converted> {
    let damaged =
        |e: parquet::errors::ParquetError| Error::data(path, format!("cannot read the Parquet file: {e}"));
    let Schema { names, nanos } = Schema::of(path, reader)?;
    let mut writer = RowWriter::new(path, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut types = vec![None; names.len()];
    for (number, row) in (1..).zip(reader.get_row_iter(None).map_err(damaged)?.take(count)) {
        let row = row.map_err(damaged)?;
        let mut cells = Vec::with_capacity(names.len());
        for (column, (_, field)) in row.get_column_iter().enumerate() {
            let (cell, kind) = cell(field, nanos[column]).map_err(|problem| {
                let location =
                    Location::line(path, number).column(format!("{} ({})", column + 1, names[column]));
                Error::data(location, problem)
            })?;
            types[column] = types[column].or(kind);
            cells.push(cell);
        }
        writer.row(number, &cells)?;
        if writer.len() > limit {
            let problem = format!(
                "the rows are more than {MAX_EXPANSION} times the size of the file, which is implausible"
            );
            return Err(Error::data(path, problem));
        }
    }
    Ok(Converted { text: writer.finish(), types })
}

/// A value as the text of a cell, and its type.
pub(super) fn cell(field: &Field, is_nanos: bool) -> std::result::Result<(String, Option<CellType>), String> {
    const DAY_MICROS: i64 = 86_400_000_000;
    let number = |text: String| Ok((text, Some(CellType::Number)));
    let text = |text: String| Ok((text, Some(CellType::Text)));
    match field {
        Field::Null => Ok((String::new(), None)),
        Field::Bool(value) => text(value.to_string()),
        Field::Str(value) => text(value.clone()),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(value) => text(value.to_string()),
            Err(_) => Err("the value is binary; a cell is a text, a number, a boolean or a date".to_string()),
        },
        Field::Date(days) => text(date(i64::from(*days))),
        Field::TimestampMillis(millis) => text(time(millis.saturating_mul(1000))),
        Field::TimestampMicros(micros) => text(time(*micros)),
        Field::Long(nanos) if is_nanos => text(time(nanos.div_euclid(1000))),
        Field::TimeMillis(millis) => number((f64::from(*millis) / (DAY_MICROS as f64 / 1000.)).to_string()),
        Field::TimeMicros(micros) => number((*micros as f64 / DAY_MICROS as f64).to_string()),
        Field::Float(value) if value.is_nan() => Ok((String::new(), Some(CellType::Number))),
        Field::Double(value) if value.is_nan() => Ok((String::new(), Some(CellType::Number))),
        Field::Float(value) => number(value.to_string()),
        Field::Double(value) => number(value.to_string()),
        Field::Float16(value) => number(value.to_f32().to_string()),
        Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => {
            Err("the value is nested".to_string())
        }
        other => number(other.to_string()),
    }
}

/// A day since 1970-01-01 in ISO 8601.
fn date(day: i64) -> String {
    let (year, month, day) = crate::dates::civil(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Microseconds since 1970-01-01 in ISO 8601.
fn time(micros: i64) -> String {
    const DAY: i64 = 86_400_000_000;
    let (day, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = if micros > 0 { format!(".{micros:06}") } else { String::new() };
    format!("{} {clock}{fraction}", date(day))
}
