//! Binary cross-entropy of each class, for multi-label classification.

use tch::{Kind, Reduction, Tensor};

use super::ObjectiveKind;
use crate::data::TaskKind;

/// The loss function.
pub(crate) const BCE: ObjectiveKind = ObjectiveKind {
    name: "bce",
    summary: "binary cross-entropy of each class, for labels that are not mutually exclusive",
    options: &[],
    tasks: &[TaskKind::Classification, TaskKind::Multilabel],
    loss: |_, input| {
        let targets = input.targets();
        let none = None::<&Tensor>;
        let losses = input.logits.binary_cross_entropy_with_logits(&targets, none, none, Reduction::None);
        input.reduce(&losses.mean_dim(1, false, None::<Kind>))
    },
};
