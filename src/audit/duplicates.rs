//! Examples that are there twice, or nearly.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::{Finding, Mention, Severity, Subject};
use crate::data::Inputs;

/// Examples with the same bytes (of a picture: of its file), by what is wrong with that.
pub fn exact(subject: &Subject) -> Vec<Finding> {
    let mut groups: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for index in 0..subject.dataset.rows() {
        if let Some(hash) = hash_of(subject, index) {
            groups.entry(hash).or_default().push(index);
        }
    }
    let groups = groups.into_values().filter(|group| group.len() > 1).collect();
    findings(
        subject,
        groups,
        "the same as",
        ["same-input-two-labels", "duplicates-across-splits", "duplicates"],
    )
}

fn hash_of(subject: &Subject, index: usize) -> Option<Vec<u8>> {
    let width = subject.dataset.shape.features() as usize;
    let own = index * width..(index + 1) * width;
    Some(match &subject.dataset.inputs {
        Inputs::Floats(values) => {
            let bytes: Vec<u8> = values[own].iter().flat_map(|value| value.to_le_bytes()).collect();
            Sha256::digest(bytes).to_vec()
        }
        Inputs::Bytes(values) => Sha256::digest(&values[own]).to_vec(),
        Inputs::Images(sources) => {
            let mut bytes = Vec::new();
            sources[index].read(&mut bytes).ok()?;
            Sha256::digest(bytes).to_vec()
        }
    })
}

/// The most pictures with a stretch of the hash in common that a picture is compared to.
const COMPARED: usize = 64;

/// Pictures that are nearer than this are the same one, saved again, cut or brightened a little.
const NEAR: f64 = 0.12;

/// Pictures that look the same and are not the same bytes: those that share a quarter of the perceptual hash, which is so
/// for all whose hashes differ in up to three bits, and whose grey values hardly differ.
pub fn near(subject: &Subject) -> Vec<Finding> {
    let mut buckets: HashMap<(u32, u64), Vec<usize>> = HashMap::new();
    let mut group_of: Vec<usize> = (0..subject.looks.len()).collect();
    let mut hashes: Vec<Option<Vec<u8>>> = vec![None; subject.looks.len()];
    let mut is_near = vec![false; subject.looks.len()];
    for (index, look) in subject.seen() {
        // Blank pictures look all the same; another check names them.
        if look.deviation < 2. {
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
                let mut hash = |at: usize| {
                    hashes[at].get_or_insert_with(|| hash_of(subject, at).unwrap_or_default()).clone()
                };
                if hash(index) == hash(*other) {
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
    let names = ["similar-with-two-labels", "near-duplicates-across-splits", "near-duplicates"];
    findings(subject, groups, "looks like", names)
}

fn root(group_of: &[usize], mut index: usize) -> usize {
    while group_of[index] != index {
        index = group_of[index];
    }
    index
}

/// Findings on groups of like examples: with labels that differ, in several portions, and merely superfluous.
fn findings(
    subject: &Subject,
    mut groups: Vec<Vec<usize>>,
    relation: &str,
    [two_labels, across, plain]: [&'static str; 3],
) -> Vec<Finding> {
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups.sort();
    let dataset = subject.dataset;
    let mut found: [Vec<Mention>; 3] = Default::default();
    let mut counts = [0; 3];
    for group in &groups {
        let differ = |of: &dyn Fn(usize) -> i64| group.iter().any(|index| of(*index) != of(group[0]));
        let portion = |index: usize| dataset.portions.as_ref().map_or(0, |portions| portions[index] as i64);
        let kind = if differ(&|index| dataset.labels[index]) {
            0
        } else if differ(&portion) {
            1
        } else {
            2
        };
        counts[kind] += 1;
        // What is kept is the one that measures, since the others would give its answer away. Which of two labels is
        // right cannot be told, so none of those is kept.
        let kept = *group
            .iter()
            .max_by_key(|index| (portion(**index), std::cmp::Reverse(**index)))
            .expect("not empty");
        for index in group {
            let other =
                if *index == kept { group.iter().find(|other| **other != kept).expect("two") } else { &kept };
            let remark = format!("{relation} {}", dataset.names.name(*other));
            found[kind].push(subject.mention(*index, remark, kind == 0 || *index != kept));
        }
    }
    let says = [
        (
            two_labels,
            Severity::Fault,
            "inputs stand there with different labels",
            "look at them: at most one label is right",
        ),
        (
            across,
            Severity::Fault,
            "examples are in several parts, so that figures on one give away the other",
            "leave them out of the training part",
        ),
        (plain, Severity::Warning, "groups of examples are the same, or nearly", "keep one of each"),
    ];
    let finding =
        |(((check, severity, what, advice), examples), count): ((_, Vec<Mention>), usize)| Finding {
            check,
            severity: if relation == "looks like" && severity == Severity::Fault {
                Severity::Warning
            } else {
                severity
            },
            summary: format!("{count} {what}"),
            advice,
            examples,
        };
    says.into_iter().zip(found).zip(counts).filter(|(_, count)| *count > 0).map(finding).collect()
}
