//! What the columns of a table mean.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::notation::Notation;

/// How a table's rows become examples. It goes into the exported model's metadata, so that rows of the same kind are read
/// in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TableLayout {
    /// The columns that are inputs, in their order.
    pub columns: Vec<Column>,
    /// The number of all columns.
    pub width: usize,
    /// The column of the label.
    pub label: Option<LabelColumn>,
    /// The header, if the table has one: the names of all columns as they stand there. Files of older versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Vec<String>>,
}

/// A column that is an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the header, or its number, from 1. The second column of a name is called `name.1`, and so on.
    pub name: String,
    /// Where it stands among all columns, from 0.
    pub position: usize,
    /// What its cells hold.
    #[serde(flatten)]
    pub kind: ColumnKind,
    /// How its numbers are written, if they are numbers.
    #[serde(default, skip_serializing_if = "Notation::is_plain")]
    pub notation: Notation,
}

/// The column of the label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelColumn {
    /// Its name in the header, or its number, from 1.
    pub name: String,
    /// Where it stands among all columns, from 0.
    pub position: usize,
}

/// What the cells of a column hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ColumnKind {
    /// Numbers: one feature.
    Number,
    /// One of these texts, sorted: one-hot, as many features as there are texts.
    Category {
        /// The texts.
        categories: Vec<String>,
        /// Whether the model was trained on unknown texts, too: zeros in all features of the column.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unknown: bool,
    },
}

impl Column {
    /// The number of features that it makes.
    pub fn features(&self) -> usize {
        match &self.kind {
            ColumnKind::Number => 1,
            ColumnKind::Category { categories, .. } => categories.len(),
        }
    }
}

impl TableLayout {
    /// The number of features of an example.
    pub fn features(&self) -> usize {
        self.columns.iter().map(Column::features).sum()
    }

    /// The name of each feature: a column's, or of a one-hot column `name=text`.
    pub fn feature_names(&self) -> Vec<String> {
        let of = |column: &Column| match &column.kind {
            ColumnKind::Number => vec![column.name.clone()],
            ColumnKind::Category { categories, .. } => {
                categories.iter().map(|text| format!("{}={text}", column.name)).collect()
            }
        };
        self.columns.iter().flat_map(of).collect()
    }

    /// Whether the columns are called by the names of a header, and not by their numbers.
    pub fn has_names(&self) -> bool {
        let is_name = |name: &str, position: usize| name != (position + 1).to_string();
        self.header.is_some()
            || self.columns.iter().any(|column| is_name(&column.name, column.position))
            || self.label.as_ref().is_some_and(|label| is_name(&label.name, label.position))
    }

    /// The names of the inputs, each once.
    pub fn names(&self) -> Vec<Cow<'_, str>> {
        unique(self.columns.iter().map(|column| column.name.as_str()))
    }
}

/// What is left of a column's name without case and the white space around it.
pub fn folded(name: &str) -> String {
    name.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').to_lowercase()
}

/// The names of columns, each once: the second column of a name is called `name.1`, the third `name.2`.
pub fn unique<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Vec<Cow<'a, str>> {
    let first: HashSet<_> = names.clone().collect();
    let mut taken: HashSet<Cow<'_, str>> = HashSet::new();
    let mut unique = Vec::new();
    let mut counts = HashMap::new();
    for name in names {
        let mut own = Cow::Borrowed(name);
        while taken.contains(&own) {
            let count = counts.entry(name).and_modify(|count| *count += 1).or_insert(1);
            let numbered = format!("{name}.{count}");
            if !first.contains(numbered.as_str()) {
                own = Cow::Owned(numbered);
            }
        }
        taken.insert(own.clone());
        unique.push(own);
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_comes_again_gets_a_number_that_no_other_column_has() {
        let names = ["a", "b", "a", "a.1", "a", "b"];
        assert_eq!(unique(names.into_iter()), ["a", "b", "a.2", "a.1", "a.3", "b.1"]);
    }

    #[test]
    fn older_files_have_names_unless_all_are_numbers_in_their_order() {
        let layout = |text: &str| serde_json::from_str::<TableLayout>(text).unwrap();
        let numbered =
            r#"{"columns": [{"name": "2", "position": 1, "kind": "number"}], "width": 2, "label": null}"#;
        assert!(!layout(numbered).has_names());
        assert!(layout(&numbered.replace("\"2\",", "\"0\",")).has_names());
        let category = r#"{"name": "c", "position": 0, "kind": "category", "categories": ["x"]}"#;
        let column: Column = serde_json::from_str(category).unwrap();
        assert_eq!(column.kind, ColumnKind::Category { categories: vec!["x".into()], unknown: false });
        assert!(!serde_json::to_string(&column).unwrap().contains("unknown"));
    }
}
