//! Cross-entropy, optionally with label smoothing (Szegedy et al., "Rethinking the Inception Architecture", 2016).

use super::ObjectiveKind;
use crate::data::TaskKind;
use cresset_options::number::NumberOption;

/// The loss function.
pub(crate) const CROSS_ENTROPY: ObjectiveKind = ObjectiveKind {
    name: "cross-entropy",
    summary: "cross-entropy of the softmax",
    options: &[NumberOption::real("smoothing", 0., (0., 0.99), "label smoothing")],
    tasks: &[TaskKind::Classification],
    loss: |options, input| {
        let smoothing = options.number("smoothing");
        input.logits.cross_entropy_loss(input.labels, input.weights, input.reduction, IGNORE_INDEX, smoothing)
    },
};

/// PyTorch's default `ignore_index`, which no label has here.
const IGNORE_INDEX: i64 = -100;
