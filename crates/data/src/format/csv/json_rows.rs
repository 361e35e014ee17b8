//! Tables in JSON lines: an object per line, whose keys are the names of the columns. A missing key is a missing value.
//!
//! A first pass over the file finds the columns, and a second one converts the rows, so that no more than a line is in memory.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::converted::{CellType, Content, Converted, ConvertedText, RowWriter, Rows, nul_byte};
use super::text::BYTE_ORDER_MARK;
use crate::compression::Codec;
use crate::error::{Error, Location, Result, quoted};

/// The longest line, so that a file without line ends does not fill the memory.
const MAX_LINE: u64 = 1 << 26;

/// The text of rows that is converted at once.
const AT_ONCE: usize = 1 << 16;

/// Converts JSON lines to rows. The columns are the keys of all objects, in the order of their first occurrence.
///
/// # Errors
/// A line that is not an object, or has a key twice or an array or object as a value, with its number.
pub(super) fn convert(path: &Path, content: &Content) -> Result<Converted> {
    let mut columns = Columns::default();
    let mut lines = Lines::open(path, content)?;
    while lines.advance()? {
        if !lines.text().is_empty() {
            columns.add(&lines)?;
        }
    }
    if columns.last_line == 0 {
        return Err(Error::data(path, "the file is empty; expected one row per example, with a label"));
    }
    let Columns { names, position_of, types, .. } = columns;
    let writer = RowWriter::new(path, &names)?;
    let rows =
        JsonRows { lines: Lines::open(path, content)?, position_of, cells: vec![String::new(); names.len()] };
    Ok(Converted { text: Box::new(ConvertedText::new(writer, rows)), types })
}

/// Reads lines.
struct Lines {
    path: PathBuf,
    source: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    /// The number of the line, from 1.
    number: u64,
}

impl Lines {
    fn open(path: &Path, content: &Content) -> Result<Self> {
        let mut source = content.open(path)?;
        let beginning = source.fill_buf().map_err(|error| unreadable(path, error))?;
        let source: Box<dyn BufRead + Send> = match Codec::of(path, beginning) {
            Some(codec) => Box::new(BufReader::new(codec.table_reader(path, source, content.size()))),
            None => source,
        };
        Ok(Lines { path: path.to_path_buf(), source, line: Vec::new(), number: 0 })
    }

    /// Reads the next line; returns false after the last one.
    fn advance(&mut self) -> Result<bool> {
        self.line.clear();
        self.number += 1;
        let read = self.source.by_ref().take(MAX_LINE).read_until(b'\n', &mut self.line);
        match read.map_err(|error| unreadable(&self.path, error))? as u64 {
            0 => Ok(false),
            MAX_LINE if !self.line.ends_with(b"\n") => {
                Err(self.fault("the line is longer than 64 MiB; a line end is missing".to_string()))
            }
            _ => Ok(true),
        }
    }

    /// The line, without white space around it.
    fn text(&self) -> &[u8] {
        let is_first = self.number == 1;
        let line = self.line.strip_prefix(BYTE_ORDER_MARK).filter(|_| is_first).unwrap_or(&self.line);
        line.trim_ascii()
    }

    /// The entries of the object in the line.
    fn object(&self) -> Result<Object<'_>> {
        serde_json::from_slice(self.text())
            .map_err(|error| self.fault(format!("the line is not a JSON object ({error})")))
    }

    fn fault(&self, problem: String) -> Error {
        Error::data(Location::line(&self.path, self.number), problem)
    }
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    error
        .downcast::<Error>()
        .unwrap_or_else(|error| Error::data(path, format!("cannot read the file: {error}")))
}

/// The columns of a file.
#[derive(Default)]
struct Columns {
    names: Vec<String>,
    position_of: HashMap<String, usize>,
    types: Vec<Option<CellType>>,
    /// The last line that has each column.
    seen: Vec<u64>,
    /// The last line with an object.
    last_line: u64,
}

