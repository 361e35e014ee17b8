//! Duplicates and near-duplicates.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::{AuditedData, Finding, FlaggedExample, Severity};
use crate::{Dataset, Inputs, TaskKind};

/// Exact duplicates: examples with the same bytes (for images, of the file).
pub fn exact(audited: &AuditedData) -> Vec<Finding> {
    let mut groups: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (index, hash) in audited.hashes.iter().enumerate() {
        if let Some(hash) = hash {
            groups.entry(hash).or_default().push(index);
        }
    }
    let groups = groups.into_values().filter(|group| group.len() > 1).collect();
    findings(audited, groups, Relation::Same)
}

/// SHA-256 of each example's bytes; for images, of the file.
pub fn hashes(dataset: &Dataset) -> Vec<Option<Vec<u8>>> {
    let width = dataset.shape.features() as usize;
    let mut bytes = Vec::new();
    let hash = |index: usize| {
        let own = index * width..(index + 1) * width;
        bytes.clear();
        match &dataset.inputs {
            Inputs::Floats(values) => bytes.extend(values[own].iter().flat_map(|value| value.to_le_bytes())),
            Inputs::Bytes(values) => bytes.extend_from_slice(&values[own]),
            Inputs::Images(sources) => sources[index].read(&mut bytes).ok()?,
            Inputs::Stored(_) => return None,
        }
        Some(Sha256::digest(&bytes).to_vec())
    };
    (0..dataset.rows()).map(hash).collect()
}

/// How the examples of a group are similar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// Identical bytes.
    Same,
    /// Similar images.
    Similar,
    /// Texts with the same phrases.
    SimilarText,
}

/// The finding for a group.
struct Problem {
    check: &'static str,
    severity: Severity,
    description: &'static str,
    advice: &'static str,
}

/// Findings for identical examples: with different labels, in several subsets, and in one subset.
const SAME: [Problem; 3] = [
    Problem {
        check: "same-input-two-labels",
        severity: Severity::Fault,
        description: "group(s) of the same input with different labels",
        advice: "inspect them: at most one label is correct",
    },
    Problem {
        check: "duplicates-across-splits",
        severity: Severity::Fault,
        description: "group(s) of the same example in several subsets, which leaks test data",
        advice: "remove them from the training set",
    },
    Problem {
        check: "duplicates",
        severity: Severity::Warning,
        description: "group(s) of the same example",
        advice: "keep one of each",
    },
];

/// Findings for similar images, in the same order.
const SIMILAR: [Problem; 3] = [
    Problem {
        check: "similar-with-two-labels",
        severity: Severity::Warning,
        description: "group(s) of near-duplicate images with different labels",
        advice: "inspect them: a label may be wrong",
    },
    Problem {
        check: "near-duplicates-across-splits",
        severity: Severity::Warning,
        description: "group(s) of near-duplicate images in several subsets",
        advice: "inspect them, and remove duplicates from the training set",
    },
    Problem {
        check: "near-duplicates",
        severity: Severity::Warning,
        description: "group(s) of near-duplicate images",
        advice: "inspect them, and keep one of each group of duplicates",
    },
];

/// Findings for similar texts, in the same order.
const SIMILAR_TEXTS: [Problem; 3] = [
    Problem {
        check: "similar-with-two-labels",
        severity: Severity::Warning,
        description: "group(s) of nearly the same text with different labels",
        advice: "inspect them: a label may be wrong",
    },
    Problem {
        check: "near-duplicates-across-splits",
        severity: Severity::Fault,
        description: "group(s) of nearly the same text in several subsets, which leaks test data",
        advice: "inspect them, and remove those of the training set",
    },
    Problem {
        check: "near-duplicates",
        severity: Severity::Warning,
        description: "group(s) of nearly the same text",
        advice: "inspect them, and keep one of each group: a random split puts the same text into training and validation set",
    },
];

/// The finding for the same or similar inputs with different values of a quantity.
const VALUES: Problem = Problem {
    check: "same-input-two-values",
    severity: Severity::Note,
    description: "group(s) of the same or a similar input with different values",
    advice: "repeated measurements are fine; if the values should agree, correct them",
};

/// The maximum number of images with a common part of the hash that an image is compared with.
const MAX_COMPARISONS: usize = 64;

/// Images with a shorter side have too little detail to compare.
const MIN_SIDE: u32 = 16;

