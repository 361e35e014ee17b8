//! Classes that are rare beside others.

use super::{Finding, Severity, Subject};
use crate::error::quoted;
use crate::format::csv::is_missing;
use crate::{Dataset, Lacking, Portion};

/// A class this many times as large as another is too large for plain accuracy to tell much.
const UNEVEN: usize = 10;

/// A class of fewer examples can hardly be learned, let alone measured.
const FEW: usize = 10;

/// The number of examples of each class.
pub fn counts(dataset: &Dataset) -> Vec<usize> {
    let mut counts = vec![0; dataset.classes.len()];
    dataset.labels.iter().for_each(|label| counts[*label as usize] += 1);
    counts
}

/// Classes of a table that are called as values are that nobody knows.
pub fn unknown(subject: &Subject) -> Vec<Finding> {
    let Dataset { classes, table, .. } = subject.dataset;
    let counts = counts(subject.dataset);
    let unknown =
        classes.iter().zip(counts).filter(|(class, _)| table.is_some() && is_missing(class.as_bytes()));
    let finding = |(class, count): (&String, usize)| Finding {
        check: "unknown-class",
        severity: Severity::Warning,
        summary: format!(
            "the class {} ({count} examples) may stand for labels that are not known; leave them out with --missing drop if it does",
            quoted(class)
        ),
        advice: "leave the rows out with --missing drop, or give the class another name",
        examples: Vec::new(),
    };
    unknown.map(finding).collect()
}

/// Classes that not every portion has.
pub fn lacking(subject: &Subject) -> Vec<Finding> {
    let finding = |lacking: Lacking| {
        let (severity, advice) = match lacking.portion {
            Portion::Train => {
                (Severity::Fault, "add examples to train on, or take the class out of the other portions")
            }
            _ => (Severity::Warning, "move some examples there, or do without the portion"),
        };
        Finding {
            check: "portion-classes",
            severity,
            summary: lacking.sentence(),
            advice,
            examples: Vec::new(),
        }
    };
    Lacking::of(subject.dataset).into_iter().map(finding).collect()
}

/// Classes of very different sizes, and very small ones.
pub fn imbalance(subject: &Subject) -> Vec<Finding> {
    let counts = counts(subject.dataset);
    let classes = &subject.dataset.classes;
    let by_size = |index: &usize| counts[*index];
    let (Some(least), Some(most)) =
        ((0..counts.len()).min_by_key(by_size), (0..counts.len()).max_by_key(by_size))
    else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    if counts.len() < 2 {
        findings.push(Finding {
            check: "one-class",
            severity: Severity::Fault,
            summary: format!("all examples have the label {}", quoted(&classes[0])),
            advice: "a classifier needs at least two classes",
            examples: Vec::new(),
        });
    } else if counts[most] >= UNEVEN * counts[least] {
        findings.push(Finding {
            check: "imbalance",
            severity: Severity::Warning,
            summary: format!(
                "the class {} has {} examples, {} has {}",
                quoted(&classes[most]),
                counts[most],
                quoted(&classes[least]),
                counts[least]
            ),
            advice: "look at balanced accuracy, and try --sampling balanced or --class-weights balanced",
            examples: Vec::new(),
        });
    }
    let few: Vec<_> = (0..counts.len()).filter(|index| counts[*index] < FEW).collect();
    if !few.is_empty() {
        let names: Vec<_> = few.iter().take(10).map(|index| quoted(&classes[*index])).collect();
        findings.push(Finding {
            check: "small-classes",
            severity: Severity::Warning,
            summary: format!("{} class(es) have fewer than {FEW} examples: {}", few.len(), names.join(", ")),
            advice: "collect more, or put classes together",
            examples: Vec::new(),
        });
    }
    findings
}
