//! Tables of users and of items, which are joined with choices of items by users.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Dataset;

/// What is known of choices of items by users.
#[derive(Debug, Clone, Default)]
pub struct ChoiceDetails {
    /// The tables of users and of items.
    pub tables: [Option<Arc<JoinedTable>>; 2],
    /// The least rating of a choice, if the choices are ratings.
    pub min_rating: Option<f32>,
}

/// A table with a row for each user, or for each item.
#[derive(Debug)]
pub struct JoinedTable {
    /// The values of the columns other than that of the names, without labels.
    pub rows: Dataset,
    row_of: HashMap<String, usize>,
}

impl JoinedTable {
    /// A table with these rows. `row_of` has the row of each name.
    pub(crate) fn new(rows: Dataset, row_of: HashMap<String, usize>) -> Self {
        JoinedTable { rows, row_of }
    }

    /// The names of users or items, in any order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.row_of.keys()
    }

    /// The file.
    pub fn path(&self) -> &PathBuf {
        &self.rows.path
    }

    /// The row of a user or an item, if it has one.
    pub fn row(&self, name: &str) -> Option<usize> {
        self.row_of.get(name).copied()
    }
}
