//! Columns that number the rows. They predict the label if the file is sorted by it, but not for new rows.

use super::{AuditedData, Finding, Severity};
use crate::column::{Column, ColumnKind};
use crate::error::excerpt;
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

/// Whether the values are integers that count 0, 1, 2, … or 1, 2, 3, …, or that are nearly all different in a
/// column with a name such as `id`.
fn is_row_number(name: &str, values: &[f32]) -> bool {
    if !are_whole(values) {
        return false;
    }
    if counts_up(values) {
        return true;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    is_index_name(name) && sorted.windows(2).filter(|pair| pair[0] == pair[1]).count() * 100 <= values.len()
}

/// Whether the values are 0, 1, 2, … or 1, 2, 3, …
fn counts_up(values: &[f32]) -> bool {
    let begins = values.first().is_some_and(|first| *first == 0. || *first == 1.);
    begins && values.windows(2).all(|pair| pair[1] - pair[0] == 1.)
}

fn are_whole(values: &[f32]) -> bool {
    values.iter().all(|value| value.is_finite() && value.fract() == 0.)
}

/// Whether the values are integers that strictly increase or decrease.
fn is_monotonic(values: &[f32]) -> bool {
    are_whole(values) && (values.is_sorted_by(|a, b| a < b) || values.is_sorted_by(|a, b| a > b))
}

/// Whether the name suggests row numbers or identifiers.
fn is_index_name(name: &str) -> bool {
    let words = name.trim().to_lowercase().replace([' ', '-', '.'], "_");
    matches!(
        words.as_str(),
        "" | "id"
            | "ids"
            | "index"
            | "idx"
            | "row"
            | "rows"
            | "row_id"
            | "row_number"
            | "rownames"
            | "no"
            | "nr"
            | "number"
            | "key"
    ) || words.starts_with("unnamed:_")
        || words.ends_with("_id")
        || words.ends_with("_index")
        || name.ends_with("Id") && name.len() > 2
        || name.ends_with("ID") && name.len() > 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_numbers_are_recognized() {
        let up: Vec<f32> = (0..20u8).map(f32::from).collect();
        let shuffled: Vec<f32> = (0..20u8).map(|row| f32::from(row * 7 % 20) + 100.).collect();
        let often: Vec<f32> = (0..20u8).map(|row| f32::from(row / 4)).collect();
        assert!(is_row_number("x", &up) && is_row_number("", &up));
        for name in ["", "id", "Unnamed: 0", "PassengerId", "row id", "customerID", "Index"] {
            assert!(is_row_number(name, &shuffled), "{name}");
            assert!(!is_row_number(name, &often), "{name}");
        }
        for name in ["width", "age", "grid", "paid", "humid"] {
            assert!(!is_row_number(name, &shuffled), "{name}");
        }
        let gaps: Vec<f32> = (0..20u8).map(|row| 900. - f32::from(row * 3)).collect();
        assert!(is_monotonic(&gaps) && is_monotonic(&up));
        assert!(!is_monotonic(&often) && !is_monotonic(&shuffled) && !is_monotonic(&[0.5, 1.5]));
        assert!(!is_row_number("id", &[0.5; 20]) && !is_row_number("id", &[f32::NAN; 20]));
    }
}
