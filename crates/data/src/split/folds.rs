//! Folds for cross-validation.

use rand::seq::SliceRandom;

use crate::random::{Purpose, stream};

/// The fold (from 0) of each row: the rows of a class are dealt out in an order drawn by `seed`, one after the other, so
/// that the folds differ by one row at most, in each class and in all.
pub fn stratified_folds(labels: &[i64], classes: usize, folds: u32, seed: u64) -> Vec<u32> {
    let mut rows_of = vec![Vec::new(); classes];
    for (row, label) in labels.iter().enumerate() {
        rows_of[*label as usize].push(row);
    }
    let mut generator = stream(seed, Purpose::Split, 0);
    let mut fold_of = vec![0; labels.len()];
    // A class goes on where the one before it ended, or the first folds would get every odd row.
    let mut next = (0..folds).cycle();
    for mut rows in rows_of {
        rows.shuffle(&mut generator);
        for row in rows {
            fold_of[row] = next.next().expect("a cycle does not end");
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
        fn folds_are_of_equal_size_in_each_class_and_in_all(
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
