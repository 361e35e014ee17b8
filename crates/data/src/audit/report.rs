//! Findings as text, and as a list of examples to leave out.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Audit, Finding, Severity};
use crate::lists;
use crate::terminal;

/// The examples of a finding that are shown.
const SHOWN: usize = 5;

/// The classes that are shown.
const CLASSES: usize = 20;

impl Severity {
    /// As a word.
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
        writeln!(text, "  {count:>8}  {}", terminal::line(class)).expect("text can be written");
    }
    if audit.classes.len() > CLASSES {
        writeln!(text, "  … and {} more", audit.classes.len() - CLASSES).expect("text can be written");
    }
    if audit.findings.is_empty() {
        text += "\nnothing was found\n";
    }
    audit.findings.iter().for_each(|finding| show(finding, &mut text));
    text
}

fn show(finding: &Finding, text: &mut String) {
    let Finding { check, severity, summary, advice, examples } = finding;
    let summary = terminal::line(summary);
    writeln!(text, "\n{:<8} {check}: {summary}\n         → {advice}", severity.word())
        .expect("text can be written");
    for mention in examples.iter().take(SHOWN) {
        let mention = format!("{} ({}): {}", mention.name, mention.label, mention.remark);
        writeln!(text, "           {}", terminal::line(&mention)).expect("text can be written");
    }
    if examples.len() > SHOWN {
        writeln!(text, "           … and {} more", examples.len() - SHOWN).expect("text can be written");
    }
}

/// The examples that had better be left out, as `--exclude` takes them: a name a line, and behind a tab why.
pub fn to_list(audit: &Audit) -> String {
    let mut reasons: BTreeMap<usize, (&str, Vec<String>)> = BTreeMap::new();
    for finding in &audit.findings {
        for mention in finding.examples.iter().filter(|mention| mention.leave_out) {
            let (_, why) = reasons.entry(mention.index).or_insert((&mention.name, Vec::new()));
            why.push(format!("{}: {}", finding.check, mention.remark));
        }
    }
    let mut text = format!(
        "# Examples of {} that had better be left out. Delete the lines of those to keep; then give this file to\n# cresset train --exclude.\n",
        terminal::line(&audit.data)
    );
    for (name, why) in reasons.values() {
        let why = why.join("; ");
        writeln!(text, "{}\t{}", lists::written(name), terminal::line(&why)).expect("text can be written");
    }
    text
}
