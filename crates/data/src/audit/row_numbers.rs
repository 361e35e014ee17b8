//! Columns that number the rows. They predict the label if the file is sorted by it, but not for new rows.

use super::{AuditedData, Finding, Severity};
use crate::column::{Column, ColumnKind};
use crate::error::excerpt;
use crate::identifier::{are_whole, is_index_name, is_row_number};
use crate::{Dataset, Strata};

/// With fewer rows, values may count up by chance.
const MIN_ROWS: usize = 10;

/// How much better than the majority-class baseline a column must predict the label, as a share of the
/// remaining errors.
const MIN_IMPROVEMENT: f64 = 0.5;

/// Columns that number the rows, by their values or their names.
pub(crate) fn row_numbers(audited: &AuditedData) -> Vec<Finding> {
    let dataset = audited.dataset;
    let rows = dataset.rows();
    if rows < MIN_ROWS {
        return Vec::new();
    }
    let Strata { of_example, count } = dataset.strata();
    let baseline = super::largest(&of_example, count) as f64 / rows as f64;
    let mut findings = Vec::new();
    for (at, name, position) in numeric(dataset) {
        let name = name.as_str();
        // The first values rule out most columns, which need no copy then.
        let first: Vec<f32> = super::columns::values(dataset, at).take(3).collect();
        if !is_index_name(name) && !is_monotonic(&first) {
            continue;
        }
        let values: Vec<f32> = super::columns::values(dataset, at).collect();
        let numbers = is_row_number(name, &values);
        if !numbers && !is_monotonic(&values) {
            continue;
        }
        let accuracy = super::columns::prediction_accuracy(&values, &of_example, count);
        let is_predictive = accuracy > baseline + MIN_IMPROVEMENT * (1. - baseline);
        // An increasing column, such as a time, is an input unless it predicts the label.
        if !numbers && !is_predictive {
            continue;
        }
        let number = position + 1;
        let shown = match name.trim() {
            name if name.is_empty() || name == number.to_string() => number.to_string(),
            name => format!("{number} ({})", excerpt(name)),
        };
        let why = match is_predictive {
            true => format!(
                " and predicts {:.1} % of the labels because the file is sorted; new rows have other numbers",
                100. * accuracy
            ),
            false => ", which cannot generalize to new rows".to_string(),
        };
        findings.push(Finding {
            check: "index-column",
            severity: if is_predictive { Severity::Fault } else { Severity::Warning },
            summary: format!("column {shown} numbers the rows{why}; remove it with --ignore {number}"),
            advice: "remove it with --ignore",
            examples: Vec::new(),
        });
    }
    findings
}

/// The numeric columns of a table: feature index, name, and index among all columns.
fn numeric(dataset: &Dataset) -> Vec<(usize, String, usize)> {
    let names = super::columns::names(dataset);
    let Some(table) = dataset.table.as_ref().filter(|_| !names.is_empty()) else {
        return names.into_iter().enumerate().map(|(at, name)| (at, name, at)).collect();
    };
    let mut first = 0;
    let feature = |column: &Column| {
        first += column.features();
        let at = first - column.features();
        (column.kind == ColumnKind::Number).then(|| (at, column.name.clone(), column.position))
    };
    table.columns.iter().filter_map(feature).collect()
}

/// Whether the values are integers that strictly increase or decrease.
fn is_monotonic(values: &[f32]) -> bool {
    are_whole(values) && (values.is_sorted_by(|a, b| a < b) || values.is_sorted_by(|a, b| a > b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn increasing_and_decreasing_integers_are_monotonic() {
        let up: Vec<f32> = (0..20u8).map(f32::from).collect();
        let shuffled: Vec<f32> = (0..20u8).map(|row| f32::from(row * 7 % 20) + 100.).collect();
        let often: Vec<f32> = (0..20u8).map(|row| f32::from(row / 4)).collect();
        let gaps: Vec<f32> = (0..20u8).map(|row| 900. - f32::from(row * 3)).collect();
        assert!(is_monotonic(&gaps) && is_monotonic(&up));
        assert!(!is_monotonic(&often) && !is_monotonic(&shuffled) && !is_monotonic(&[0.5, 1.5]));
    }
}
