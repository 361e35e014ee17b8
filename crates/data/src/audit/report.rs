//! Formats findings as text and as an exclusion list.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Audit, Finding, Quantity, Severity};
use crate::terminal;
use crate::{LabelPair, TaskKind, lists};

/// The maximum number of examples per finding.
const SHOWN: usize = 5;

/// The maximum number of classes or labels.
const CLASSES: usize = 20;

/// The maximum number of pairs of labels.
const PAIRS: usize = 5;

impl Severity {
    /// The severity as a word.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Fault => "FAULT",
        }
    }
}

impl Audit {
    /// The classes, labels or quantity of the examples, as in `3 classes`.
    pub fn targets(&self) -> String {
        match (self.task, &self.quantity) {
            (_, Some(Quantity { name, values })) => {
                let rounded = |value: f64| (value * 1e4).round() / 1e4;
                let [min, max] = [values.min, values.max].map(rounded);
                let [mean, deviation] = [values.mean, values.deviation].map(rounded);
                let name = terminal::line(name);
                format!("{name} from {min} to {max}, mean {mean}, standard deviation {deviation}")
            }
            (TaskKind::Multilabel, _) => {
                let labels: usize = self.classes.iter().map(|(_, count)| count).sum();
                let each = labels as f64 / self.rows.max(1) as f64;
                let without = self.label_set_sizes.first().copied().unwrap_or(0);
                format!(
                    "{} labels, {each:.2} per example, {without} examples without labels",
                    self.classes.len()
                )
            }
            (TaskKind::Ranking, _) => "choices of items by users".to_string(),
            _ => format!("{} classes", self.classes.len()),
        }
    }
}

/// The findings as text for a terminal.
pub fn to_text(audit: &Audit) -> String {
    let data = terminal::line(&audit.data);
    let mut text = format!("{data}: {} examples, {}\n", audit.rows, audit.targets());
    for (class, count) in audit.classes.iter().take(CLASSES) {
        writeln!(text, "  {count:>8}  {}", terminal::line(class)).expect("writing to a string does not fail");
    }
    if audit.classes.len() > CLASSES {
        writeln!(text, "  … and {} more", audit.classes.len() - CLASSES)
            .expect("writing to a string does not fail");
    }
    let pair = |LabelPair { a, b, rows }: &LabelPair| {
        format!("{rows} {} and {}", terminal::line(a), terminal::line(b))
    };
    let pairs: Vec<_> = audit.label_pairs.iter().take(PAIRS).map(pair).collect();
    if !pairs.is_empty() {
        writeln!(text, "  most frequent pairs: {}", pairs.join(", "))
            .expect("writing to a string does not fail");
    }
    for line in audit.texts.iter().flat_map(|texts| texts.lines()) {
        writeln!(text, "  {line}").expect("writing to a string does not fail");
    }
    if audit.findings.is_empty() {
        text += "\nno problems found\n";
    }
    audit.findings.iter().for_each(|finding| write_finding(finding, &mut text));
    text
}

fn write_finding(finding: &Finding, text: &mut String) {
    let Finding { check, severity, summary, advice, examples } = finding;
    let summary = terminal::line(summary);
    writeln!(text, "\n{:<8} {check}: {summary}\n         → {advice}", severity.word())
        .expect("writing to a string does not fail");
    for example in examples.iter().take(SHOWN) {
        let example = format!("{} ({}): {}", example.name, example.label, example.remark);
        writeln!(text, "           {}", terminal::line(&example)).expect("writing to a string does not fail");
    }
    if examples.len() > SHOWN {
        writeln!(text, "           … and {} more", examples.len() - SHOWN)
            .expect("writing to a string does not fail");
    }
}

/// The list of examples to exclude, for `--exclude`: one name per line, followed by a tab and the reason.
pub fn to_list(audit: &Audit) -> String {
    let mut reasons: BTreeMap<usize, (&str, Vec<String>)> = BTreeMap::new();
    for finding in &audit.findings {
        for example in finding.examples.iter().filter(|example| example.leave_out) {
            let (_, why) = reasons.entry(example.index).or_insert((&example.name, Vec::new()));
            why.push(format!("{}: {}", finding.check, example.remark));
        }
    }
    let mut text = format!(
        "# Examples of {} to exclude. Delete the lines of examples to keep, then pass this file to\n# cresset train --exclude.\n",
        terminal::line(&audit.data)
    );
    for (name, why) in reasons.values() {
        let why = why.join("; ");
        writeln!(text, "{}\t{}", lists::written(name), terminal::line(&why))
            .expect("writing to a string does not fail");
    }
    text
}
