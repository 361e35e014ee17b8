//! The squared error of values.

use tch::Kind;

use super::ObjectiveKind;

/// The squared error of values (N, outputs) against targets, float (N, outputs), for regression. The loss of an example is the mean
/// over its outputs. (`mse` compares the softmax of logits with classes.)
///
/// ```
/// use cresset::train::objective::squared_error::SQUARED_ERROR;
///
/// assert!(SQUARED_ERROR.options.is_empty());
/// ```
pub const SQUARED_ERROR: ObjectiveKind = ObjectiveKind {
    name: "squared-error",
    summary: "squared error of values",
    options: &[],
    loss: |_, input| {
        let errors = input.logits - input.targets();
        input.reduce(&errors.square().mean_dim(1, false, None::<Kind>))
    },
};
