//! Sampling of the training examples, and class weights of the loss.

use cresset_options::choices;
use rand::RngExt;
use rand::seq::SliceRandom;

use crate::data::random::{Purpose, stream};

choices! {
    /// How the training examples of an epoch are sampled.
    ///
    /// ```
    /// use cresset::loader::Sampling;
    ///
    /// let labels = [0, 0, 0, 0, 0, 1];
    /// let mut order = Sampling::Shuffled.order(&labels, 0, 1);
    /// order.sort();
    /// assert_eq!(order, [0, 1, 2, 3, 4, 5]);
    /// // Half of the examples of an epoch are of class 1.
    /// let order = Sampling::Balanced.order(&labels, 0, 1);
    /// assert_eq!(order.iter().filter(|row| labels[**row as usize] == 1).count(), 3);
    /// ```
    pub enum Sampling {
        /// each example once, in random order
        Shuffled = "shuffled",
        /// as many examples, with all classes equally frequent: examples of rare classes are repeated
        Balanced = "balanced",
        /// as many examples, each three times in a row with augmentations of its own: a random third of all (repeated
        /// augmentation; Hoffer et al., 2020)
        Repeated = "repeated",
    }
}

/// How often an example occurs in an epoch of repeated augmentation.
const REPEATS: usize = 3;

impl Sampling {
    /// The order of the examples in an epoch, as indexes into `labels`.
    pub fn order(self, labels: &[i64], seed: u64, epoch: u32) -> Vec<i64> {
        let mut generator = stream(seed, Purpose::Shuffle, epoch.into());
        let mut order: Vec<i64> = (0..labels.len() as i64).collect();
        order.shuffle(&mut generator);
        match self {
            Sampling::Shuffled => return order,
            Sampling::Repeated => {
                return order.iter().flat_map(|row| [*row; REPEATS]).take(labels.len()).collect();
            }
            Sampling::Balanced => {}
        }
        let classes = labels.iter().max().map_or(0, |greatest| *greatest as usize + 1);
        let mut rows_of = vec![Vec::new(); classes];
        for row in &order {
            rows_of[labels[*row as usize] as usize].push(*row);
        }
        rows_of.retain(|rows| !rows.is_empty());
        // Round-robin over the classes, so that no example repeats before all of its class have been used. The first class
        // is random; otherwise the first classes would get the extra examples in every epoch.
        let offset = generator.random_range(0..rows_of.len().max(1));
        let taken = (0..labels.len()).map(|turn| {
            let rows = &rows_of[(turn + offset) % rows_of.len()];
            rows[turn / rows_of.len() % rows.len()]
        });
        let mut taken: Vec<_> = taken.collect();
        taken.shuffle(&mut generator);
        taken
    }
}

choices! {
    /// Class weights of the loss function.
    ///
    /// ```
    /// use cresset::loader::ClassWeights;
    ///
    /// let labels = [0, 0, 0, 1];
    /// assert_eq!(ClassWeights::Balanced.of(&labels, 2), Some(vec![4. / 6., 2.]));
    /// assert_eq!(ClassWeights::Equal.of(&labels, 2), None);
    /// ```
    pub enum ClassWeights {
        /// all examples have the same weight
        Equal = "equal",
        /// inversely proportional to the size of the class, as `class_weight="balanced"` in scikit-learn
        Balanced = "balanced",
    }
}

impl ClassWeights {
    /// The weight of each class, or None if all are equal. The mean weight of an example is 1, as with scikit-learn's
    /// `class_weight="balanced"`. A class without examples has the weight 0.
    pub fn of(self, labels: &[i64], classes: usize) -> Option<Vec<f32>> {
        if self == ClassWeights::Equal {
            return None;
        }
        let mut counts = vec![0u32; classes];
        labels.iter().for_each(|label| counts[*label as usize] += 1);
        let occurring = counts.iter().filter(|count| **count > 0).count() as f32;
        let weight = |count: &u32| match count {
            0 => 0.,
            count => labels.len() as f32 / (occurring * *count as f32),
        };
        Some(counts.iter().map(weight).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_shuffled_epoch_has_every_example_once(labels in prop::collection::vec(0i64..4, 1..100), seed: u64) {
            let mut order = Sampling::Shuffled.order(&labels, seed, 1);
            order.sort_unstable();
            prop_assert_eq!(order, (0..labels.len() as i64).collect::<Vec<_>>());
        }

        #[test]
        fn a_balanced_epoch_has_every_class_equally_often(
            labels in prop::collection::vec(0i64..4, 1..100), seed: u64
        ) {
            let order = Sampling::Balanced.order(&labels, seed, 1);
            prop_assert_eq!(order.len(), labels.len());
            let count = |class| order.iter().filter(|row| labels[**row as usize] == class).count();
            let counts: Vec<_> = (0..4).filter(|class| labels.contains(class)).map(count).collect();
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{:?}", counts);
        }
    }

    #[test]
    fn a_repeated_epoch_has_a_third_of_the_examples_three_times() {
        let labels = [0; 10];
        let order = Sampling::Repeated.order(&labels, 3, 1);
        let shuffled = Sampling::Shuffled.order(&labels, 3, 1);
        assert_eq!(order.len(), 10);
        for (place, row) in order.iter().enumerate() {
            assert_eq!(*row, shuffled[place / 3]);
        }
    }

    #[test]
    fn the_order_depends_on_the_seed_and_the_epoch() {
        let labels: Vec<i64> = (0..50).map(|row| i64::from(row % 7 == 0)).collect();
        for sampling in [Sampling::Shuffled, Sampling::Balanced, Sampling::Repeated] {
            let order = |seed, epoch| sampling.order(&labels, seed, epoch);
            assert_eq!(order(1, 1), order(1, 1));
            assert_ne!(order(1, 1), order(2, 1));
            assert_ne!(order(1, 1), order(1, 2));
        }
    }

    /// Expected values from `sklearn.utils.class_weight.compute_class_weight("balanced", …)`.
    #[test]
    fn balanced_weights_are_those_of_scikit_learn() {
        let labels = [0, 0, 0, 0, 0, 0, 1, 1, 2, 2];
        let weights = ClassWeights::Balanced.of(&labels, 3).unwrap();
        assert_eq!(weights, [10. / 18., 10. / 6., 10. / 6.]);
        assert_eq!(ClassWeights::Balanced.of(&labels, 4).unwrap()[3], 0.);
        assert_eq!(ClassWeights::Equal.of(&labels, 3), None);
    }
}
