//! What training makes small.

use tch::{Device, Kind, Reduction, Tensor};

use crate::feed::Batch;

/// PyTorch's mark of a row without a label; no data set of ours has such rows.
const IGNORED_LABEL: i64 = -100;

/// The mean cross-entropy, each example weighted by its class.
#[derive(Debug)]
pub struct Objective {
    /// Float32 (classes); none where all classes weigh 1.
    weights: Option<Tensor>,
}

impl Objective {
    /// Cross-entropy with these weights of the classes, or with none.
    pub fn new(weights: Option<&[f32]>, device: Device) -> Self {
        Objective { weights: weights.map(|weights| Tensor::from_slice(weights).to_device(device)) }
    }

    /// The loss of logits (N, classes), as a scalar. As in PyTorch, the sum over the examples is divided by the sum of
    /// their weights. Of a mixed input, each class counts with its share.
    pub fn loss(&self, logits: &Tensor, batch: &Batch) -> Tensor {
        let Some(mixed) = &batch.mixed else {
            return self.cross_entropy(logits, &batch.labels, Reduction::Mean);
        };
        let first = self.cross_entropy(logits, &batch.labels, Reduction::None);
        let second = self.cross_entropy(logits, &mixed.labels, Reduction::None);
        let share = &mixed.weight;
        let losses: Tensor = first * share + second * (1. - share);
        let weights = match &self.weights {
            Some(weights) => {
                weights.index_select(0, &batch.labels) * share
                    + weights.index_select(0, &mixed.labels) * (1. - share)
            }
            None => share.ones_like(),
        };
        losses.sum(Kind::Float) / weights.sum(Kind::Float)
    }

    fn cross_entropy(&self, logits: &Tensor, labels: &Tensor, reduction: Reduction) -> Tensor {
        logits.cross_entropy_loss(labels, self.weights.as_ref(), reduction, IGNORED_LABEL, 0.)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Mixed;

    fn logits() -> Tensor {
        Tensor::from_slice2(&[[2f32, 0., -1.], [0., 1., 0.5], [0.3, -0.2, 0.1]])
    }

    fn batch(weight: f32) -> Batch {
        let labels = Tensor::from_slice(&[0i64, 2, 1]);
        let mixed =
            Mixed { labels: Tensor::from_slice(&[1i64, 1, 0]), weight: Tensor::from_slice(&[weight; 3]) };
        Batch { inputs: Tensor::new(), labels, mixed: Some(mixed) }
    }

    fn plain(labels: &[i64], weights: Option<&[f32]>) -> f64 {
        let batch = Batch { inputs: Tensor::new(), labels: Tensor::from_slice(labels), mixed: None };
        Objective::new(weights, Device::Cpu).loss(&logits(), &batch).double_value(&[])
    }

    #[test]
    fn a_mixed_batch_has_the_mixed_loss() {
        let objective = Objective::new(None, Device::Cpu);
        let loss = |weight| objective.loss(&logits(), &batch(weight)).double_value(&[]);
        let (first, second) = (plain(&[0, 2, 1], None), plain(&[1, 1, 0], None));
        assert!((loss(1.) - first).abs() < 1e-6);
        assert!((loss(0.25) - (0.25 * first + 0.75 * second)).abs() < 1e-6);
    }

    #[test]
    fn weights_of_classes_hold_for_mixed_batches_too() {
        let weights = [0.5f32, 2., 1.];
        let objective = Objective::new(Some(&weights), Device::Cpu);
        let loss = objective.loss(&logits(), &batch(1.)).double_value(&[]);
        assert!((loss - plain(&[0, 2, 1], Some(&weights))).abs() < 1e-6);
        assert!((loss - plain(&[0, 2, 1], None)).abs() > 1e-3);
    }
}
