//! How exact results are, for tests.

use tch::{Kind, Tensor};

/// The largest difference from the same in float64, beside the largest value.
pub(crate) fn error(found: &[Tensor], right: &[Tensor]) -> f64 {
    let errors = found.iter().zip(right).map(|(found, right)| {
        ((found.to_kind(Kind::Double) - right).abs().max() / right.abs().max()).double_value(&[])
    });
    errors.fold(0., f64::max)
}
