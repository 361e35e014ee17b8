//! Batches of texts of similar length, which have little padding.

use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use tch::{Device, Kind, Tensor};

use super::Pass;
use crate::data::random::{Purpose, stream};

/// Batches in a window, within which examples are sorted.
const WINDOW: usize = 50;

/// The number of tokens of each text.
#[derive(Debug)]
pub struct LengthBuckets(Vec<u32>);

impl LengthBuckets {
    /// Those of token ids (N, tokens), with 0 as padding.
    pub fn of(ids: &Tensor) -> Self {
        let counts = ids.ne(0).sum_dim_intlist(1, false, Kind::Int64).to_device(Device::Cpu);
        let counts = Vec::<i64>::try_from(counts).expect("counts are int64 (N)");
        LengthBuckets(counts.into_iter().map(|count| count as u32).collect())
    }

    /// The order of an epoch whose batches have texts of similar length: the examples of each window of batches are sorted by length,
    /// and its batches shuffled. The examples of a window are those of `order`, so that a batch is a random sample of a length.
    ///
    /// It depends on the batch size, but not on the number of processes, so that a run that goes on with another number sees each
    /// example once.
    pub fn arrange(&self, mut order: Vec<i64>, pass: Pass) -> Vec<i64> {
        let mut generator = stream(pass.seed, Purpose::Buckets, pass.epoch.into());
        arrange(&mut order, |row| self.0[*row as usize], pass.batch_size as usize, &mut generator);
        order
    }
}

/// Arranges examples that begin with a batch of `size`, as [`LengthBuckets::arrange`].
pub(super) fn arrange<T: Copy>(
    order: &mut [T],
    length: impl Fn(&T) -> u32,
    size: usize,
    generator: &mut ChaCha8Rng,
) {
    for window in order.chunks_mut(WINDOW * size) {
        // What is left of the epoch is its last batch, of any lengths.
        let whole = window.len() / size * size;
        let (window, _) = window.split_at_mut(whole);
        // The sort is stable: examples of the same length stay in random order.
        window.sort_by_key(&length);
        let mut batches: Vec<Vec<T>> = window.chunks(size).map(<[T]>::to_vec).collect();
        batches.shuffle(generator);
        for (place, batch) in window.chunks_mut(size).zip(&batches) {
            place.copy_from_slice(batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::{MemoryExamples, MemoryLoader, Sampling, TrainLoader};
    use crate::model::preprocessing::TensorDataset;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_epoch_has_every_example_once_and_the_last_batch_stays(
            lengths in prop::collection::vec(0u32..9, 1..400), size in 1u32..6, seed: u64
        ) {
            let order: Vec<i64> = (0..lengths.len() as i64).rev().collect();
            let buckets = LengthBuckets(lengths);
            let arranged = buckets.arrange(order.clone(), Pass::new(2, size, seed));
            let rest = order.len() % size as usize;
            prop_assert_eq!(&arranged[order.len() - rest..], &order[order.len() - rest..]);
            let mut sorted = arranged.clone();
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            prop_assert_eq!(&sorted, &order);
            let several = Pass { processes: 3, ..Pass::new(2, size, seed) };
            prop_assert_eq!(buckets.arrange(order, several), arranged);
        }
    }

    /// The padding of batches: tokens with it, over tokens without it.
    fn padded(lengths: &[u32], order: &[i64], size: usize) -> f64 {
        let of =
            |rows: &[i64]| rows.iter().map(|row| lengths[*row as usize]).max().unwrap() as usize * rows.len();
        let used: u32 = lengths.iter().sum();
        order.chunks(size).map(of).sum::<usize>() as f64 / f64::from(used)
    }

    #[test]
    fn batches_have_little_padding_and_their_order_depends_on_seed_and_epoch() {
        let lengths: Vec<u32> = (0..1000).map(|row| 1 + row * 37 % 500).collect();
        let order: Vec<i64> = (0..1000).map(|place| place * 7 % 1000).collect();
        let buckets = LengthBuckets(lengths.clone());
        let arranged = |epoch, seed| buckets.arrange(order.clone(), Pass::new(epoch, 8, seed));
        assert!(padded(&lengths, &order, 8) > 1.6);
        assert!(padded(&lengths, &arranged(1, 0), 8) < 1.05);
        assert_eq!(arranged(1, 0), arranged(1, 0));
        assert_ne!(arranged(1, 0), arranged(2, 0));
        assert_ne!(arranged(1, 0), arranged(1, 1));
        // Long and short batches alternate at random.
        let first: Vec<u32> = arranged(1, 0).chunks(8).map(|batch| lengths[batch[0] as usize]).collect();
        assert!(!first.is_sorted());
    }

    #[test]
    fn lengths_are_those_of_ids_without_padding() {
        let ids = Tensor::from_slice(&[5f32, 7., 0., 9., 0., 0., 0., 0., 0.]).view([3, 3]);
        assert_eq!(LengthBuckets::of(&ids).0, [2, 1, 0]);
    }

    #[test]
    fn an_epoch_can_start_at_any_batch_and_ranks_share_each_batch() {
        let lengths: Vec<i64> = (0..43).map(|row| 1 + row * 5 % 9).collect();
        let ids: Vec<f32> =
            lengths.iter().flat_map(|length| (0..9).map(move |place| f32::from(place < *length))).collect();
        let part = TensorDataset {
            inputs: Tensor::from_slice(&ids).view([43, 9]),
            labels: Tensor::arange(43, (Kind::Int64, Device::Cpu)),
        };
        let loader =
            MemoryLoader::new(MemoryExamples::ready(part), Sampling::Shuffled, None).in_buckets(true);
        let labels = |pass| -> Vec<Vec<i64>> {
            loader.epoch(pass).map(|batch| Vec::try_from(batch.unwrap().labels).unwrap()).collect()
        };
        let whole = Pass::new(1, 4, 3);
        let all = labels(whole);
        for first in 0..all.len() {
            let pass = Pass { start: 4 * first, ..whole };
            assert_eq!(labels(pass), all[first..]);
            assert_eq!(loader.indexes(pass), all[first].iter().map(|row| *row as usize).collect::<Vec<_>>());
        }
        let ranks = [0, 1].map(|rank| labels(Pass { rank, processes: 2, ..whole }));
        let joined: Vec<i64> =
            ranks[0].iter().zip(&ranks[1]).flat_map(|(a, b)| [a.clone(), b.clone()].concat()).collect();
        assert_eq!(joined, all.concat());
    }
}
