//! Folds for cross-validation.

use rand::seq::SliceRandom;

use crate::random::{Purpose, stream};

/// The fold (from 0) of each example. The examples of a class are dealt out in an order drawn by `seed`, so
/// that fold sizes differ by at most one, per class and in total.
pub(crate) fn stratified_folds(labels: &[i64], classes: usize, folds: u32, seed: u64) -> Vec<u32> {
    let mut rows_of = vec![Vec::new(); classes];
    for (row, label) in labels.iter().enumerate() {
        rows_of[*label as usize].push(row);
    }
    let mut generator = stream(seed, Purpose::Split, 0);
    let mut fold_of = vec![0; labels.len()];
    // Each class continues where the previous one ended; otherwise the first folds would get every remainder.
    let mut next = (0..folds).cycle();
    for mut rows in rows_of {
        rows.shuffle(&mut generator);
        for row in rows {
            fold_of[row] = next.next().expect("a cycle is infinite");
        }
    }
    fold_of
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn folds_have_equal_sizes_per_class_and_in_total(
            labels in prop::collection::vec(0i64..4, 1..200), folds in 2u32..8, seed: u64
        ) {
            let fold_of = stratified_folds(&labels, 4, folds, seed);
            for class in [None, Some(0), Some(1), Some(2), Some(3)] {
                let count = |fold| {
                    let rows = fold_of.iter().zip(&labels);
                    rows.filter(|(of, label)| **of == fold && class.is_none_or(|class| class == **label)).count()
                };
                let counts: Vec<_> = (0..folds).map(count).collect();
                prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
            }
        }
    }
}
