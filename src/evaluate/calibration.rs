//! Whether probabilities are what they say: of the rows that are given 80 %, are 80 % right?

use tch::{Kind, Tensor};

use super::{Metric, Scores, Uncertainty};

/// The expected calibration error: the mean distance of accuracy from confidence, over bins of equal width (Naeini, Cooper and
/// Hauskrecht, 2015; the bins are those of Guo et al., "On Calibration of Modern Neural Networks", 2017).
pub const METRIC: Metric =
    Metric::loss("calibration error", |found| found.scores.as_ref().map(|scores| error(scores, 1.)))
        .with(Uncertainty::Unknown);

/// The same, of probabilities that were softened or sharpened by the temperature that suits these very rows.
pub const SCALED: Metric = Metric::loss("calibration error, scaled", |found| {
    found.scores.as_ref().map(|scores| error(scores, temperature(scores)))
})
.with(Uncertainty::Unknown);

/// What the logits are to be divided by, for probabilities that are as good as can be on these rows.
pub const TEMPERATURE: Metric =
    Metric::loss("temperature", |found| found.scores.as_ref().map(temperature)).with(Uncertainty::Unknown);

const BINS: usize = 15;

/// The rows whose most probable class has a probability of some interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// The probabilities above this, …
    pub low: f64,
    /// … up to this one.
    pub high: f64,
    /// How many rows there are.
    pub rows: f64,
    /// The mean of those probabilities; NaN without rows.
    pub confidence: f64,
    /// The share of the rows that are right; NaN without rows.
    pub accuracy: f64,
}

/// The bins of the calibration error, for probabilities at a temperature.
pub fn bins(scores: &Scores, temperature: f64) -> Vec<Bin> {
    let (confidence, predicted) = scores.probabilities(temperature).max_dim(1, false);
    let right = predicted.eq_tensor(&scores.labels).to_kind(Kind::Double);
    // A bin holds its upper bound, not its lower one.
    let bins = ((&confidence * BINS as f64).ceil() - 1.).clamp(0., BINS as f64 - 1.).to_kind(Kind::Int64);
    let sums = |of_rows: &Tensor| {
        let zeros = Tensor::zeros([BINS as i64], (Kind::Double, confidence.device()));
        Vec::<f64>::try_from(zeros.index_add(0, &bins, of_rows)).expect("the sums are numbers")
    };
    let (rows, confidence, right) = (sums(&right.ones_like()), sums(&confidence), sums(&right));
    let bin = |index: usize| Bin {
        low: index as f64 / BINS as f64,
        high: (index + 1) as f64 / BINS as f64,
        rows: rows[index],
        confidence: confidence[index] / rows[index],
        accuracy: right[index] / rows[index],
    };
    (0..BINS).map(bin).collect()
}

/// The calibration error of probabilities at a temperature.
pub fn error(scores: &Scores, temperature: f64) -> f64 {
    let bins = bins(scores, temperature);
    let filled = || bins.iter().filter(|bin| bin.rows > 0.);
    let gaps: f64 = filled().map(|bin| bin.rows * (bin.accuracy - bin.confidence).abs()).sum();
    gaps / filled().map(|bin| bin.rows).sum::<f64>()
}

/// The temperature with the least cross-entropy (Guo et al., 2017), found by halving the interval that it is in: the loss is
/// convex in the inverse of the temperature.
pub fn temperature(scores: &Scores) -> f64 {
    let logits = scores.logits.to_kind(Kind::Double);
    let right = logits.gather(1, &scores.labels.unsqueeze(1), false).squeeze_dim(1);
    // The slope of the loss by the inverse of the temperature: the mean logit as expected, less the one of the right class.
    let slope = |inverse: f64| {
        let probabilities = (&logits * inverse).softmax(-1, Kind::Double);
        let expected = (probabilities * &logits).sum_dim_intlist(1, false, Kind::Double);
        (expected - &right).mean(Kind::Double).double_value(&[])
    };
    let (mut low, mut high) = (1. / HOTTEST, 1. / COLDEST);
    for _ in 0..HALVINGS {
        let middle = (low * high).sqrt();
        if slope(middle) > 0. { high = middle } else { low = middle }
    }
    (low * high).sqrt().recip()
}

/// The temperatures that are thought of. Where every row is right, colder is always better.
const COLDEST: f64 = 0.01;
const HOTTEST: f64 = 100.;

/// They leave an interval of a millionth.
const HALVINGS: u32 = 40;
