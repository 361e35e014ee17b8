//! Calibration: whether the confidence of predictions matches their accuracy.

use tch::{Kind, Tensor};

use super::{Metric, Scores, Uncertainty};

/// Expected calibration error: the mean distance between accuracy and confidence over bins of equal width (Naeini, Cooper and
/// Hauskrecht, 2015; the bins are those of Guo et al., "On Calibration of Modern Neural Networks", 2017).
pub const METRIC: Metric =
    Metric::loss("calibration error", |evaluation| evaluation.class_scores().map(|scores| error(scores, 1.)))
        .with(Uncertainty::Unknown);

/// Expected calibration error after temperature scaling, with the temperature fitted to the same examples.
pub(crate) const SCALED: Metric = Metric::loss("calibration error, scaled", |evaluation| {
    evaluation.class_scores().map(|scores| error(scores, temperature(scores)))
})
.with(Uncertainty::Unknown);

/// The temperature that minimizes the cross-entropy on these examples.
pub(crate) const TEMPERATURE: Metric =
    Metric::loss("temperature", |evaluation| evaluation.class_scores().map(temperature))
        .with(Uncertainty::Unknown);

const BINS: usize = 15;

/// The examples whose confidence (the largest probability) lies in an interval.
///
/// ```
/// use cresset::evaluate::Scores;
/// use cresset::evaluate::calibration::bins;
/// use tch::Tensor;
///
/// let logits = Tensor::from_slice2(&[[3f32, 0.], [0., 3.], [0., 3.]]);
/// let scores = Scores { logits, labels: Tensor::from_slice(&[0i64, 1, 0]) };
/// // All three predictions have a confidence of 0.95, but only two are correct.
/// let bins = bins(&scores, 1.);
/// let bin = bins.iter().find(|bin| bin.rows > 0.).unwrap();
/// assert!((bin.confidence - 0.953).abs() < 1e-3);
/// assert!((bin.accuracy - 2. / 3.).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Lower bound, exclusive.
    pub low: f64,
    /// Upper bound, inclusive.
    pub high: f64,
    /// The number of examples.
    pub rows: f64,
    /// Mean confidence; NaN without examples.
    pub confidence: f64,
    /// Accuracy; NaN without examples.
    pub accuracy: f64,
}

/// The bins of the calibration error at a temperature.
///
/// ```
/// use cresset::evaluate::Scores;
/// use cresset::evaluate::calibration::bins;
/// use tch::Tensor;
///
/// let logits = Tensor::from_slice2(&[[2f32, 0.], [0., 1.]]);
/// let scores = Scores { logits, labels: Tensor::from_slice(&[0i64, 1]) };
/// assert_eq!(bins(&scores, 1.).iter().map(|bin| bin.rows).sum::<f64>(), 2.);
/// ```
pub fn bins(scores: &Scores, temperature: f64) -> Vec<Bin> {
    let (confidence, predicted) = scores.probabilities(temperature).max_dim(1, false);
    let correct = predicted.eq_tensor(&scores.labels).to_kind(Kind::Double);
    let bins = ((&confidence * BINS as f64).ceil() - 1.).clamp(0., BINS as f64 - 1.).to_kind(Kind::Int64);
    let sums = |of_rows: &Tensor| {
        let zeros = Tensor::zeros([BINS as i64], (Kind::Double, confidence.device()));
        Vec::<f64>::try_from(zeros.index_add(0, &bins, of_rows)).expect("the sums are numbers")
    };
    let (rows, confidence, correct) = (sums(&correct.ones_like()), sums(&confidence), sums(&correct));
    let bin = |index: usize| Bin {
        low: index as f64 / BINS as f64,
        high: (index + 1) as f64 / BINS as f64,
        rows: rows[index],
        confidence: confidence[index] / rows[index],
        accuracy: correct[index] / rows[index],
    };
    (0..BINS).map(bin).collect()
}

/// The expected calibration error at a temperature.
///
/// ```
/// use cresset::evaluate::Scores;
/// use cresset::evaluate::calibration::error;
/// use tch::Tensor;
///
/// // A confidence of 0.95, but an accuracy of 0.5.
/// let logits = Tensor::from_slice2(&[[3f32, 0.], [3., 0.]]);
/// let scores = Scores { logits, labels: Tensor::from_slice(&[0i64, 1]) };
/// assert!((error(&scores, 1.) - 0.453).abs() < 1e-3);
/// ```
pub fn error(scores: &Scores, temperature: f64) -> f64 {
    let bins = bins(scores, temperature);
    let non_empty = || bins.iter().filter(|bin| bin.rows > 0.);
    let gaps: f64 = non_empty().map(|bin| bin.rows * (bin.accuracy - bin.confidence).abs()).sum();
    gaps / non_empty().map(|bin| bin.rows).sum::<f64>()
}

/// The temperature that minimizes the cross-entropy (Guo et al., 2017), found by bisection: the loss is convex in the inverse of
/// the temperature.
///
/// ```
/// use cresset::evaluate::Scores;
/// use cresset::evaluate::calibration::{error, temperature};
/// use tch::Tensor;
///
/// let logits = Tensor::from_slice2(&[[4f32, 0.], [4., 0.], [4., 0.], [4., 0.]]);
/// let scores = Scores { logits, labels: Tensor::from_slice(&[0i64, 0, 0, 1]) };
/// let temperature = temperature(&scores);
/// // A temperature above 1 lowers the confidence of a model that is too confident.
/// assert!(temperature > 1. && error(&scores, temperature) < error(&scores, 1.));
/// ```
pub fn temperature(scores: &Scores) -> f64 {
    let logits = scores.logits.to_kind(Kind::Double);
    let label_logits = logits.gather(1, &scores.labels.unsqueeze(1), false).squeeze_dim(1);
    // The derivative of the loss with respect to the inverse temperature: the expected logit minus the logit of the label.
    let slope = |inverse: f64| {
        let probabilities = (&logits * inverse).softmax(-1, Kind::Double);
        let expected = (probabilities * &logits).sum_dim_intlist(1, false, Kind::Double);
        (expected - &label_logits).mean(Kind::Double).double_value(&[])
    };
    let (mut low, mut high) = (1. / MAX_TEMPERATURE, 1. / MIN_TEMPERATURE);
    for _ in 0..BISECTIONS {
        let middle = (low * high).sqrt();
        if slope(middle) > 0. { high = middle } else { low = middle }
    }
    (low * high).sqrt().recip()
}

/// The range of temperatures. If all predictions are correct, the loss decreases with the temperature.
const MIN_TEMPERATURE: f64 = 0.01;
const MAX_TEMPERATURE: f64 = 100.;

/// Bisection steps, for a relative precision of one millionth.
const BISECTIONS: u32 = 40;
