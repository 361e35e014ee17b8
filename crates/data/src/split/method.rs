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
    /// Of choices of users: the last choice of each user is in the test set, the one before it in the validation set. The order is that of
    /// the times in a column, or that of the rows.
    LeaveOneOut(Option<ColumnChoice>),
}

impl FromStr for SplitMethod {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("time", column)) => Ok(SplitMethod::Time(column.parse()?)),
            Some(("leave-one-out", column)) => Ok(SplitMethod::LeaveOneOut(Some(column.parse()?))),
            None if text == "leave-one-out" => Ok(SplitMethod::LeaveOneOut(None)),
            _ => Err("expected time:COLUMN, leave-one-out or leave-one-out:COLUMN, with the name or number of a column of times".to_string()),
        }
    }
}

impl Text for SplitMethod {}

impl fmt::Display for SplitMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SplitMethod::Time(column) => write!(f, "time:{column}"),
            SplitMethod::LeaveOneOut(None) => f.write_str("leave-one-out"),
            SplitMethod::LeaveOneOut(Some(column)) => write!(f, "leave-one-out:{column}"),
        }
    }
}
