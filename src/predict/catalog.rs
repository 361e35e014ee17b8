//! The users and items that a model of recommendations knows.

use std::collections::HashMap;

use crate::error::quoted;
use crate::export::Metadata;

/// The names of users and items, and their indexes in a model.
#[derive(Debug, Default)]
pub struct Catalog {
    users: HashMap<String, i64>,
    items: HashMap<String, i64>,
    names: Vec<String>,
}

impl Catalog {
    /// The users and items of a model of recommendations; none of other models.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let [users, items] = metadata.names().unwrap_or_default();
        let indexes =
            |names: &[String]| (0..).zip(names).map(|(index, name)| (name.clone(), index)).collect();
        Catalog { users: indexes(users), items: indexes(items), names: items.to_vec() }
    }

    /// The index of a user; none if the user is not in the training set.
    pub fn user(&self, name: &str) -> Option<i64> {
        self.users.get(name).copied()
    }

    /// The index of an item.
    ///
    /// # Errors
    /// An item that is not in the training set.
    pub fn item(&self, name: &str) -> Result<i64, String> {
        let index = self.items.get(name).copied();
        index.ok_or_else(|| format!("the model does not know the item {}", quoted(name)))
    }

    /// The items, by their index.
    pub fn items(&self) -> &[String] {
        &self.names
    }

    /// The number of users in the training set.
    pub fn users(&self) -> usize {
        self.users.len()
    }
}
