//! What the columns of a table mean.

use serde::{Deserialize, Serialize};

/// A column of a table that is an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the header, or its number, from 1.
    pub name: String,
    /// What its cells hold.
    #[serde(flatten)]
    pub kind: ColumnKind,
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
    pub fn width(&self) -> usize {
        match &self.kind {
            ColumnKind::Number => 1,
            ColumnKind::Category { categories } => categories.len(),
        }
    }
}
