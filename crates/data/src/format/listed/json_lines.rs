//! Image lists in JSON lines: an object per line with a file name and labels, as Hugging Face's `metadata.jsonl` has them.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Map, Value};

use crate::compression::Codec;
use crate::error::{Error, Location, Result, quoted};
use crate::format::has_extension;
use crate::label_columns::SEPARATOR;

/// Whether the path is a file of JSON lines, by its extension.
pub fn is_json_lines(path: &Path) -> bool {
    has_extension(path, &["jsonl", "ndjson", "jsonl.gz", "ndjson.gz", "jsonl.zst", "ndjson.zst"])
}

/// The first `most` objects as a table: a header with the keys of the first object, and a row for each object, with its line. The
/// texts of an array are joined by [`SEPARATOR`].
///
/// # Errors
/// A file that cannot be read, and a line that is not an object with the keys of the first one, or has an object as a value.
pub fn rows(path: &Path, most: usize) -> Result<Vec<(u64, Vec<String>)>> {
    let mut file = BufReader::new(std::fs::File::open(path).map_err(Error::io("open", path))?);
    let codec = Codec::of(path, file.fill_buf().map_err(Error::io("read", path))?);
    let reader: Box<dyn BufRead> = match codec {
        Some(codec) => Box::new(BufReader::new(codec.reader(file))),
        None => Box::new(file),
    };
    let mut table: Vec<(u64, Vec<String>)> = Vec::new();
    for (number, line) in (1..).zip(reader.lines()) {
        let line = line.map_err(Error::io("read", path))?;
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() {
            continue;
        }
        let fault = |problem: String| Error::data(Location::line(path, number), problem);
        let object: Map<String, Value> = serde_json::from_str(line)
            .map_err(|error| fault(format!("the line is not a JSON object ({error})")))?;
        if table.is_empty() {
            table.push((number, object.keys().cloned().collect()));
        }
        let header = &table[0].1;
        if let Some(unknown) = object.keys().find(|key| !header.contains(key)) {
            return Err(fault(format!("the key {} is not in the first line", quoted(unknown))));
        }
        let cell = |key: &String| {
            text(object.get(key).unwrap_or(&Value::Null))
                .map_err(|problem| fault(format!("the value of {} {problem}", quoted(key))))
        };
        let row = header.iter().map(cell).collect::<Result<_>>()?;
        table.push((number, row));
        if table.len() > most {
            break;
        }
    }
    Ok(table)
}

/// A value as the text of a cell.
fn text(value: &Value) -> std::result::Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Array(items) => {
            let texts = items.iter().map(text).collect::<std::result::Result<Vec<_>, _>>()?;
            match texts.iter().find(|text| text.contains(SEPARATOR)) {
                Some(text) => {
                    Err(format!("contains {} with `{SEPARATOR}`, which separates labels", quoted(text)))
                }
                None => Ok(texts.join(&SEPARATOR.to_string())),
            }
        }
        Value::Object(_) => Err("is an object; expected a text, a number or a list".to_string()),
    }
}
