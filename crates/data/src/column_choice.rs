//! How an option names a column of a table.

use std::str::FromStr;

use cresset_options::Text;

/// A column of a table, selected by the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnChoice {
    /// The first column.
    First,
    /// The last column.
    Last,
    /// A column by its number, from 1.
    Number(usize),
    /// A column by its name in the header.
    Name(String),
}

impl FromStr for ColumnChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("", _) => Err("expected a column name or number".to_string()),
            ("first", _) => Ok(ColumnChoice::First),
            ("last", _) => Ok(ColumnChoice::Last),
            (_, Ok(0)) => Err("columns are numbered from 1".to_string()),
            (_, Ok(number)) => Ok(ColumnChoice::Number(number)),
            _ => Ok(ColumnChoice::Name(text.to_string())),
        }
    }
}

impl Text for ColumnChoice {}

impl std::fmt::Display for ColumnChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ColumnChoice::First => f.write_str("first"),
            ColumnChoice::Last => f.write_str("last"),
            ColumnChoice::Number(number) => write!(f, "{number}"),
            ColumnChoice::Name(name) => f.write_str(name),
        }
    }
}
