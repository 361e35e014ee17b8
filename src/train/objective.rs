//! What training makes small.

use tch::{Device, Reduction, Tensor};

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
    /// their weights.
    pub fn loss(&self, logits: &Tensor, batch: &Batch) -> Tensor {
        logits.cross_entropy_loss(&batch.labels, self.weights.as_ref(), Reduction::Mean, IGNORED_LABEL, 0.)
    }
}
