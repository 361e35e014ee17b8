//! The loss that classifiers are measured by, and trained to make small.

use tch::{Reduction, Tensor};

/// PyTorch's mark of a row without a label; no data set of ours has such rows.
const IGNORED_LABEL: i64 = -100;

/// The mean cross-entropy between logits (N, classes) and class indexes int64 (N), as a scalar.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    // Not tch's cross_entropy_for_logits, which computes in float32 whatever the logits are.
    logits.cross_entropy_loss::<Tensor>(labels, None, Reduction::Mean, IGNORED_LABEL, 0.)
}
