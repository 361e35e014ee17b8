//! Tables in Apache Parquet, converted row by row. The columns have the types of the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::{Type, TypePtr};

use super::chunk_reader::SAMPLE;
use super::converted::{CellType, Content, Converted, ConvertedText, RowWriter, Rows};
use super::parquet_file::{self, damaged, guarded};
use crate::error::{Error, Location, Result, quoted};

/// The rows may always expand to this size, …
const ALWAYS_ALLOWED: u64 = 1 << 30;
/// … and above it, to this multiple of the file's size.
const MAX_EXPANSION: u64 = 100;

/// The rows that are converted at once.
const AT_ONCE: usize = 256;

/// Converts a Parquet file to rows.
///
/// # Errors
/// A damaged file, a compression that is not supported, or nested columns, by name.
pub(super) fn convert(path: &Path, content: &Content) -> Result<Converted> {
    guarded(path, || {
        let types = types(path, &*open(path, content)?)?;
        let reader = open(path, content)?;
        let schema = Schema::of(path, &*reader)?;
        let limit = ALWAYS_ALLOWED.max(content.size().saturating_mul(MAX_EXPANSION));
        let writer = RowWriter::new(path, &schema.names)?;
        let rows = ParquetRows {
            path: path.to_path_buf(),
            rows: RowIter::from_file_into(reader),
            schema,
            number: 0,
            left: limit,
        };
        Ok(Converted { text: Box::new(ConvertedText::new(writer, rows)), types })
    })
}

fn open(path: &Path, content: &Content) -> Result<Box<dyn FileReader>> {
    match content {
        Content::File(file) => Ok(Box::new(parquet_file::open_at(path, file)?)),
        Content::Memory(bytes) => {
            let bytes = bytes::Bytes::from_owner(Arc::clone(bytes));
            let reader = SerializedFileReader::new(bytes);
            Ok(Box::new(reader.map_err(|error| damaged(path, &error))?))
        }
    }
}

/// The type of each column; `None` if it has no value.
fn types(path: &Path, reader: &dyn FileReader) -> Result<Vec<Option<CellType>>> {
    let schema = reader.metadata().file_metadata().schema();
    let columns: Vec<usize> = (0..Schema::of(path, reader)?.names.len()).collect();
    let mut found = vec![None; columns.len()];
    // Few columns have no value in the first rows, and only these are read on.
    for count in [SAMPLE, usize::MAX] {
        let open: Vec<usize> = columns.iter().copied().filter(|column| found[*column].is_none()).collect();
        if open.is_empty() {
            break;
        }
        let fields = open.iter().map(|column| Arc::clone(&schema.get_fields()[*column])).collect();
        let projection = Type::group_type_builder(schema.name()).with_fields(fields).build();
        let projection = projection.map_err(|error| damaged(path, &error))?;
        let rows = reader.get_row_iter(Some(projection)).map_err(|error| damaged(path, &error))?;
        for row in rows.take(count) {
            let row = row.map_err(|error| damaged(path, &error))?;
            for (column, (_, field)) in open.iter().zip(row.get_column_iter()) {
                if !matches!(field, Field::Null) {
                    found[*column] = Some(declared(&schema.get_fields()[*column]));
                }
            }
            if open.iter().all(|column| found[*column].is_some()) {
                break;
            }
        }
    }
    Ok(found)
}

/// Converts rows.
struct ParquetRows {
    path: PathBuf,
    rows: RowIter<'static>,
    schema: Schema,
    /// The number of converted rows.
    number: u64,
    /// The bytes that may still follow.
    left: u64,
}

impl Rows for ParquetRows {
    fn add(&mut self, text: &mut RowWriter) -> Result<bool> {
        let ParquetRows { path, rows, schema, number, left } = self;
        let before = *number;
        guarded(path, || {
            for row in rows.take(AT_ONCE) {
                *number += 1;
                add_row(path, &row.map_err(|error| damaged(path, &error))?, *number, schema, text)?;
            }
            *left = left.checked_sub(text.len() as u64).ok_or_else(|| {
                let problem = format!(
                    "the rows are more than {MAX_EXPANSION} times the size of the file, which is implausible"
                );
                Error::data(&**path, problem)
            })?;
            Ok(*number > before)
        })
    }
}

fn add_row(path: &Path, row: &Row, number: u64, schema: &Schema, text: &mut RowWriter) -> Result<()> {
    let mut cells = Vec::with_capacity(schema.names.len());
    for (column, (_, field)) in row.get_column_iter().enumerate() {
        let (cell, _) = cell(field, schema.nanos[column]).map_err(|problem| {
            let location =
                Location::line(path, number).column(format!("{} ({})", column + 1, schema.names[column]));
            Error::data(location, problem)
        })?;
        cells.push(cell);
    }
    text.row(number, &cells)
}

/// Converts the first rows of a file, and the types of its columns. Columns without a value in these rows have the type of the file.
///
/// # Errors
/// As for [`convert`].
pub(super) fn first_rows(
    path: &Path,
    reader: &dyn FileReader,
    count: usize,
) -> Result<(Vec<u8>, Vec<Option<CellType>>)> {
    let schema = Schema::of(path, reader)?;
    let mut writer = RowWriter::new(path, &schema.names)?;
    let rows = reader.get_row_iter(None).map_err(|error| damaged(path, &error))?;
    for (number, row) in (1..).zip(rows.take(count)) {
        add_row(path, &row.map_err(|error| damaged(path, &error))?, number, &schema, &mut writer)?;
    }
    let fields = reader.metadata().file_metadata().schema().get_fields();
    Ok((writer.finish(), fields.iter().map(|field| Some(declared(field))).collect()))
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
