//! Prediction intervals of split conformal prediction.

/// Half the width of the intervals around predictions that contain the target with the probability `coverage`, between 0 and 1. It
/// is the ⌈(n + 1) · coverage⌉-th smallest of the n absolute residuals, in the unit of the targets (Lei, G'Sell, Rinaldo,
/// Tibshirani and Wasserman, "Distribution-Free Predictive Inference for Regression", JASA 2018).
///
/// The residuals, predictions minus targets, are those of examples that were not used for training and are exchangeable with new
/// ones. A residual that is not finite counts as infinitely large. `None` if only an infinite interval is wide enough, as with
/// fewer than coverage / (1 - coverage) examples.
///
/// ```
/// use cresset::evaluate::regression::half_width;
///
/// let residuals: Vec<f64> = (1..=19).map(|number| f64::from(number) * if number % 2 == 0 { 0.1 } else { -0.1 }).collect();
/// assert_eq!(half_width(&residuals, 0.9), Some(1.8));
/// assert_eq!(half_width(&residuals[..8], 0.9), None);
/// ```
pub fn half_width(residuals: &[f64], coverage: f64) -> Option<f64> {
    // Without the subtraction, rounding of the product could add one.
    let rank = ((residuals.len() + 1) as f64 * coverage - 1e-9).ceil() as usize;
    let place = rank.max(1) - 1;
    if place >= residuals.len() {
        return None;
    }
    let mut sizes: Vec<f64> = residuals.iter().map(|residual| residual.abs()).collect();
    let (_, width, _) = sizes.select_nth_unstable_by(place, f64::total_cmp);
    width.is_finite().then_some(*width)
}
