//! How the test set is chosen, if not by lists or by the data.

use std::fmt;
use std::str::FromStr;

use cresset_options::Text;

use crate::column_choice::ColumnChoice;

/// How the examples are split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SplitMethod {
    /// By the times in a column: the newest examples are the test set.
    Time(ColumnChoice),
}

impl FromStr for SplitMethod {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("time", column)) => Ok(SplitMethod::Time(column.parse()?)),
            _ => Err("expected time:COLUMN, with the name or number of a column of times".to_string()),
        }
    }
}

impl Text for SplitMethod {}

impl fmt::Display for SplitMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SplitMethod::Time(column) => write!(f, "time:{column}"),
        }
    }
}
