//! Cross-entropy loss.

use tch::{Reduction, Tensor};

/// PyTorch's default `ignore_index`. No label has this value.
const IGNORED_LABEL: i64 = -100;

/// The mean cross-entropy between logits (N, classes) and class indices int64 (N), as a scalar.
///
/// ```
/// use cresset::evaluate::cross_entropy;
/// use tch::{Device, Kind, Tensor};
///
/// // Equal logits of four classes: the loss is ln 4.
/// let logits = Tensor::zeros([2, 4], (Kind::Float, Device::Cpu));
/// let loss = cross_entropy(&logits, &Tensor::from_slice(&[0i64, 3]));
/// assert!((loss.double_value(&[]) - 4f64.ln()).abs() < 1e-6);
/// ```
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    // tch's cross_entropy_for_logits always computes in float32; this keeps the dtype of the logits.
    logits.cross_entropy_loss::<Tensor>(labels, None, Reduction::Mean, IGNORED_LABEL, 0.)
}
