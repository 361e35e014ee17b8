//! What is wrong with data, before it costs a week. Nothing is changed: findings are reported, and examples that had
//! better be left out are written to a list that `--exclude` takes.

mod classes;
mod columns;
mod duplicates;
mod index;
mod lookalikes;
mod looks;
mod outliers;
mod report;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Serialize;

use crate::error::Result;
use crate::format::{self, csv};
use crate::{DataOptions, Dataset, options::Missing, read};
use looks::Look;
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
    classes::unknown,
    lookalikes::classes,
    lookalikes::categories,
    index::counting,
    classes::lacking,
    columns::constant,
    columns::leaking,
    columns::missing,
    outliers::values,
    outliers::pictures,
    outliers::nearly_empty,
    outliers::sizes,
];

/// The checks that cost next to nothing.
const QUICK: &[Check] = &[classes::unknown, lookalikes::classes, lookalikes::categories, index::counting];

/// What the checks find that cost next to nothing, a sentence each, for whoever trains without an audit. Some images are decoded
/// in `threads` threads.
pub fn quick(dataset: &Dataset, threads: usize) -> Vec<String> {
    // Without a copy of the columns, which may be large.
    let subject = Subject { dataset, looks: &[], hashes: &[], columns: &[] };
    let findings = QUICK.iter().flat_map(|check| check(&subject)).map(|finding| finding.summary);
    let alike = looks::all_alike(dataset, threads);
    findings.chain(alike.map(|problem| format!("{problem}; `cresset data audit` names them"))).collect()
}

/// Reads data and checks it, pictures in `threads` threads. What is wrong with a table's cells is found too, and the other
/// checks are then made of what is left without them.
///
/// # Errors
/// Data that cannot be read at all.
pub fn audit(source: &str, options: &DataOptions, threads: usize) -> Result<(Audit, Dataset)> {
    // Missing values are counted here, not refused.
    let missing = if options.missing == Missing::Error { Missing::Mean } else { options.missing };
    let (dataset, mut findings) = match read(source, &DataOptions { missing, ..options.clone() }) {
        Ok(dataset) => (dataset, Vec::new()),
        Err(error) => read_without_faults(source, options).ok_or(error)?,
    };
    let looks = looks::of(&dataset, threads);
    let (hashes, columns) = (duplicates::hashes(&dataset), columns::of(&dataset));
    let subject = Subject { dataset: &dataset, looks: &looks, hashes: &hashes, columns: &columns };
    findings.extend(CHECKS.iter().flat_map(|check| check(&subject)));
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

/// Reads a table without its faults, and gives them as findings; none if it must be corrected first, or is no table.
fn read_without_faults(source: &str, options: &DataOptions) -> Option<(Dataset, Vec<Finding>)> {
    let path = Path::new(source);
    let is_table = path.is_file() && format::of(path, options).is_ok_and(|format| format.name() == "csv");
    let faults = csv::Faults::of(path, options).ok().filter(|_| is_table)?;
    let dataset = read(source, faults.remedied.as_ref()?).ok()?;
    let finding = |csv::Fault { check, summary, advice }| Finding {
        check,
        severity: Severity::Fault,
        summary,
        advice,
        examples: Vec::new(),
    };
    let mut findings: Vec<_> = faults.all.into_iter().map(finding).collect();
    findings.push(Finding {
        check: "without-faults",
        severity: Severity::Note,
        summary: format!("the other checks were made without what is wrong, as by: {}", faults.command),
        advice: "correct the table, or train in this way",
        examples: Vec::new(),
    });
    Some((dataset, findings))
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
