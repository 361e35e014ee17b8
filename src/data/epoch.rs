//! The batches of an epoch.

use rand::seq::SliceRandom;
use tch::Tensor;

use super::Part;
use crate::random::{Purpose, stream};

/// The rows of one epoch in a shuffled order, cut into batches.
///
/// The whole epoch is gathered once, so that a batch is a view and costs no copy: one large `index_select` instead of
/// one for every step.
#[derive(Debug)]
pub struct EpochOrder {
    inputs: Tensor,
    labels: Tensor,
    batch_size: i64,
}

impl EpochOrder {
    /// Shuffles the rows for epoch `epoch` of the run with this seed.
    pub fn shuffled(Part { inputs, labels }: &Part, batch_size: u32, seed: u64, epoch: u32) -> Self {
        let mut order: Vec<i64> = (0..labels.size()[0]).collect();
        order.shuffle(&mut stream(seed, Purpose::Shuffle, epoch.into()));
        let order = Tensor::from_slice(&order).to_device(labels.device());
        EpochOrder {
            inputs: inputs.index_select(0, &order),
            labels: labels.index_select(0, &order),
            batch_size: batch_size.into(),
        }
    }

    /// The number of batches; the last one may be smaller.
    pub fn batches(&self) -> usize {
        (self.labels.size()[0] as usize).div_ceil(self.batch_size as usize)
    }

    /// Batch `index`: inputs (B, …) and labels (B).
    pub fn batch(&self, index: usize) -> (Tensor, Tensor) {
        let start = index as i64 * self.batch_size;
        let length = self.batch_size.min(self.labels.size()[0] - start);
        (self.inputs.narrow(0, start, length), self.labels.narrow(0, start, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_gives_every_row_once_with_its_label() {
        let inputs = Tensor::from_slice(&(0..10).map(|row| row as f32).collect::<Vec<_>>()).view([10, 1]);
        let labels = Tensor::from_slice(&(0..10i64).collect::<Vec<_>>());
        let order = EpochOrder::shuffled(&Part { inputs, labels }, 4, 3, 1);
        assert_eq!(order.batches(), 3);
        let mut seen = Vec::new();
        for index in 0..order.batches() {
            let (inputs, labels) = order.batch(index);
            let values = Vec::<f32>::try_from(inputs.flatten(0, -1)).unwrap();
            let classes = Vec::<i64>::try_from(labels).unwrap();
            assert!(values.iter().zip(&classes).all(|(value, class)| *value == *class as f32));
            seen.extend(classes);
        }
        assert_ne!(seen, (0..10).collect::<Vec<_>>());
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
    }
}
