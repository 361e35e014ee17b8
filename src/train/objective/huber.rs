//! Huber loss: Huber, "Robust Estimation of a Location Parameter", 1964.

use tch::{Kind, Reduction};

use super::ObjectiveKind;
use cresset_options::number::NumberOption;

/// The Huber loss of values (N, outputs) against targets, float (N, outputs), for regression: half the square of an error up to
/// `delta`, and linear beyond it, so that outliers count less. The loss of an example is the mean over its outputs.
///
/// ```
/// use cresset::train::objective::huber::HUBER;
///
/// assert_eq!((HUBER.options[0].name, HUBER.options[0].default), ("delta", 1.));
/// ```
pub const HUBER: ObjectiveKind = ObjectiveKind {
    name: "huber",
    summary: "Huber loss: squared error of small errors, absolute error of large ones",
    options: &[NumberOption::real("delta", 1., (1e-6, 1e6), "error from which the loss is linear")],
    loss: |options, input| {
        let losses = input.logits.huber_loss(&input.targets(), Reduction::None, options.number("delta"));
        input.reduce(&losses.mean_dim(1, false, None::<Kind>))
    },
};
