//! How often prediction intervals contain the target, and how wide they are.

use tch::Kind;

use crate::evaluate::numbers::percent;
use crate::evaluate::{MetricValue, Scores};
use crate::model::ValueInterval;

/// The fraction of the examples whose interval contains the target, from 0 to 1, and the mean width of the intervals, in the unit of
/// the target. On the validation set, to which the interval is fitted, the fraction is at least the promised one.
///
/// ```
/// use cresset::evaluate::Scores;
/// use cresset::evaluate::regression::measure;
/// use cresset::model::ValueInterval;
/// use tch::Tensor;
///
/// let scores = Scores { logits: Tensor::from_slice(&[1f32, 2.]), labels: Tensor::from_slice(&[1.5f32, 4.]) };
/// let [coverage, width] = measure(&ValueInterval { coverage: 0.9, half_width: 1. }, &scores);
/// assert_eq!((coverage.name.as_str(), coverage.value), ("coverage of intervals, 90.00 % promised", 0.5));
/// assert_eq!(width.value, 2.);
/// ```
pub fn measure(interval: &ValueInterval, scores: &Scores) -> [MetricValue; 2] {
    // Rounded as when the interval was fitted, so that the residual that is half its width is covered.
    let residuals = (scores.logits.reshape(-1) - scores.labels.reshape(-1)).to_kind(Kind::Double);
    let covered = residuals.abs().le(interval.half_width);
    let coverage = covered.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
    let width = 2. * interval.half_width;
    [
        MetricValue {
            name: format!("coverage of intervals, {} promised", percent(Some(interval.coverage))),
            value: coverage,
            shown: percent(Some(coverage)),
        },
        MetricValue { name: "width of an interval".to_string(), value: width, shown: format!("{width:.4}") },
    ]
}
