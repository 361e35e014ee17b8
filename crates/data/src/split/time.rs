//! Splits by time: the newest examples are the test set.

use std::collections::BTreeSet;

use super::Split;
use crate::cell::is_missing;
use crate::column_choice::ColumnChoice;
use crate::error::{Error, Location, Result, quoted};
use crate::format::csv::{date_order, read_column};
use crate::notation::days;
use crate::{Dataset, Names};

/// The newest `share` of the examples (rounded) as the test set, the same number before them as the validation set, and the others as
/// the training set. Of equal times, the example that comes later in the data is newer.
///
/// # Errors
/// Data that is not a table, a column that does not exist or has anything but numbers or dates, and fewer than three examples.
pub fn split(dataset: &Dataset, column: &ColumnChoice, share: f64) -> Result<Split> {
    refuse_own_split(dataset)?;
    let times = times(dataset, column)?;
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by(|a, b| times[*a].total_cmp(&times[*b]));
    let count = ((order.len() as f64 * share).round() as usize).max(1);
    let Some(train) = order.len().checked_sub(2 * count).filter(|train| *train > 0) else {
        let problem = format!(
            "--split time: the test set and the validation set have {count} example(s) each, which leaves none of {} for training; lower --validation",
            order.len()
        );
        return Err(Error::data(dataset.path.as_path(), problem));
    };
    let sorted = |rows: &[usize]| {
        let mut rows: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
        rows.sort_unstable();
        rows
    };
    Ok(Split {
        train: sorted(&order[..train]),
        validation: sorted(&order[train..train + count]),
        test: sorted(&order[train + count..]),
        folds: None,
    })
}

/// Refuses data whose source defines the split.
pub(super) fn refuse_own_split(dataset: &Dataset) -> Result<()> {
    if dataset.portions.is_none() {
        return Ok(());
    }
    let problem =
        "the data has a split of its own, which --split cannot replace; use it without --split, or remove it";
    Err(Error::data(dataset.path.as_path(), problem))
}

/// The time of each example: the number in its cell, or the days of a date since 1970-01-01.
pub(super) fn times(dataset: &Dataset, choice: &ColumnChoice) -> Result<Vec<f64>> {
    let lines = match &dataset.names {
        Names::Lines { lines, .. } => lines.as_slice(),
        _ => {
            let problem = format!(
                "--split: {} is not a table, so it has no column {}; write the names of the newest examples to a file and use --test-list",
                dataset.path.display(),
                quoted(&choice.to_string())
            );
            return Err(Error::Usage(problem));
        }
    };
    let mut column = read_column(&dataset.path, choice, lines.first().copied().unwrap_or(0))?;
    let cells: Vec<String> = lines.iter().map(|line| column.cells.remove(line).unwrap_or_default()).collect();
    let at = |row: usize| Location::line(&dataset.path, lines[row]).column(column.name.clone());
    if let Some(row) = cells.iter().position(|cell| is_missing(cell.as_bytes())) {
        let problem = "the time is missing, so --split cannot order the row; fill it in or remove the row";
        return Err(Error::data(at(row), problem));
    }
    let number = |cell: &String| cell.parse::<f64>().ok().filter(|number| number.is_finite());
    // What the column has is decided by the first cell, so that an error names the cell that differs.
    if cells.first().is_some_and(|cell| number(cell).is_some()) {
        let of_cell = |(row, cell): (usize, &String)| {
            number(cell).ok_or_else(|| {
                Error::data(at(row), format!("{} is not a number, unlike the times above", quoted(cell)))
            })
        };
        return cells.iter().enumerate().map(of_cell).collect();
    }
    let distinct: BTreeSet<&str> = cells.iter().map(String::as_str).collect();
    let order = match date_order(distinct.into_iter()) {
        Some((order, None)) => order,
        Some((_, Some(example))) => {
            let problem = format!(
                "day and month are ambiguous in dates such as {}; write them as 2020-12-31",
                quoted(&example)
            );
            return Err(Error::data(Location::from(&*dataset.path).column(column.name.clone()), problem));
        }
        None => {
            let problem = format!(
                "{} is neither a number nor a date, so --split cannot order the rows by this column",
                quoted(&cells[0])
            );
            return Err(Error::data(at(0), problem));
        }
    };
    let of_cell = |(row, cell): (usize, &String)| {
        days(cell, order).ok_or_else(|| {
            let problem = format!("{} is not a date such as {}", quoted(cell), order.example());
            Error::data(at(row), problem)
        })
    };
    cells.iter().enumerate().map(of_cell).collect()
}
