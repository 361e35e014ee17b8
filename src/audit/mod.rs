//! What is wrong with data, before it costs a week. Nothing is changed: findings are reported, and examples that had
//! better be left out are written to a list that `--exclude` takes.

mod classes;
mod columns;
mod duplicates;
mod looks;
mod outliers;
mod page;
mod report;
#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::data::{DataOptions, Dataset, options::Missing, read};
use crate::error::Result;
use looks::Look;
pub use page::to_page;
pub use report::{to_list, to_text};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Note,
    /// The model will probably be worse for it.
    Warning,
    /// Figures will be wrong, or training will fail.
    Fault,
}

/// An example that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mention {
    /// Its index in the data set.
    #[serde(skip)]
    pub index: usize,
    /// What it is called.
    pub name: String,
    /// Its class.
    pub label: String,
    /// What is to be said of it, such as the example that it equals.
    pub remark: String,
    /// Whether it had better be left out.
    pub leave_out: bool,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check that found it.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was found, in a sentence.
    pub summary: String,
    /// What to do.
    pub advice: &'static str,
    /// The examples that it is about, if it is about some.
    pub examples: Vec<Mention>,
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The data.
    pub data: String,
    /// The number of examples.
    pub rows: usize,
    /// The classes, with the number of their examples.
    pub classes: Vec<(String, usize)>,
    /// The findings, the worst first.
    pub findings: Vec<Finding>,
}

impl Audit {
    /// Is there anything but notes?
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Note)
    }
}

/// The examples that are looked at, with what is needed to look.
struct Subject<'a> {
    dataset: &'a Dataset,
    /// What each picture looks like, or why it cannot be read; empty for tables.
    looks: &'a [std::result::Result<Look, String>],
    /// SHA-256 of each example's bytes (of a picture: of its file), if they can be read.
    hashes: &'a [Option<Vec<u8>>],
    /// The columns of a table by name; empty for pictures.
    columns: &'a [(String, Vec<f32>)],
}

/// A check: what it finds in the data.
type Check = fn(&Subject) -> Vec<Finding>;

/// All checks.
const CHECKS: &[Check] = &[
    looks::unreadable,
    duplicates::exact,
    duplicates::near,
    classes::imbalance,
    columns::constant,
    columns::leaking,
    columns::missing,
    outliers::values,
    outliers::pictures,
    outliers::sizes,
];

/// Reads data and checks it, pictures in `threads` threads.
///
/// # Errors
/// Data that cannot be read at all.
pub fn audit(source: &str, options: &DataOptions, threads: usize) -> Result<(Audit, Dataset)> {
    // Missing values are counted here, not refused.
    let missing = if options.missing == Missing::Error { Missing::Mean } else { options.missing };
    let dataset = read(source, &DataOptions { missing, ..options.clone() })?;
    let looks = looks::of(&dataset, threads);
    let (hashes, columns) = (duplicates::hashes(&dataset), columns::of(&dataset));
    let subject = Subject { dataset: &dataset, looks: &looks, hashes: &hashes, columns: &columns };
    let mut findings: Vec<_> = CHECKS.iter().flat_map(|check| check(&subject)).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let counts = classes::counts(&dataset);
    let audit = Audit {
        data: dataset.path.display().to_string(),
        rows: dataset.rows(),
        classes: dataset.classes.iter().cloned().zip(counts).collect(),
        findings,
    };
    Ok((audit, dataset))
}

impl Subject<'_> {
    fn mention(&self, index: usize, remark: impl Into<String>, leave_out: bool) -> Mention {
        let Dataset { names, classes, labels, .. } = self.dataset;
        let label = classes[labels[index] as usize].clone();
        Mention { index, name: names.name(index), label, remark: remark.into(), leave_out }
    }

    /// The looks of the pictures that could be read, with their indexes.
    fn seen(&self) -> impl Iterator<Item = (usize, &Look)> {
        self.looks.iter().enumerate().filter_map(|(index, look)| Some((index, look.as_ref().ok()?)))
    }
}
