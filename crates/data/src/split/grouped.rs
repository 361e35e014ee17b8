//! Splits that keep groups together.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;

use super::Parts;
use crate::random::{Purpose, stream};

/// Examples that stay together, such as those of one patient.
struct Group {
    rows: Vec<i64>,
    /// The number of examples per class.
    counts: Vec<f64>,
}

/// The groups in an order drawn by `seed`, sorted by decreasing size, so that small groups fill the remaining
/// gaps.
fn groups(names: &[String], labels: &[i64], classes: usize, seed: u64) -> Vec<Group> {
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for (row, (name, label)) in names.iter().zip(labels).enumerate() {
        let group =
            groups.entry(name).or_insert_with(|| Group { rows: Vec::new(), counts: vec![0.; classes] });
        group.rows.push(row as i64);
        group.counts[*label as usize] += 1.;
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.shuffle(&mut stream(seed, Purpose::Split, 0));
    groups.sort_by_key(|group| std::cmp::Reverse(group.rows.len()));
    groups
}

/// The distance of the class counts from `share` of `totals`.
fn distance(counts: &[f64], totals: &[f64], share: f64) -> f64 {
    let classes = counts.iter().zip(totals).filter(|(_, total)| **total > 0.);
    classes.map(|(count, total)| (count - share * total).powi(2) / total).sum()
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn totals(groups: &[Group], classes: usize) -> Vec<f64> {
    groups.iter().fold(vec![0.; classes], |sum, group| add(&sum, &group.counts))
}

/// Puts about `share` of each class into the validation set, in whole groups: at least one group, but never
/// all of them (with a single group, none).
pub fn grouped(names: &[String], labels: &[i64], classes: usize, share: f64, seed: u64) -> Parts {
    let groups = groups(names, labels, classes, seed);
    let totals = totals(&groups, classes);
    let mut validation = vec![0.; classes];
    let mut in_validation = vec![false; groups.len()];
    for (index, group) in groups.iter().enumerate() {
        let with = add(&validation, &group.counts);
        if distance(&with, &totals, share) < distance(&validation, &totals, share) {
            (validation, in_validation[index]) = (with, true);
        }
    }
    let all_on_one_side = in_validation.iter().all(|validation| *validation == in_validation[0]);
    if all_on_one_side && let [.., smallest] = &mut in_validation[..] {
        *smallest = !*smallest && groups.len() > 1;
    }
    let mut parts = Parts::default();
    for (group, validation) in groups.into_iter().zip(in_validation) {
        if validation { &mut parts.validation } else { &mut parts.train }.extend(group.rows);
    }
    parts.sorted()
}

/// The fold (from 0) of each example: whole groups, with about equally many examples of each class per fold.
pub(crate) fn grouped_folds(
    names: &[String],
    labels: &[i64],
    classes: usize,
    folds: u32,
    seed: u64,
) -> Vec<u32> {
    let groups = groups(names, labels, classes, seed);
    let (totals, share) = (totals(&groups, classes), 1. / f64::from(folds));
    let mut counts = vec![vec![0.; classes]; folds as usize];
    let mut fold_of = vec![0; labels.len()];
    for group in groups {
        let cost = |fold: usize| {
            let with = add(&counts[fold], &group.counts);
            distance(&with, &totals, share) - distance(&counts[fold], &totals, share)
        };
        let best = (0..folds as usize).min_by(|a, b| cost(*a).total_cmp(&cost(*b))).expect("there are folds");
        counts[best] = add(&counts[best], &group.counts);
        for row in group.rows {
            fold_of[row as usize] = best as u32;
        }
    }
    fold_of
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn no_group_is_on_both_sides_and_no_side_is_empty(
            rows in prop::collection::vec((0u8..12, 0i64..3), 2..120), share in 0.05f64..0.95, seed: u64
        ) {
            let names: Vec<_> = rows.iter().map(|(group, _)| group.to_string()).collect();
            let labels: Vec<_> = rows.iter().map(|(_, label)| *label).collect();
            let parts = grouped(&names, &labels, 3, share, seed);
            let of = |rows: &[i64]| rows.iter().map(|row| &names[*row as usize]).collect::<BTreeSet<_>>();
            prop_assert!(of(&parts.train).is_disjoint(&of(&parts.validation)));
            prop_assert_eq!(parts.train.len() + parts.validation.len(), rows.len());
            prop_assert!(!parts.train.is_empty());
            let groups = names.iter().collect::<BTreeSet<_>>().len();
            prop_assert_eq!(parts.validation.is_empty(), groups == 1);
        }

        #[test]
        fn no_group_is_in_two_folds(
            rows in prop::collection::vec((0u8..12, 0i64..3), 2..120), folds in 2u32..6, seed: u64
        ) {
            let names: Vec<_> = rows.iter().map(|(group, _)| group.to_string()).collect();
            let labels: Vec<_> = rows.iter().map(|(_, label)| *label).collect();
            let fold_of = grouped_folds(&names, &labels, 3, folds, seed);
            let pairs: BTreeSet<_> = names.iter().zip(&fold_of).collect();
            prop_assert_eq!(pairs.len(), names.iter().collect::<BTreeSet<_>>().len());
        }
    }

    #[test]
    fn many_small_groups_give_nearly_the_share_of_each_class() {
        let names: Vec<_> = (0..1000).map(|row| (row / 4).to_string()).collect();
        let labels: Vec<_> = (0..1000).map(|row| i64::from(row % 5 == 0)).collect();
        let parts = grouped(&names, &labels, 2, 0.2, 7);
        let of_class = |class| parts.validation.iter().filter(|row| labels[**row as usize] == class).count();
        assert!((158..=162).contains(&of_class(0)) && (38..=42).contains(&of_class(1)), "{parts:?}");
        let fold_of = grouped_folds(&names, &labels, 2, 5, 7);
        for fold in 0..5 {
            let rows = fold_of.iter().filter(|of| **of == fold).count();
            assert!((196..=204).contains(&rows), "{rows}");
        }
    }
}
