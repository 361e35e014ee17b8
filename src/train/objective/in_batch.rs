//! Softmax over the items of a batch: Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", 2019.

use tch::{Kind, Reduction, Tensor};

use super::ObjectiveKind;
use crate::data::TaskKind;

/// The cross-entropy of the scores (N, block) of the users of a batch for the items of their block, where the item of each user is the one
/// at the same place.
/// The model subtracts the logarithm of the frequency of each item in training (logQ correction), because frequent items are more often
/// the wrong item of another user.
pub(crate) const IN_BATCH: ObjectiveKind = ObjectiveKind {
    name: "in-batch-softmax",
    summary: "cross-entropy of the softmax over the items of a batch, for ranking",
    options: &[],
    tasks: &[TaskKind::Ranking],
    loss: |_, input| {
        let losses = input.logits.cross_entropy_loss(
            &own_items(input.logits),
            None::<&Tensor>,
            Reduction::None,
            IGNORE_INDEX,
            0.,
        );
        input.reduce(&losses)
    },
};

/// The column of the item of each user, int64 (N), in the scores of users for the items of their block (N, block).
pub(crate) fn own_items(scores: &Tensor) -> Tensor {
    let size = scores.size();
    Tensor::arange(size[0], (Kind::Int64, scores.device())).remainder(size[1])
}

/// PyTorch's default `ignore_index`, which no place has.
const IGNORE_INDEX: i64 = -100;
