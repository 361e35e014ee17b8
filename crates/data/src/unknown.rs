//! Unknown categories in table rows.

use std::collections::BTreeMap;

use cresset_options::choices;

use crate::column::{ColumnKind, shown_category};
use crate::error::{excerpt, quoted};

/// A cell whose text does not occur in its column of the training set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCategory {
    /// The name of the column.
    pub column: String,
    /// The text.
    pub text: String,
}

/// Counts of rows with unknown categories, by column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnknownCounts {
    rows: usize,
    columns: BTreeMap<String, ColumnCount>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct ColumnCount {
    rows: usize,
    first: Vec<String>,
}

/// The maximum number of categories per column and of columns in a message.
const SHOWN_TEXTS: usize = 3;
const SHOWN_COLUMNS: usize = 5;

impl UnknownCounts {
    /// Counts a row with these unknown categories.
    pub fn add<'a>(&mut self, row: impl IntoIterator<Item = &'a UnknownCategory>) {
        let mut row = row.into_iter().peekable();
        self.rows += usize::from(row.peek().is_some());
        for UnknownCategory { column, text } in row {
            let column_count = self.columns.entry(column.clone()).or_default();
            column_count.rows += 1;
            if column_count.first.len() < SHOWN_TEXTS && !column_count.first.contains(text) {
                column_count.first.push(text.clone());
            }
        }
    }

    /// A summary for `all` rows; `None` if there were no unknown categories.
    pub fn summary(&self, all: usize) -> Option<String> {
        if self.rows == 0 {
            return None;
        }
        let describe = |(name, column): (&String, &ColumnCount)| {
            let texts: Vec<_> = column.first.iter().map(|text| quoted(text)).collect();
            format!("column {} in {} ({})", quoted(name), column.rows, texts.join(", "))
        };
        let shown: Vec<_> = self.columns.iter().take(SHOWN_COLUMNS).map(describe).collect();
        let more = match self.columns.len().saturating_sub(SHOWN_COLUMNS) {
            0 => String::new(),
            more => format!(", and {more} more column(s)"),
        };
        Some(format!(
            "{} of {all} row(s) have a category that is not in the training set, encoded as unknown: {}{more}; use --unknown error to reject such rows",
            self.rows,
            shown.join(", ")
        ))
    }
}

/// The end of the error for an unknown category or item: the known ones, and a remedy.
pub fn known_categories(kind: &ColumnKind) -> String {
    const SHOWN: usize = 10;
    let (known, is_trained): (&[String], bool) = match kind {
        ColumnKind::Category { categories, unknown } | ColumnKind::Code { categories, unknown } => {
            (categories, *unknown)
        }
        ColumnKind::Ordinal { categories: known } | ColumnKind::List { items: known, .. } => (known, true),
        _ => (&[], true),
    };
    let names: Vec<_> = known.iter().take(SHOWN).map(|category| excerpt(shown_category(category))).collect();
    let more = if known.len() > SHOWN { ", …" } else { "" };
    let remedy = if is_trained { "" } else { "; retrain the model to support unknown categories" };
    format!("known categories are {}{more}{remedy}", names.join(", "))
}

choices! {
    /// How categories that the model was not trained on are handled.
    #[derive(Default)]
    pub enum UnknownPolicy {
        /// treat the category as unknown, which the model was trained for
        #[default]
        Allow = "allow",
        /// reject the row with an error
        Error = "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_once_and_the_first_texts_are_named() {
        let cell = |column: &str, text: &str| UnknownCategory { column: column.into(), text: text.into() };
        let mut unknowns = UnknownCounts::default();
        assert_eq!(unknowns.summary(9), None);
        unknowns.add(&[cell("b", "x\ny"), cell("a", "u")]);
        unknowns.add(&[]);
        (0..5).for_each(|text| unknowns.add(&[cell("a", &text.to_string())]));
        let summary = unknowns.summary(9).unwrap();
        assert!(summary.starts_with("6 of 9 row(s)"), "{summary}");
        assert!(summary.contains("column `a` in 6 (`u`, `0`, `1`), column `b` in 1 (`x\\ny`);"), "{summary}");
    }
}
