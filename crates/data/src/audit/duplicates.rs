//! Examples that are there twice, or nearly.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::{Finding, Mention, Severity, Subject};
use crate::{Dataset, Inputs};

/// Examples with the same bytes (of a picture: of its file), by what is wrong with that.
pub fn exact(subject: &Subject) -> Vec<Finding> {
    let mut groups: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (index, hash) in subject.hashes.iter().enumerate() {
        if let Some(hash) = hash {
            groups.entry(hash).or_default().push(index);
        }
    }
    let groups = groups.into_values().filter(|group| group.len() > 1).collect();
    findings(subject, groups, Relation::Same)
}

/// SHA-256 of each example's bytes, of a picture those of its file.
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
        }
        Some(Sha256::digest(&bytes).to_vec())
    };
    (0..dataset.rows()).map(hash).collect()
}

/// How the examples of a group are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// They are the same bytes.
    Same,
    /// They look the same.
    Looks,
}

/// What is wrong with a group.
struct Trouble {
    check: &'static str,
    severity: Severity,
    what: &'static str,
    advice: &'static str,
}

/// With labels that differ; in several parts; and merely superfluous.
const SAME: [Trouble; 3] = [
    Trouble {
        check: "same-input-two-labels",
        severity: Severity::Fault,
        what: "group(s) of the same input with different labels",
        advice: "look at them: at most one label is right",
    },
    Trouble {
        check: "duplicates-across-splits",
        severity: Severity::Fault,
        what: "group(s) of the same example in several parts, where one gives the other away",
        advice: "leave them out of the training part",
    },
    Trouble {
        check: "duplicates",
        severity: Severity::Warning,
        what: "group(s) of the same example",
        advice: "keep one of each",
    },
];

/// The same of pictures that look alike.
const LOOKS: [Trouble; 3] = [
    Trouble {
        check: "similar-with-two-labels",
        severity: Severity::Warning,
        what: "group(s) of pictures that look the same, with different labels",
        advice: "look at them: a label may be wrong",
    },
    Trouble {
        check: "near-duplicates-across-splits",
        severity: Severity::Warning,
        what: "group(s) of pictures that look the same, in several parts",
        advice: "look at them, and leave those that are the same out of the training part",
    },
    Trouble {
        check: "near-duplicates",
        severity: Severity::Warning,
        what: "group(s) of pictures that look the same",
        advice: "look at them, and keep one of those that are the same",
    },
];

/// The most pictures with a stretch of the hash in common that a picture is compared to.
const COMPARED: usize = 64;

/// Pictures with a shorter side are too small to be told apart by their looks.
const SMALLEST: u32 = 16;

/// Pictures that are nearer than this are the same one, saved again, cut or brightened a little.
const NEAR: f64 = 0.12;

/// Pictures that look the same and are not the same bytes: those that share a quarter of the perceptual hash, which is so
/// for all whose hashes differ in up to three bits, and whose grey values hardly differ.
pub fn near(subject: &Subject) -> Vec<Finding> {
    let mut buckets: HashMap<(u32, u64), Vec<usize>> = HashMap::new();
    let mut group_of: Vec<usize> = (0..subject.looks.len()).collect();
    let mut is_near = vec![false; subject.looks.len()];
    for (index, look) in subject.seen() {
        // Blank pictures look all the same, and another check names them; very small ones have little to differ in.
        if look.deviation < 2. || look.width.min(look.height) < SMALLEST {
            continue;
        }
        for quarter in 0..4u32 {
            let key = (quarter, look.hash >> (16 * quarter) & 0xffff);
            let bucket = buckets.entry(key).or_default();
            for other in bucket.iter().rev().take(COMPARED) {
                let Ok(other_look) = &subject.looks[*other] else { continue };
                if root(&group_of, *other) == root(&group_of, index) || look.distance(other_look) > NEAR {
                    continue;
                }
                if subject.hashes[index] == subject.hashes[*other] {
                    continue;
                }
                let (a, b) = (root(&group_of, *other), root(&group_of, index));
                group_of[a.max(b)] = a.min(b);
                (is_near[index], is_near[*other]) = (true, true);
            }
            bucket.push(index);
        }
    }
    let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
    for index in (0..group_of.len()).filter(|index| is_near[*index]) {
        groups.entry(root(&group_of, index)).or_default().push(index);
    }
    let groups = groups.into_values().filter(|group| group.len() > 1).collect();
    findings(subject, groups, Relation::Looks)
}

fn root(group_of: &[usize], mut index: usize) -> usize {
    while group_of[index] != index {
        index = group_of[index];
    }
    index
}

/// Findings on groups of like examples.
fn findings(subject: &Subject, mut groups: Vec<Vec<usize>>, relation: Relation) -> Vec<Finding> {
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups.sort();
    let (words, troubles) = match relation {
        Relation::Same => ("the same as", SAME),
        Relation::Looks => ("looks like", LOOKS),
    };
    let dataset = subject.dataset;
    let portion = |index: usize| dataset.portions.as_ref().map_or(0, |portions| portions[index] as i64);
    let mut found: [Vec<Mention>; 3] = Default::default();
    let mut counts = [0; 3];
    for group in &groups {
        let differ = |of: &dyn Fn(usize) -> i64| group.iter().any(|index| of(*index) != of(group[0]));
        let kind = match (differ(&|index| dataset.labels[index]), differ(&portion)) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        };
        counts[kind] += 1;
        // What is kept is the one that measures, since the others would give its answer away. Which of two labels is
        // right cannot be told, so none of those is kept.
        let by_portion = |index: &&usize| (portion(**index), std::cmp::Reverse(**index));
        let kept = *group.iter().max_by_key(by_portion).expect("a group is not empty");
        for index in group {
            let other = if *index == kept { group.iter().find(|other| **other != kept) } else { None };
            let remark = format!("{words} {}", dataset.names.name(*other.unwrap_or(&kept)));
            // What only looks alike may still be two examples; whoever looks at them decides.
            let leave_out = relation == Relation::Same && (kind == 0 || *index != kept);
            found[kind].push(subject.mention(*index, remark, leave_out));
        }
    }
    let finding = |((trouble, examples), count): ((Trouble, Vec<Mention>), usize)| Finding {
        check: trouble.check,
        severity: trouble.severity,
        summary: format!("{count} {}", trouble.what),
        advice: trouble.advice,
        examples,
    };
    troubles.into_iter().zip(found).zip(counts).filter(|(_, count)| *count > 0).map(finding).collect()
}
