//! Checks of classes: names, sizes and missing subsets.

use super::{AuditedData, Finding, Severity};
use crate::error::quoted;
use crate::format::csv::is_missing;
use crate::{Dataset, MissingClasses, Subset, Targets, TaskKind};

/// Size ratio of the largest to the smallest class above which accuracy is misleading.
const MAX_RATIO: usize = 10;

/// A class with fewer examples is too small to train or evaluate on.
const MIN_EXAMPLES: usize = 10;

/// Classes of a table whose names look like missing values.
pub fn unknown(audited: &AuditedData) -> Vec<Finding> {
    let Dataset { classes, table, .. } = audited.dataset;
    let counts = audited.dataset.label_counts();
    let unknown =
        classes.iter().zip(counts).filter(|(class, _)| table.is_some() && is_missing(class.as_bytes()));
    let finding = |(class, count): (&String, usize)| Finding {
        check: "unknown-class",
        severity: Severity::Warning,
        summary: format!(
            "the class {} ({count} examples) may stand for missing labels; if so, drop them with --missing drop",
            quoted(class)
        ),
        advice: "drop the rows with --missing drop, or rename the class",
        examples: Vec::new(),
    };
    unknown.map(finding).collect()
}

/// Classes without examples in a subset.
pub(crate) fn missing_in_subset(audited: &AuditedData) -> Vec<Finding> {
    let finding = |missing: MissingClasses| {
        let (severity, advice) = match missing.portion {
            Subset::Train => {
                (Severity::Fault, "add training examples, or remove the class from the other sets")
            }
            _ => (Severity::Warning, "move some examples there, or remove the set"),
        };
        Finding {
            check: "portion-classes",
            severity,
            summary: missing.sentence(),
            advice,
            examples: Vec::new(),
        }
    };
    MissingClasses::of(audited.dataset).into_iter().map(finding).collect()
}

/// Imbalanced and very small classes or labels.
pub fn imbalance(audited: &AuditedData) -> Vec<Finding> {
    let counts = audited.dataset.label_counts();
    let classes = &audited.dataset.classes;
    let by_size = |index: &usize| counts[*index];
    let (Some(least), Some(most)) =
        ((0..counts.len()).min_by_key(by_size), (0..counts.len()).max_by_key(by_size))
    else {
        return Vec::new();
    };
    let is_multilabel = audited.dataset.task() == TaskKind::Multilabel;
    let (noun, plural) = if is_multilabel { ("label", "label(s)") } else { ("class", "class(es)") };
    let mut findings = Vec::new();
    if counts.len() < 2 && audited.dataset.targets == Targets::Classes {
        findings.push(Finding {
            check: "one-class",
            severity: Severity::Fault,
            summary: format!("all examples have the label {}", quoted(&classes[0])),
            advice: "a classifier needs at least two classes",
            examples: Vec::new(),
        });
    } else if counts[most] >= MAX_RATIO * counts[least] {
        findings.push(Finding {
            check: "imbalance",
            severity: Severity::Warning,
            summary: format!(
                "the {noun} {} has {} examples, {} has {}",
                quoted(&classes[most]),
                counts[most],
                quoted(&classes[least]),
                counts[least]
            ),
            advice: match is_multilabel {
                true => "compare macro F1 and mAP, which weight all labels equally, rather than micro F1",
                false => "use balanced accuracy, and try --sampling balanced or --class-weights balanced",
            },
            examples: Vec::new(),
        });
    }
    let few: Vec<_> = (0..counts.len()).filter(|index| counts[*index] < MIN_EXAMPLES).collect();
    if !few.is_empty() {
        let names: Vec<_> = few.iter().take(10).map(|index| quoted(&classes[*index])).collect();
        findings.push(Finding {
            check: if is_multilabel { "small-labels" } else { "small-classes" },
            severity: Severity::Warning,
            summary: format!(
                "{} {plural} have fewer than {MIN_EXAMPLES} examples: {}",
                few.len(),
                names.join(", ")
            ),
            advice: match is_multilabel {
                true => "collect more examples, or merge labels",
                false => "collect more examples, or merge classes",
            },
            examples: Vec::new(),
        });
    }
    findings
}
