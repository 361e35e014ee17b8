//! Data audit: finds problems before training. It changes nothing; findings are reported, and examples that
//! should be removed are written to a list for `--exclude`.

mod classes;
mod columns;
mod duplicates;
mod image_stats;
mod outliers;
mod report;
mod row_numbers;
mod similar_names;
#[cfg(test)]
mod tests;
mod texts;

use std::path::Path;

use serde::Serialize;

use crate::error::Result;
use crate::format::options::{DataOptions, Missing};
use crate::format::{self, csv};
use crate::{Dataset, LabelPair, TaskKind, ValueSummary, read};
use image_stats::ImageStatistics;
pub use report::{to_list, to_text};
pub use texts::{Distribution, LeakingPhrase, TextLengths};

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Information.
    Note,
    /// Probably makes the model worse.
    Warning,
    /// Makes metrics wrong, or training fail.
    Fault,
}

/// An example of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlaggedExample {
    /// The index in the data set.
    #[serde(skip)]
    pub index: usize,
    /// The name.
    pub name: String,
    /// The class, the labels or the value.
    pub label: String,
    /// A comment, such as the example that it duplicates.
    pub remark: String,
    /// Whether it should be excluded.
    pub leave_out: bool,
}

/// A problem found by a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check that found it.
    pub check: &'static str,
    /// The severity.
    pub severity: Severity,
    /// The problem, as a sentence.
    pub summary: String,
    /// The remedy.
    pub advice: &'static str,
    /// The affected examples, if any.
    pub examples: Vec<FlaggedExample>,
}

/// The result of an audit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Audit {
    /// The path of the data.
    pub data: String,
    /// The number of examples.
    pub rows: usize,
    /// The task that the labels are read for.
    pub task: TaskKind,
    /// The classes or labels, each with its number of examples; empty for a quantity.
    pub classes: Vec<(String, usize)>,
    /// The number of examples with no label, one label, two labels and so on; empty for other tasks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub label_set_sizes: Vec<usize>,
    /// The labels that occur together, the most frequent pair first; empty for other tasks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub label_pairs: Vec<LabelPair>,
    /// The quantity; none for other tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// The lengths of texts; none for other data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub texts: Option<TextLengths>,
    /// The findings, most severe first.
    pub findings: Vec<Finding>,
}

/// The quantity that a regression predicts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quantity {
    /// The name.
    pub name: String,
    /// The distribution over the examples.
    #[serde(flatten)]
    pub values: ValueSummary,
}

impl Audit {
    /// Whether all findings are notes.
    pub fn has_only_notes(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Note)
    }
}

/// The audited data, with precomputed statistics.
struct AuditedData<'a> {
    dataset: &'a Dataset,
    /// The statistics of each image, or why it cannot be read; empty for tables.
    image_stats: &'a [std::result::Result<ImageStatistics, String>],
    /// SHA-256 of each example's bytes (for images, of the file), if they can be read.
    hashes: &'a [Option<Vec<u8>>],
    /// The columns of a table by name; empty for images.
    columns: &'a [(String, Vec<f32>)],
    /// The phrases of texts that alone predict a class.
    phrases: &'a [LeakingPhrase],
}

/// The size of the largest of `count` groups.
fn largest(of_example: &[i64], count: usize) -> usize {
    let mut sizes = vec![0; count];
    of_example.iter().for_each(|group| sizes[*group as usize] += 1);
    sizes.into_iter().max().unwrap_or(0)
}

/// A check: returns findings on the data.
type Check = fn(&AuditedData) -> Vec<Finding>;

/// All checks.
const CHECKS: &[Check] = &[
    image_stats::unreadable,
    duplicates::exact,
    duplicates::near,
    classes::imbalance,
    classes::unknown,
    similar_names::classes,
    similar_names::categories,
    row_numbers::row_numbers,
    classes::missing_in_subset,
    columns::constant,
    columns::leaking,
    columns::missing,
    outliers::values,
    outliers::blank_images,
    outliers::nearly_empty,
    outliers::sizes,
    texts::empty,
    texts::near,
    texts::leaking,
    texts::encodings,
    texts::control,
];

/// The cheap checks.
const CHEAP_CHECKS: &[Check] =
    &[classes::unknown, similar_names::classes, similar_names::categories, row_numbers::row_numbers];

