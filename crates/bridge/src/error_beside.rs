//! The error of computed results, for tests.

use tch::{Kind, Tensor};

/// The largest absolute difference from the float64 result, relative to the largest value; NaN if a result is not finite.
pub(crate) fn error(found: &[Tensor], right: &[Tensor]) -> f64 {
    let errors = found.iter().zip(right).map(|(found, right)| {
        let difference = (found.to_kind(Kind::Double) - right).abs().max();
        // If the expected values are all zero, such as the gradients of unused parameters, only zeros are correct.
        (difference / right.abs().max().clamp_min(f64::MIN_POSITIVE)).double_value(&[])
    });
    // `f64::max` would drop NaN.
    errors.fold(0., |greatest, error| if error > greatest || error.is_nan() { error } else { greatest })
}
