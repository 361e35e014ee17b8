//! Softmax over the items of a batch: Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", 2019.

use tch::{Kind, Reduction, Tensor};

use super::ObjectiveKind;
use crate::data::TaskKind;

/// The cross-entropy of the scores (N, N) of the users and items of a batch, where the item of each user is the one at the same place.
/// The model subtracts the logarithm of the frequency of each item in training (logQ correction), because frequent items are more often
/// the wrong item of another user.
pub(crate) const IN_BATCH: ObjectiveKind = ObjectiveKind {
    name: "in-batch-softmax",
    summary: "cross-entropy of the softmax over the items of a batch, for ranking",
    options: &[],
    tasks: &[TaskKind::Ranking],
    loss: |_, input| {
        let places = Tensor::arange(input.logits.size()[0], (Kind::Int64, input.logits.device()));
        let losses =
            input.logits.cross_entropy_loss(&places, None::<&Tensor>, Reduction::None, IGNORE_INDEX, 0.);
        input.reduce(&losses)
    },
};

/// PyTorch's default `ignore_index`, which no place has.
const IGNORE_INDEX: i64 = -100;
