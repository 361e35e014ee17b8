//! The mean squared error of the probabilities against one-hot targets (Brier, 1950).

use tch::Kind;

use super::ObjectiveKind;

/// The loss function.
pub(crate) const MSE: ObjectiveKind = ObjectiveKind {
    name: "mse",
    summary: "mean squared error between the softmax and the one-hot label",
    options: &[],
    loss: |_, input| {
        let errors = input.logits.softmax(-1, None::<Kind>) - input.targets();
        input.reduce(&errors.square().mean_dim(1, false, None::<Kind>))
    },
};
