//! Choices of users, with which recommendations are compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::data::column::ColumnKind;
use crate::data::{Dataset, Inputs};
use crate::error::{Error, Result};

/// Users with the items that they chose, and those that they chose before and that are not recommended to them again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankingSet {
    /// The number of items.
    pub(crate) items: i64,
    pub(crate) users: Vec<User>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// The index of the user; -1 for one who is not in the training set.
    pub index: i64,
    /// The items that the user chose, in ascending order.
    pub chosen: Vec<i64>,
    /// The number of items that the user chose and that are not in the training set: they are never recommended.
    pub unknown: usize,
    /// The items that the user chose before.
    pub seen: Vec<i64>,
}

impl RankingSet {
    /// Users of `items` items, each given by the index, the items chosen, and those chosen before.
    pub fn new(items: i64, users: impl IntoIterator<Item = (i64, Vec<i64>, Vec<i64>)>) -> Self {
        let user = |(index, chosen, seen): (i64, Vec<i64>, Vec<i64>)| {
            let seen: BTreeSet<i64> = seen.into_iter().filter(|item| *item >= 0).collect();
            // A choice that is repeated cannot be recommended as a new one.
            let (known, unknown): (Vec<i64>, Vec<i64>) = chosen.into_iter().partition(|item| *item >= 0);
            let chosen: BTreeSet<i64> = known.into_iter().filter(|item| !seen.contains(item)).collect();
            User { index, chosen: Vec::from_iter(chosen), unknown: unknown.len(), seen: Vec::from_iter(seen) }
        };
        let users = users.into_iter().map(user).filter(|user| user.chosen.len() + user.unknown > 0);
        RankingSet { items, users: users.collect() }
    }

    /// The choices in these rows of a data set of choices, whose users made the choices in the rows `before`.
    ///
    /// # Errors
    /// Data that are not choices.
    pub fn of(dataset: &Dataset, rows: &[i64], before: &[&[i64]]) -> Result<Self> {
        let items = items_of(dataset)?;
        let Inputs::Floats(values) = &dataset.inputs else { return Err(not_choices(dataset)) };
        let mut users: BTreeMap<i64, (i64, Vec<i64>, Vec<i64>)> = BTreeMap::new();
        // Users who are not in the training set have the same index, but not the same label.
        let item = |row: i64| values[2 * row as usize + 1] as i64;
        for row in rows {
            let user = dataset.labels[*row as usize];
            let entry =
                users.entry(user).or_insert((values[2 * *row as usize] as i64, Vec::new(), Vec::new()));
            entry.1.push(item(*row));
        }
        for row in before.iter().copied().flatten() {
            if let Some((_, _, seen)) = users.get_mut(&dataset.labels[*row as usize]) {
                seen.push(item(*row));
            }
        }
        Ok(RankingSet::new(items, users.into_values()))
    }

    /// The number of users, and of those who are not in the training set.
    pub fn users(&self) -> [usize; 2] {
        [self.users.len(), self.users.iter().filter(|user| user.index < 0).count()]
    }

    /// The number of choices of items that are not in the training set.
    pub fn unknown(&self) -> usize {
        self.users.iter().map(|user| user.unknown).sum()
    }

    /// Whether a user chose an item that can be recommended.
    pub fn has_choices(&self) -> bool {
        self.users.iter().any(|user| !user.chosen.is_empty())
    }
}

/// The number of items of a data set of choices.
///
/// # Errors
/// Other data.
fn items_of(dataset: &Dataset) -> Result<i64> {
    let kinds = dataset.table.as_ref().map(|table| table.columns.iter().map(|column| &column.kind));
    match kinds.map(Iterator::collect::<Vec<_>>).as_deref() {
        Some([ColumnKind::Code { .. }, ColumnKind::Code { categories, .. }]) => Ok(categories.len() as i64),
        _ => Err(not_choices(dataset)),
    }
}

fn not_choices(dataset: &Dataset) -> Error {
    Error::data(
        dataset.path.as_path(),
        "these are not choices of users; select their columns with --user and --item",
    )
}