impl Columns {
    /// Adds the columns of the object in a line.
    fn add(&mut self, lines: &Lines) -> Result<()> {
        self.last_line = lines.number;
        for (name, value) in lines.object()?.0 {
            let position = match self.position_of.get(&*name) {
                Some(position) => *position,
                None => self.new_column(name.into_owned()),
            };
            let name = || quoted(&self.names[position]);
            if std::mem::replace(&mut self.seen[position], lines.number) == lines.number {
                return Err(lines.fault(format!("the object has the key {} twice", name())));
            }
            let kind = match value {
                Cell::Missing => continue,
                Cell::Boolean(_) => CellType::Text,
                Cell::Number(_) => CellType::Number,
                Cell::Text(text) if text.contains('\0') => {
                    return Err(nul_byte(&lines.path, lines.number, position, &text));
                }
                Cell::Text(_) => CellType::Text,
                Cell::Nested => {
                    let problem = "is nested; a cell is a text, a number, a boolean or null";
                    return Err(lines.fault(format!("the value of {} {problem}", name())));
                }
            };
            // A column with numbers and texts is one of texts.
            self.types[position] = match self.types[position] {
                Some(CellType::Text) => Some(CellType::Text),
                _ => Some(kind),
            };
        }
        Ok(())
    }

    fn new_column(&mut self, name: String) -> usize {
        let position = self.names.len();
        self.names.push(name.clone());
        self.position_of.insert(name, position);
        self.types.push(None);
        self.seen.push(0);
        position
    }
}

/// Converts rows whose columns are known.
struct JsonRows {
    lines: Lines,
    position_of: HashMap<String, usize>,
    cells: Vec<String>,
}

impl Rows for JsonRows {
    fn add(&mut self, text: &mut RowWriter) -> Result<bool> {
        while text.len() < AT_ONCE {
            if !self.lines.advance()? {
                return Ok(text.len() > 0);
            }
            if self.lines.text().is_empty() {
                text.blank();
                continue;
            }
            self.cells.iter_mut().for_each(String::clear);
            for (name, value) in self.lines.object()?.0 {
                let Some(position) = self.position_of.get(&*name) else {
                    return Err(self.lines.fault("the file changed while it was read".to_string()));
                };
                self.cells[*position] = match value {
                    Cell::Missing | Cell::Nested => continue,
                    Cell::Boolean(value) => value.to_string(),
                    Cell::Number(number) => number.to_string(),
                    Cell::Text(text) => text.into_owned(),
                };
            }
            text.row(self.lines.number, &self.cells)?;
        }
        Ok(true)
    }
}

/// The entries of an object, in their order.
struct Object<'a>(Vec<(Cow<'a, str>, Cell<'a>)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Object<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    entries.push((name, value));
                }
                Ok(Object(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// A key.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_string())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A value.
enum Cell<'a> {
    Missing,
    Boolean(bool),
    Number(Number),
    Text(Cow<'a, str>),
    /// An array or an object.
    Nested,
}

impl<'de> Deserialize<'de> for Cell<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Value;
        impl<'de> Visitor<'de> for Value {
            type Value = Cell<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> std::result::Result<Cell<'de>, E> {
                Ok(Cell::Missing)
            }

            fn visit_bool<E>(self, value: bool) -> std::result::Result<Cell<'de>, E> {
                Ok(Cell::Boolean(value))
            }

            fn visit_u64<E>(self, value: u64) -> std::result::Result<Cell<'de>, E> {
                Ok(Cell::Number(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> std::result::Result<Cell<'de>, E> {
                Ok(Cell::Number(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> std::result::Result<Cell<'de>, E> {
                Ok(Number::from_f64(value).map_or(Cell::Missing, Cell::Number))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Cell<'de>, E> {
                Ok(Cell::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<Cell<'de>, E> {
                Ok(Cell::Text(Cow::Owned(text.to_string())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Cell<'de>, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Cell::Nested)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Cell<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Cell::Nested)
            }
        }
        deserializer.deserialize_any(Value)
    }
}