/// Runs the cheap checks before training and returns a sentence per finding. Samples of images are decoded in
/// `threads` threads.
pub fn quick(dataset: &Dataset, threads: usize) -> Vec<String> {
    // Without a copy of the columns, which may be large.
    let audited = AuditedData { dataset, image_stats: &[], hashes: &[], columns: &[], phrases: &[] };
    let findings = CHEAP_CHECKS.iter().flat_map(|check| check(&audited)).map(|finding| finding.summary);
    let identical = image_stats::mostly_identical(dataset, threads);
    findings
        .chain(identical.map(|problem| format!("{problem}; run `cresset data audit` to list them")))
        .collect()
}

/// Reads data and runs all checks, with images decoded in `threads` threads. If a table has invalid cells,
/// they are reported and the other checks run without them.
///
/// # Errors
/// Data that cannot be read at all.
pub fn audit(source: &str, options: &DataOptions, threads: usize) -> Result<(Audit, Dataset)> {
    // Missing values are reported as a finding instead of an error.
    let missing = if options.missing == Missing::Error { Missing::Value } else { options.missing };
    let (dataset, mut findings) = match read(source, &DataOptions { missing, ..options.clone() }) {
        Ok(dataset) => (dataset, Vec::new()),
        Err(error) => read_without_faults(source, options).ok_or(error)?,
    };
    if findings.iter().all(|finding| finding.check != csv::MISSING_LABELS) {
        findings.extend(missing_labels(source, options));
    }
    let image_stats = image_stats::of(&dataset, threads);
    let (hashes, columns) = (duplicates::hashes(&dataset), columns::of(&dataset));
    let phrases = texts::phrases(&dataset);
    let audited = AuditedData {
        dataset: &dataset,
        image_stats: &image_stats,
        hashes: &hashes,
        columns: &columns,
        phrases: &phrases,
    };
    findings.extend(CHECKS.iter().flat_map(|check| check(&audited)));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let counts = dataset.label_counts();
    let audit = Audit {
        data: dataset.path.display().to_string(),
        rows: dataset.rows(),
        task: dataset.task(),
        classes: dataset.classes.iter().cloned().zip(counts).collect(),
        label_set_sizes: dataset.label_set_sizes(),
        label_pairs: dataset.label_pairs(),
        quantity: quantity(&dataset),
        texts: TextLengths::of(&dataset, phrases),
        findings,
    };
    Ok((audit, dataset))
}

fn quantity(dataset: &Dataset) -> Option<Quantity> {
    let values = dataset.value_summary_of(0..dataset.rows())?;
    Some(Quantity { name: dataset.classes.first()?.clone(), values })
}

/// The rows of a table that have no label, which are not read.
fn missing_labels(source: &str, options: &DataOptions) -> Option<Finding> {
    let strict = DataOptions { missing: Missing::Error, ..options.clone() };
    let faults = faults(source, &strict)?.all;
    faults.into_iter().find(|fault| fault.check == csv::MISSING_LABELS).map(finding)
}

/// The invalid cells of a table; `None` if the data is not a table.
fn faults(source: &str, options: &DataOptions) -> Option<csv::Faults> {
    let path = Path::new(source);
    let is_table = path.is_file()
        && format::of(path, options).is_ok_and(|format| ["csv", "records"].contains(&format.name()));
    if is_table { csv::Faults::of(path, options).ok() } else { None }
}

fn finding(csv::Fault { check, summary, advice }: csv::Fault) -> Finding {
    Finding { check, severity: Severity::Fault, summary, advice, examples: Vec::new() }
}

/// Reads a table without its invalid cells and reports them as findings; `None` if the table must be
/// corrected first, or the data is not a table.
fn read_without_faults(source: &str, options: &DataOptions) -> Option<(Dataset, Vec<Finding>)> {
    let faults = faults(source, options)?;
    let dataset = read(source, faults.remedied.as_ref()?).ok()?;
    let mut findings: Vec<_> = faults.all.into_iter().map(finding).collect();
    findings.push(Finding {
        check: "without-faults",
        severity: Severity::Note,
        summary: format!("the other checks ignore the invalid cells, like this command: {}", faults.command),
        advice: "correct the table, or train with these options",
        examples: Vec::new(),
    });
    Some((dataset, findings))
}

impl AuditedData<'_> {
    fn flag(&self, index: usize, remark: impl Into<String>, leave_out: bool) -> FlaggedExample {
        let label = self.dataset.target_text(index);
        let name = self.dataset.names.name(index);
        FlaggedExample { index, name, label, remark: remark.into(), leave_out }
    }

    /// The statistics of the readable images, with their indexes.
    fn readable(&self) -> impl Iterator<Item = (usize, &ImageStatistics)> {
        self.image_stats.iter().enumerate().filter_map(|(index, stats)| Some((index, stats.as_ref().ok()?)))
    }
}
