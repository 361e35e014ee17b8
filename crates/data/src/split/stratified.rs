//! A share of each class, or of the groups, drawn by the seed.

use rand::seq::SliceRandom;

use super::Parts;
use crate::random::{Purpose, stream};

/// Holds out `share` of each class (rounded; but of two or more examples, neither part gets none), drawn by `seed`.
pub fn stratified(labels: &[i64], classes: usize, share: f64, seed: u64) -> Parts {
    let mut rows_of = vec![Vec::new(); classes];
    for (row, label) in labels.iter().enumerate() {
        rows_of[*label as usize].push(row as i64);
    }
    let mut generator = stream(seed, Purpose::Split, 0);
    let mut split = Parts::default();
    for mut rows in rows_of {
        rows.shuffle(&mut generator);
        let held_out = match rows.len() {
            0 | 1 => 0,
            count => ((count as f64 * share).round() as usize).clamp(1, count - 1),
        };
        split.held_out.extend(&rows[..held_out]);
        split.train.extend(&rows[held_out..]);
    }
    split.train.sort_unstable();
    split.held_out.sort_unstable();
    split
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
            let split = stratified(&labels, 4, share, seed);
            let mut all = [split.train.clone(), split.held_out.clone()].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len() as i64).collect::<Vec<_>>());
            for class in 0..4 {
                let count = |rows: &[i64]| rows.iter().filter(|row| labels[**row as usize] == class).count();
                let (train, held_out) = (count(&split.train), count(&split.held_out));
                if train + held_out >= 2 {
                    prop_assert!(train > 0 && held_out > 0);
                    let expected = (train + held_out) as f64 * share;
                    prop_assert!((held_out as f64 - expected).abs() <= 1.);
                }
            }
        }
    }

    #[test]
    fn the_seed_decides() {
        let labels: Vec<i64> = (0..100).map(|row| row % 5).collect();
        let split = |seed| stratified(&labels, 5, 0.2, seed);
        assert_eq!(split(1), split(1));
        assert_ne!(split(1), split(2));
    }
}
