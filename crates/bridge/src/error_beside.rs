//! How exact results are, for tests.

use tch::{Kind, Tensor};

/// The largest difference from the same in float64, beside the largest value; NaN where something found is no number.
pub(crate) fn error(found: &[Tensor], right: &[Tensor]) -> f64 {
    let errors = found.iter().zip(right).map(|(found, right)| {
        let difference = (found.to_kind(Kind::Double) - right).abs().max();
        // Beside zeros, such as the gradients of what was never used, only zeros are right.
        (difference / right.abs().max().clamp_min(f64::MIN_POSITIVE)).double_value(&[])
    });
    // What is no number stays so, of which `f64::max` would take the other.
    errors.fold(0., |greatest, error| if error > greatest || error.is_nan() { error } else { greatest })
}
