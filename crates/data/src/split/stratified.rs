//! Stratified splits.

use rand::seq::SliceRandom;

use super::Parts;
use crate::random::{Purpose, stream};

/// Puts `share` of each class (rounded) into the validation set, drawn by `seed`. With two or more examples
/// of a class, both sets get at least one.
pub fn stratified(labels: &[i64], classes: usize, share: f64, seed: u64) -> Parts {
    let mut counts = vec![0; classes];
    labels.iter().for_each(|label| counts[*label as usize] += 1);
    // Half of the memory, which counts for tables larger than memory.
    let mut rows_of: Vec<Vec<u32>> = counts.into_iter().map(Vec::with_capacity).collect();
    for (row, label) in labels.iter().enumerate() {
        rows_of[*label as usize].push(u32::try_from(row).expect("a table has fewer than 4 billion rows"));
    }
    let mut generator = stream(seed, Purpose::Split, 0);
    let mut parts = Parts::default();
    for mut rows in rows_of {
        rows.shuffle(&mut generator);
        let validation = match rows.len() {
            0 | 1 => 0,
            count => ((count as f64 * share).round() as usize).clamp(1, count - 1),
        };
        parts.validation.extend(rows[..validation].iter().map(|row| i64::from(*row)));
        parts.train.extend(rows[validation..].iter().map(|row| i64::from(*row)));
    }
    parts.train.sort_unstable();
    parts.validation.sort_unstable();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_row_is_in_one_part_and_every_class_in_both(
            labels in prop::collection::vec(0i64..4, 2..200), share in 0.01f64..0.99, seed: u64
        ) {
            let parts = stratified(&labels, 4, share, seed);
            let mut all = [parts.train.clone(), parts.validation.clone()].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len() as i64).collect::<Vec<_>>());
            for class in 0..4 {
                let count = |rows: &[i64]| rows.iter().filter(|row| labels[**row as usize] == class).count();
                let (train, validation) = (count(&parts.train), count(&parts.validation));
                if train + validation >= 2 {
                    prop_assert!(train > 0 && validation > 0);
                    let expected = (train + validation) as f64 * share;
                    prop_assert!((validation as f64 - expected).abs() <= 1.);
                }
            }
        }
    }

    #[test]
    fn the_split_depends_on_the_seed() {
        let labels: Vec<i64> = (0..100).map(|row| row % 5).collect();
        let split = |seed| stratified(&labels, 5, 0.2, seed);
        assert_eq!(split(1), split(1));
        assert_ne!(split(1), split(2));
    }
}
