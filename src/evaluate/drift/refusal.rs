//! Columns that make predictions meaningless.

use super::bins::{Bins, Variable};
use super::counter::{DriftCounter, InputCounts};
use crate::error::quoted;

/// The fewest inputs on which a column is refused.
const LEAST_ROWS: u64 = 20;

/// A column whose values are all so many times as large or small as those of the training data has another unit.
const FACTOR: f32 = 5.;

impl DriftCounter {
    /// The reasons why predictions for these inputs are meaningless: a column without values that always had values in training,
    /// and a column of numbers in another unit, all outside the training range and at least 5 times as large or small. Empty with
    /// fewer than 20 inputs.
    pub(super) fn problems(&self) -> Vec<String> {
        if self.rows < LEAST_ROWS || self.reference.channels.is_some() {
            return Vec::new();
        }
        let columns = self.reference.inputs.iter().zip(&self.inputs);
        columns.filter_map(|(variable, own)| refusal(variable, own, self.rows)).collect()
    }
}

fn refusal(variable: &Variable, own: &InputCounts, rows: u64) -> Option<String> {
    let name = quoted(&variable.name);
    if variable.without_value(&own.counts) == rows && variable.without_value(&variable.counts) == 0 {
        return Some(format!(
            "the column {name} has no known value in all {rows} rows, but always had one in the training data"
        ));
    }
    let (Bins::Number { low, edges }, Some((least, most))) = (&variable.bins, own.range) else { return None };
    let high = *edges.last()?;
    if (*low..=high).contains(&least) || (*low..=high).contains(&most) || (least < *low && most > high) {
        return None;
    }
    // Halves first: the sum of two large numbers is infinite.
    let middle = (least / 2. + most / 2.).abs();
    // A column that was constantly 0 has no unit.
    let largest = low.abs().max(high.abs());
    let is_large = largest > 0. && middle >= FACTOR * largest;
    let is_small = (*low > 0. || high < 0.) && middle <= low.abs().min(high.abs()) / FACTOR;
    (is_large || is_small).then(|| {
        format!(
            "the values of the column {name} are from {least} to {most}, but from {low} to {high} in the training data: is \
             it in another unit?"
        )
    })
}
