//! Texts of a table that the model was not trained on.

use std::collections::BTreeMap;

use cresset_options::choices;

use crate::error::quoted;

/// A cell that holds a text that none of the training rows has in its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownText {
    /// The name of the column.
    pub column: String,
    /// The text.
    pub text: String,
}

/// How many rows had unknown texts, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unknowns {
    rows: usize,
    columns: BTreeMap<String, OfColumn>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct OfColumn {
    rows: usize,
    first: Vec<String>,
}

/// The texts of a column, and the columns, that are shown.
const SHOWN_TEXTS: usize = 3;
const SHOWN_COLUMNS: usize = 5;

impl Unknowns {
    /// Counts a row with these unknown texts.
    pub fn add(&mut self, row: &[UnknownText]) {
        self.rows += usize::from(!row.is_empty());
        for UnknownText { column, text } in row {
            let of_column = self.columns.entry(column.clone()).or_default();
            of_column.rows += 1;
            if of_column.first.len() < SHOWN_TEXTS && !of_column.first.contains(text) {
                of_column.first.push(text.clone());
            }
        }
    }

    /// What is said of them among `all` rows; nothing if there were none.
    pub fn summary(&self, all: usize) -> Option<String> {
        if self.rows == 0 {
            return None;
        }
        let of_column = |(name, column): (&String, &OfColumn)| {
            let texts: Vec<_> = column.first.iter().map(|text| quoted(text)).collect();
            format!("column {} in {} ({})", quoted(name), column.rows, texts.join(", "))
        };
        let shown: Vec<_> = self.columns.iter().take(SHOWN_COLUMNS).map(of_column).collect();
        let more = match self.columns.len().saturating_sub(SHOWN_COLUMNS) {
            0 => String::new(),
            more => format!(", and {more} more column(s)"),
        };
        Some(format!(
            "{} of {all} row(s) have a category that the model was not trained on, which counts as unknown: {}{more}; --unknown error refuses such rows",
            self.rows,
            shown.join(", ")
        ))
    }
}

choices! {
    /// How categories that the model was not trained on are handled.
    #[derive(Default)]
    pub enum OnUnknown {
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
        let cell = |column: &str, text: &str| UnknownText { column: column.into(), text: text.into() };
        let mut unknowns = Unknowns::default();
        assert_eq!(unknowns.summary(9), None);
        unknowns.add(&[cell("b", "x\ny"), cell("a", "u")]);
        unknowns.add(&[]);
        (0..5).for_each(|text| unknowns.add(&[cell("a", &text.to_string())]));
        let summary = unknowns.summary(9).unwrap();
        assert!(summary.starts_with("6 of 9 row(s)"), "{summary}");
        assert!(summary.contains("column `a` in 6 (`u`, `0`, `1`), column `b` in 1 (`x\\ny`);"), "{summary}");
    }
}
