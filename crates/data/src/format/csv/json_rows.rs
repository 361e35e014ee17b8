//! Tables in JSON lines: an object per line, whose keys are the names of the columns. A missing key is a missing value.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::converted::{CellType, Converted, RowWriter};
use super::text::BYTE_ORDER_MARK;
use crate::error::{Error, Location, Result, quoted};

/// The entries of an object, in their order.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Object, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Object(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Converts JSON lines to rows. The columns are the keys of all objects, in the order of their first occurrence.
///
/// # Errors
/// A line that is not an object, or has a key twice or an array or object as a value, with its number.
pub(super) fn convert(path: &Path, bytes: &[u8]) -> Result<Converted> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut names: Vec<String> = Vec::new();
    let mut position_of: HashMap<String, usize> = HashMap::new();
    let mut types: Vec<Option<CellType>> = Vec::new();
    let mut rows: Vec<Option<Vec<(usize, String)>>> = Vec::new();
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let text = text.trim_ascii();
        if text.is_empty() {
            rows.push(None);
            continue;
        }
        let fault = |problem: String| Error::data(Location::line(path, line), problem);
        let Object(entries) = serde_json::from_slice(text)
            .map_err(|error| fault(format!("the line is not a JSON object ({error})")))?;
        let (mut row, mut seen) = (Vec::with_capacity(entries.len()), HashSet::new());
        for (name, value) in entries {
            let position = *position_of.entry(name).or_insert_with_key(|name| {
                names.push(name.clone());
                types.push(None);
                names.len() - 1
            });
            let name = || quoted(&names[position]);
            if !seen.insert(position) {
                return Err(fault(format!("the object has the key {} twice", name())));
            }
            let (cell, kind) = match value {
                Value::Null => continue,
                Value::Bool(value) => (value.to_string(), CellType::Text),
                Value::Number(number) => (number.to_string(), CellType::Number),
                Value::String(text) => (text, CellType::Text),
                Value::Array(_) | Value::Object(_) => {
                    let problem = "is nested; a cell is a text, a number, a boolean or null";
                    return Err(fault(format!("the value of {} {problem}", name())));
                }
            };
            // A column with numbers and texts is one of texts.
            types[position] = match types[position] {
                Some(CellType::Text) => Some(CellType::Text),
                _ => Some(kind),
            };
            row.push((position, cell));
        }
        rows.push(Some(row));
    }
    if rows.iter().all(Option::is_none) {
        return Err(Error::data(path, "the file is empty; expected one row per example, with a label"));
    }
    let mut writer = RowWriter::new(path, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut cells = vec![String::new(); names.len()];
    for (line, row) in (1..).zip(rows) {
        let Some(row) = row else {
            writer.blank();
            continue;
        };
        cells.iter_mut().for_each(String::clear);
        row.into_iter().for_each(|(position, cell)| cells[position] = cell);
        writer.row(line, &cells)?;
    }
    Ok(Converted { text: writer.finish(), types })
}
