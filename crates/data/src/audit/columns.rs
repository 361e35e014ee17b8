//! Columns of a table that tell nothing, too much, or that lack values.

use super::{Finding, Severity, Subject};
use crate::error::quoted;
use crate::{Dataset, Inputs};

/// Rows whose column alone says the label this often do not need a model.
const LEAKING: f64 = 0.99;

/// Nor does a data set that has one label this often, so nothing is said of its columns.
const TRIVIAL: f64 = 0.95;

/// The groups that the values of a column are put into.
const GROUPS: usize = 64;

/// The names of a table's features; none for pictures and for undecoded data.
pub fn names(dataset: &Dataset) -> Vec<String> {
    let (None, Inputs::Floats(_)) = (dataset.shape.image(), &dataset.inputs) else { return Vec::new() };
    dataset.table.as_ref().map_or_else(
        || (1..=dataset.shape.features()).map(|number| number.to_string()).collect(),
        |table| table.feature_names(),
    )
}

/// The values of a feature of a table, row by row.
pub fn values(dataset: &Dataset, feature: usize) -> impl Iterator<Item = f32> {
    let Inputs::Floats(values) = &dataset.inputs else { unreachable!("it has no feature of a name") };
    values.iter().skip(feature).step_by(dataset.shape.features() as usize).copied()
}

/// The names of a table's features, and their values; none for pictures and for undecoded data.
pub fn of(dataset: &Dataset) -> Vec<(String, Vec<f32>)> {
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

/// Columns that have one value.
pub fn constant(subject: &Subject) -> Vec<Finding> {
    let is_constant = |values: &[f32]| {
        let mut present = values.iter().filter(|value| !value.is_nan());
        let first = present.next();
        present.all(|value| Some(value) == first)
    };
    let constant = subject.columns.iter().filter(|(_, values)| is_constant(values));
    let names: Vec<_> = constant.map(|(name, _)| name.clone()).collect();
    let summary = format!("{} column(s) have the same value in every row", names.len());
    finding("constant-columns", Severity::Note, summary, "leave them out with --ignore", &names)
}

/// Columns that lack values.
pub fn missing(subject: &Subject) -> Vec<Finding> {
    let count = |values: &[f32]| values.iter().filter(|value| value.is_nan()).count();
    let lacking = subject.columns.iter().map(|(name, values)| (name, count(values)));
    let names: Vec<_> =
        lacking.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} ({count})")).collect();
    let summary = format!("{} column(s) lack values", names.len());
    let advice = "say what becomes of them with --missing drop, mean or median";
    finding("missing-values", Severity::Warning, summary, advice, &names)
}

/// Columns by which alone the label can be told, such as a diagnosis code among the findings.
pub fn leaking(subject: &Subject) -> Vec<Finding> {
    let dataset = subject.dataset;
    let most = super::classes::counts(dataset).into_iter().max().unwrap_or(0);
    if most as f64 >= TRIVIAL * dataset.rows() as f64 {
        return Vec::new();
    }
    let foretells = |values: &[f32]| foretells(values, &dataset.labels, dataset.classes.len());
    let leaking = subject.columns.iter().filter(|(_, values)| foretells(values) >= LEAKING);
    let names: Vec<_> = leaking.map(|(name, _)| name.clone()).collect();
    let summary = format!("{} column(s) tell the label by themselves", names.len());
    let advice = "find out whether they are known before the label is; if not, leave them out with --ignore";
    finding("leaking-columns", Severity::Fault, summary, advice, &names)
}

/// How often a column alone tells the label: its values are put into groups of about equal size by one half of the rows,
/// and the other half is told by the most frequent label of each group. A number that every row has for itself, such as a
/// number of the row, so tells nothing unless the labels stand in order.
pub(super) fn foretells(values: &[f32], labels: &[i64], classes: usize) -> f64 {
    let present = |row: &usize| !values[*row].is_nan();
    let mut learned: Vec<usize> = (0..values.len()).step_by(2).filter(present).collect();
    let told: Vec<usize> = (1..values.len()).step_by(2).filter(present).collect();
    if learned.len() < 2 * classes || told.is_empty() {
        return 0.;
    }
    learned.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    // A group ends where the value changes, so that equal values are together.
    let size = learned.len().div_ceil(GROUPS);
    let mut groups: Vec<(f32, Vec<usize>)> = Vec::new();
    for row in &learned {
        let is_full = groups.last().is_none_or(|(greatest, counts)| {
            *greatest != values[*row] && counts.iter().sum::<usize>() >= size
        });
        if is_full {
            groups.push((values[*row], vec![0; classes]));
        }
        let (greatest, counts) = groups.last_mut().expect("a group was begun");
        *greatest = values[*row];
        counts[labels[*row] as usize] += 1;
    }
    let is_right = |row: &&usize| {
        let at = groups.partition_point(|(greatest, _)| *greatest < values[**row]).min(groups.len() - 1);
        let counts = &groups[at].1;
        let best = (0..classes).max_by_key(|class| counts[*class]).expect("there are classes");
        best as i64 == labels[**row]
    };
    // A value that is missing tells nothing.
    told.iter().filter(is_right).count() as f64 / (values.len() / 2) as f64
}
