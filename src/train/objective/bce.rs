//! Binary cross-entropy: each class a question of its own, so that an example may be of several.

use tch::{Kind, Reduction, Tensor};

use super::ObjectiveKind;

/// The objective.
pub const BCE: ObjectiveKind = ObjectiveKind {
    name: "bce",
    summary: "binary cross-entropy of each class by itself, for labels that do not exclude each other",
    options: &[],
    loss: |_, of| {
        let targets = of.targets();
        let none = None::<&Tensor>;
        let losses = of.logits.binary_cross_entropy_with_logits(&targets, none, none, Reduction::None);
        of.reduced(&losses.mean_dim(1, false, None::<Kind>))
    },
};