/// Images with a smaller distance are near-duplicates: compressed again, cropped or brightened slightly.
const MAX_DISTANCE: f64 = 0.12;

/// Near-duplicate images with different bytes: they share a quarter of the perceptual hash, as all hashes
/// with at most three different bits do, and their gray values hardly differ.
pub fn near(audited: &AuditedData) -> Vec<Finding> {
    let mut buckets: HashMap<(u32, u64), Vec<usize>> = HashMap::new();
    let mut group_of: Vec<usize> = (0..audited.image_stats.len()).collect();
    for (index, stats) in audited.readable() {
        // Blank images are all similar and reported by another check; very small ones have too little detail.
        if stats.deviation < 2. || stats.width.min(stats.height) < MIN_SIDE {
            continue;
        }
        for quarter in 0..4u32 {
            let key = (quarter, stats.hash >> (16 * quarter) & 0xffff);
            let bucket = buckets.entry(key).or_default();
            for other in bucket.iter().rev().take(MAX_COMPARISONS) {
                let Ok(other_look) = &audited.image_stats[*other] else { continue };
                if root(&group_of, *other) == root(&group_of, index)
                    || stats.distance(other_look) > MAX_DISTANCE
                {
                    continue;
                }
                if audited.hashes[index] == audited.hashes[*other] {
                    continue;
                }
                let (a, b) = (root(&group_of, *other), root(&group_of, index));
                group_of[a.max(b)] = a.min(b);
            }
            bucket.push(index);
        }
    }
    findings(audited, grouped(&group_of), Relation::Similar)
}

/// The groups of several examples: those with the same root.
pub(super) fn grouped(group_of: &[usize]) -> Vec<Vec<usize>> {
    let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
    for index in 0..group_of.len() {
        groups.entry(root(group_of, index)).or_default().push(index);
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

/// The first example of the group of an example.
pub(super) fn root(group_of: &[usize], mut index: usize) -> usize {
    while group_of[index] != index {
        index = group_of[index];
    }
    index
}

/// Findings on groups of similar examples.
pub(super) fn findings(
    audited: &AuditedData,
    mut groups: Vec<Vec<usize>>,
    relation: Relation,
) -> Vec<Finding> {
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups.sort();
    let (relation_text, mut problems) = match relation {
        Relation::Same => ("same as", SAME),
        Relation::Similar => ("similar to", SIMILAR),
        Relation::SimilarText => ("nearly the same text as", SIMILAR_TEXTS),
    };
    let dataset = audited.dataset;
    let is_quantity = dataset.task() == TaskKind::Regression;
    let portion = |index: usize| dataset.portions.as_ref().map_or(0, |portions| portions[index] as i64);
    let mut found: [Vec<FlaggedExample>; 3] = Default::default();
    let mut counts = [0; 3];
    for group in &groups {
        let differ_in_target = group.iter().any(|index| !dataset.is_same_target(*index, group[0]));
        let differ_in_subset = group.iter().any(|index| portion(*index) != portion(group[0]));
        let kind = match (differ_in_target, differ_in_subset) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        };
        counts[kind] += 1;
        // Keep the example of the test or validation set, because copies in the training set leak it. If
        // labels differ, keep none, because the correct one is unknown; different values are measurements.
        let by_subset = |index: &&usize| (portion(**index), std::cmp::Reverse(**index));
        let kept = *group.iter().max_by_key(by_subset).expect("a group is not empty");
        for index in group {
            let other = if *index == kept { group.iter().find(|other| **other != kept) } else { None };
            let remark = format!("{relation_text} {}", dataset.names.name(*other.unwrap_or(&kept)));
            // Near-duplicates may be different examples, so the user decides.
            let is_wrong = if kind == 0 { !is_quantity } else { *index != kept };
            let leave_out = relation == Relation::Same && is_wrong;
            found[kind].push(audited.flag(*index, remark, leave_out));
        }
    }
    if is_quantity {
        problems[0] = VALUES;
    }
    let finding = |((problem, examples), count): ((Problem, Vec<FlaggedExample>), usize)| Finding {
        check: problem.check,
        severity: problem.severity,
        summary: format!("{count} {}", problem.description),
        advice: problem.advice,
        examples,
    };
    problems.into_iter().zip(found).zip(counts).filter(|(_, count)| *count > 0).map(finding).collect()
}
