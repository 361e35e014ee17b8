//! What the columns of a table mean.

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
}

/// A column that is an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the header, or its number, from 1.
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
    },
}

impl Column {
    /// The number of features that it makes.
    pub fn features(&self) -> usize {
        match &self.kind {
            ColumnKind::Number => 1,
            ColumnKind::Category { categories } => categories.len(),
        }
    }
}

impl TableLayout {
    /// Whether its columns have names of a header, and not their numbers alone.
    pub fn has_header(&self) -> bool {
        let is_number = |name: &str, position: usize| name == (position + 1).to_string();
        self.columns.iter().any(|column| !is_number(&column.name, column.position))
            || self.label.as_ref().is_some_and(|label| !is_number(&label.name, label.position))
    }

    /// The number of features of an example.
    pub fn features(&self) -> usize {
        self.columns.iter().map(Column::features).sum()
    }

    /// The name of each feature: a column's, or of a one-hot column `name=text`.
    pub fn feature_names(&self) -> Vec<String> {
        let of = |column: &Column| match &column.kind {
            ColumnKind::Number => vec![column.name.clone()],
            ColumnKind::Category { categories } => {
                categories.iter().map(|text| format!("{}={text}", column.name)).collect()
            }
        };
        self.columns.iter().flat_map(of).collect()
    }
}
