//! Splits of choices that leave out the last choice of each user.

use std::collections::BTreeMap;

use super::Split;
use super::time::{refuse_own_split, times};
use crate::column_choice::ColumnChoice;
use crate::error::{Error, Result};
use crate::{Dataset, Targets};

/// The last choice of each user as the test set, the one before it as the validation set, and the others as the training set. A user with
/// two choices has one in the training and one in the test set, and a user with a single one is only in the training set.
///
/// # Errors
/// Other data than choices of users, a column that cannot order them, and data without a user with three choices.
pub fn split(dataset: &Dataset, column: Option<&ColumnChoice>) -> Result<Split> {
    if dataset.targets != Targets::Interactions {
        let problem = "--split leave-one-out leaves out a choice of each user, so it needs --user and --item";
        return Err(Error::Usage(problem.to_string()));
    }
    refuse_own_split(dataset)?;
    let times = column.map(|column| times(dataset, column)).transpose()?;
    let mut rows_of: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (row, user) in dataset.labels.iter().enumerate() {
        rows_of.entry(*user).or_default().push(row);
    }
    let mut split = Split { train: Vec::new(), validation: Vec::new(), test: Vec::new(), folds: None };
    for mut rows in rows_of.into_values() {
        if let Some(times) = &times {
            rows.sort_by(|a, b| times[*a].total_cmp(&times[*b]));
        }
        let mut rows: Vec<i64> = rows.into_iter().map(|row| row as i64).collect();
        if rows.len() > 1 {
            split.test.extend(rows.pop());
        }
        if rows.len() > 1 {
            split.validation.extend(rows.pop());
        }
        split.train.append(&mut rows);
    }
    if split.validation.is_empty() {
        let problem = "no user has three choices, so --split leave-one-out leaves no validation set";
        return Err(Error::data(dataset.path.as_path(), problem));
    }
    for part in [&mut split.train, &mut split.validation, &mut split.test] {
        part.sort_unstable();
    }
    Ok(split)
}
