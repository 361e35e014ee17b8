//! Columns that count the rows: they tell the label where the file is sorted by it, and nothing of new rows.

use super::{Finding, Severity, Subject};
use crate::Dataset;
use crate::column::{Column, ColumnKind};
use crate::error::excerpt;

/// Fewer rows may count up by chance.
const FEWEST: usize = 10;

/// How much better than the most frequent class a column must tell the label to be said to tell it, as a share of what is
/// left.
const BETTER: f64 = 0.5;

/// Columns that number the rows, by their values or their names.
pub fn counting(subject: &Subject) -> Vec<Finding> {
    let dataset = subject.dataset;
    let rows = dataset.rows();
    if rows < FEWEST {
        return Vec::new();
    }
    let most = super::classes::counts(dataset).into_iter().max().unwrap_or(0) as f64 / rows as f64;
    let mut findings = Vec::new();
    for (at, name, position) in numeric(dataset) {
        let name = name.as_str();
        // The first values rule most columns out, which are then never copied.
        let first: Vec<f32> = super::columns::values(dataset, at).take(3).collect();
        if !is_called_so(name) && !is_monotonic(&first) {
            continue;
        }
        let values: Vec<f32> = super::columns::values(dataset, at).collect();
        let numbers = numbers_rows(name, &values);
        if !numbers && !is_monotonic(&values) {
            continue;
        }
        let told = super::columns::foretells(&values, &dataset.labels, dataset.classes.len());
        let is_telling = told > most + BETTER * (1. - most);
        // A time that rises from row to row is an input, unless it gives the label away.
        if !numbers && !is_telling {
            continue;
        }
        let number = position + 1;
        let shown = match name.trim() {
            name if name.is_empty() || name == number.to_string() => number.to_string(),
            name => format!("{number} ({})", excerpt(name)),
        };
        let why = match is_telling {
            true => format!(
                " and alone tells {:.1} % of the labels, because of the order of the file: new rows have other numbers",
                100. * told
            ),
            false => ", which says nothing of new rows".to_string(),
        };
        findings.push(Finding {
            check: "index-column",
            severity: if is_telling { Severity::Fault } else { Severity::Warning },
            summary: format!("column {shown} numbers the rows{why}; leave it out with --ignore {number}"),
            advice: "leave it out with --ignore",
            examples: Vec::new(),
        });
    }
    findings
}

/// The columns of numbers of a table: the feature of each, its name, and its place among all columns.
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

/// Whether whole numbers count 0, 1, 2, … or 1, 2, 3, …; or are all different below a name such as `id`.
fn numbers_rows(name: &str, values: &[f32]) -> bool {
    if !are_whole(values) {
        return false;
    }
    if counts_up(values) {
        return true;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    is_called_so(name) && sorted.windows(2).filter(|pair| pair[0] == pair[1]).count() * 100 <= values.len()
}

/// Whether values are 0, 1, 2, … or 1, 2, 3, …
fn counts_up(values: &[f32]) -> bool {
    let begins = values.first().is_some_and(|first| *first == 0. || *first == 1.);
    begins && values.windows(2).all(|pair| pair[1] - pair[0] == 1.)
}

fn are_whole(values: &[f32]) -> bool {
    values.iter().all(|value| value.is_finite() && value.fract() == 0.)
}

/// Whether whole numbers rise, or fall, from each row to the next.
fn is_monotonic(values: &[f32]) -> bool {
    are_whole(values) && (values.is_sorted_by(|a, b| a < b) || values.is_sorted_by(|a, b| a > b))
}

/// Whether columns of this name number rows or name them.
fn is_called_so(name: &str) -> bool {
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
    fn what_counts_the_rows_is_told_from_other_columns() {
        let up: Vec<f32> = (0..20u8).map(f32::from).collect();
        let shuffled: Vec<f32> = (0..20u8).map(|row| f32::from(row * 7 % 20) + 100.).collect();
        let often: Vec<f32> = (0..20u8).map(|row| f32::from(row / 4)).collect();
        assert!(numbers_rows("x", &up) && numbers_rows("", &up));
        for name in ["", "id", "Unnamed: 0", "PassengerId", "row id", "customerID", "Index"] {
            assert!(numbers_rows(name, &shuffled), "{name}");
            assert!(!numbers_rows(name, &often), "{name}");
        }
        for name in ["width", "age", "grid", "paid", "humid"] {
            assert!(!numbers_rows(name, &shuffled), "{name}");
        }
        let gaps: Vec<f32> = (0..20u8).map(|row| 900. - f32::from(row * 3)).collect();
        assert!(is_monotonic(&gaps) && is_monotonic(&up));
        assert!(!is_monotonic(&often) && !is_monotonic(&shuffled) && !is_monotonic(&[0.5, 1.5]));
        assert!(!numbers_rows("id", &[0.5; 20]) && !numbers_rows("id", &[f32::NAN; 20]));
    }
}
