//! Formats findings as text and as an exclusion list.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Audit, Finding, Severity};
use crate::lists;
use crate::terminal;

/// The maximum number of examples per finding.
const SHOWN: usize = 5;

/// The maximum number of classes.
const CLASSES: usize = 20;

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

/// The findings as text for a terminal.
pub fn to_text(audit: &Audit) -> String {
    let mut text = format!(
        "{}: {} examples, {} classes\n",
        terminal::line(&audit.data),
        audit.rows,
        audit.classes.len()
    );
    for (class, count) in audit.classes.iter().take(CLASSES) {
        writeln!(text, "  {count:>8}  {}", terminal::line(class)).expect("writing to a string does not fail");
    }
    if audit.classes.len() > CLASSES {
        writeln!(text, "  … and {} more", audit.classes.len() - CLASSES)
            .expect("writing to a string does not fail");
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
