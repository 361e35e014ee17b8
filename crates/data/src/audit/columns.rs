//! Checks of table columns: constant, leaking the label, or with missing values.

use super::{AuditedData, Finding, Severity};
use crate::error::quoted;
use crate::{Dataset, Inputs, Strata, Targets};

/// A column that predicts the label with this accuracy leaks it.
const LEAKING: f64 = 0.99;

/// If one class has this share of the examples, prediction is trivial and leaks are not checked.
const TRIVIAL: f64 = 0.95;

/// The number of bins for the values of a column.
const BINS: usize = 64;

/// The names of a table's features; empty for images.
pub fn names(dataset: &Dataset) -> Vec<String> {
    let (None, Inputs::Floats(_)) = (dataset.shape.image(), &dataset.inputs) else { return Vec::new() };
    dataset.table.as_ref().map_or_else(
        || (1..=dataset.shape.features()).map(|number| number.to_string()).collect(),
        |table| table.feature_names(),
    )
}

/// The values of a feature of a table.
pub fn values(dataset: &Dataset, feature: usize) -> impl Iterator<Item = f32> {
    let Inputs::Floats(values) = &dataset.inputs else { unreachable!("only tables have named features") };
    values.iter().skip(feature).step_by(dataset.shape.features() as usize).copied()
}

/// The names and values of a table's features; empty for images and texts.
pub fn of(dataset: &Dataset) -> Vec<(String, Vec<f32>)> {
    if dataset.is_text() {
        return Vec::new();
    }
    let column = |(feature, name)| (name, values(dataset, feature).collect());
    names(dataset).into_iter().enumerate().map(column).collect()
}

fn finding(
    check: &'static str,
    severity: Severity,
    summary: String,
    advice: &'static str,
    names: &[String],
) -> Vec<Finding> {
    if names.is_empty() {
        return Vec::new();
    }
    let shown: Vec<_> = names.iter().take(10).map(|name| quoted(name)).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    vec![Finding {
        check,
        severity,
        summary: format!("{summary}: {}{more}", shown.join(", ")),
        advice,
        examples: Vec::new(),
    }]
}

/// Constant columns.
pub fn constant(audited: &AuditedData) -> Vec<Finding> {
    let is_constant = |values: &[f32]| {
        let mut present = values.iter().filter(|value| !value.is_nan());
        let first = present.next();
        present.all(|value| Some(value) == first)
    };
    let constant = audited.columns.iter().filter(|(_, values)| is_constant(values));
    let names: Vec<_> = constant.map(|(name, _)| name.clone()).collect();
    let summary = format!("{} column(s) have the same value in every row", names.len());
    finding("constant-columns", Severity::Note, summary, "remove them with --ignore", &names)
}

/// Columns with missing values.
pub fn missing(audited: &AuditedData) -> Vec<Finding> {
    let count = |values: &[f32]| values.iter().filter(|value| value.is_nan()).count();
    let lacking = audited.columns.iter().map(|(name, values)| (name, count(values)));
    let names: Vec<_> =
        lacking.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} ({count})")).collect();
    let summary = format!("{} column(s) have missing values", names.len());
    let advice = "handle them with --missing drop, mean or median";
    finding("missing-values", Severity::Warning, summary, advice, &names)
}

/// Columns that predict the label on their own, such as a diagnosis code.
pub fn leaking(audited: &AuditedData) -> Vec<Finding> {
    let dataset = audited.dataset;
    if dataset.targets == Targets::Interactions {
        // Choices have no label.
        return Vec::new();
    }
    let Strata { of_example, count } = dataset.strata();
    let most = super::largest(&of_example, count);
    if most as f64 >= TRIVIAL * dataset.rows() as f64 {
        return Vec::new();
    }
    let accuracy = |values: &[f32]| prediction_accuracy(values, &of_example, count);
    let leaking = audited.columns.iter().filter(|(_, values)| accuracy(values) >= LEAKING);
    let names: Vec<_> = leaking.map(|(name, _)| name.clone()).collect();
    let summary = format!("{} column(s) predict the label on their own", names.len());
    let advice = "check whether they are known before the label; if not, remove them with --ignore";
    finding("leaking-columns", Severity::Fault, summary, advice, &names)
}

/// The accuracy of predicting the label from one column. One half of the rows puts the values into bins of
/// about equal size; the other half is predicted by the most frequent label of each bin. Unique values, such
/// as row numbers, therefore predict nothing unless the rows are sorted by label.
pub(super) fn prediction_accuracy(values: &[f32], labels: &[i64], classes: usize) -> f64 {
    let present = |row: &usize| !values[*row].is_nan();
    let mut train: Vec<usize> = (0..values.len()).step_by(2).filter(present).collect();
    let test: Vec<usize> = (1..values.len()).step_by(2).filter(present).collect();
    if train.len() < 2 * classes || test.is_empty() {
        return 0.;
    }
    train.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    // A bin ends where the value changes, so that equal values share a bin.
    let size = train.len().div_ceil(BINS);
    let mut bins: Vec<(f32, Vec<usize>)> = Vec::new();
    for row in &train {
        let is_full = bins.last().is_none_or(|(greatest, counts)| {
            *greatest != values[*row] && counts.iter().sum::<usize>() >= size
        });
        if is_full {
            bins.push((values[*row], vec![0; classes]));
        }
        let (greatest, counts) = bins.last_mut().expect("there is a bin");
        *greatest = values[*row];
        counts[labels[*row] as usize] += 1;
    }
    let is_right = |row: &&usize| {
        let at = bins.partition_point(|(greatest, _)| *greatest < values[**row]).min(bins.len() - 1);
        let counts = &bins[at].1;
        let best = (0..classes).max_by_key(|class| counts[*class]).expect("there are classes");
        best as i64 == labels[**row]
    };
    // A missing value counts as a wrong prediction.
    test.iter().filter(is_right).count() as f64 / (values.len() / 2) as f64
}
