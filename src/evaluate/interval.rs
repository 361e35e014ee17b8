//! 95 % confidence intervals of metrics.

use rand::RngExt;
use serde::Serialize;
use tch::Tensor;

use super::{Evaluation, METRICS, Metric, Scores, Sums};
use crate::data::random::{Purpose, stream};
use crate::model::Outputs;

/// A confidence interval.
///
/// ```
/// use cresset::evaluate::Interval;
///
/// let small_sample = Interval { low: 0.81, high: 0.95 };
/// assert!(small_sample.overlaps(&Interval { low: 0.93, high: 0.97 }));
/// assert!(!small_sample.overlaps(&Interval { low: 0.96, high: 0.99 }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

impl Interval {
    /// Whether two intervals overlap.
    pub fn overlaps(&self, other: &Interval) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

/// How the confidence interval of a metric is computed.
///
/// ```
/// use cresset::evaluate::{METRICS, Uncertainty};
///
/// let accuracy = METRICS.iter().find(|metric| metric.name == "accuracy").unwrap();
/// assert_eq!(accuracy.uncertainty, Uncertainty::Share);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uncertainty {
    /// The metric is a fraction of the examples: Wilson score interval.
    Share,
    /// Of classes as [`Uncertainty::Share`], of labels as [`Uncertainty::Resampled`].
    ShareOfClasses,
    /// Percentile bootstrap (Efron, 1979).
    Resampled,
    /// No interval: resampling with replacement biases the metric, or it is fitted to the examples.
    Unknown,
}

impl Uncertainty {
    fn is_resampled(self, evaluation: &Evaluation) -> bool {
        match self {
            Uncertainty::Resampled => true,
            Uncertainty::ShareOfClasses => evaluation.confusion().is_none(),
            Uncertainty::Share | Uncertainty::Unknown => false,
        }
    }
}

/// The 97.5th percentile of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson score interval of the fraction `hits` / `rows` (Wilson, "Probable inference, the law of succession, and statistical
/// inference", 1927); `None` if `rows` is 0. The bounds lie in \[0, 1\], and the width is positive even if the fraction is 1.
pub(crate) fn wilson(hits: u64, rows: u64) -> Option<Interval> {
    let n = rows as f64;
    let share = hits as f64 / n;
    let scale = 1. + Z * Z / n;
    let middle = (share + Z * Z / (2. * n)) / scale;
    let half = Z / scale * (share * (1. - share) / n + Z * Z / (4. * n * n)).sqrt();
    // Rounding may push the bounds past 0, 1 or the fraction itself.
    (rows > 0).then(|| Interval {
        low: (middle - half).min(share).max(0.),
        high: (middle + half).max(share).min(1.),
    })
}

/// The number of bootstrap resamples.
pub(crate) const RESAMPLES: usize = 1000;

/// The largest number of scores (examples times classes) that is resampled. More would take minutes, and the intervals would be
/// narrow.
pub(crate) const MAX_RESAMPLED_SCORES: usize = 1 << 17;

/// The confidence interval of each of [`METRICS`], if it has one.
///
/// ```
/// use cresset::evaluate::interval::intervals;
/// use cresset::model::Outputs;
/// use cresset::evaluate::{ConfusionMatrix, Evaluation, METRICS};
///
/// // 85 of 100 examples are classified correctly.
/// let confusion = ConfusionMatrix::new(2, vec![40, 10, 5, 45]);
/// let evaluation = Evaluation::of_classes(0.4, confusion);
/// let accuracy = METRICS.iter().position(|metric| metric.name == "accuracy").unwrap();
/// let interval = intervals(&evaluation, &Outputs::Classification)[accuracy].unwrap();
/// assert!((interval.low - 0.767).abs() < 1e-3 && (interval.high - 0.907).abs() < 1e-3);
/// ```
pub fn intervals(evaluation: &Evaluation, outputs: &Outputs) -> Vec<Option<Interval>> {
    let rows = evaluation.rows();
    let mut samples = vec![Vec::new(); METRICS.len()];
    if evaluation.scores.is_some() || evaluation.ranking().is_some() {
        // Tensors this small are ten times as fast with one thread as with two.
        let threads = tch::get_num_threads();
        tch::set_num_threads(1);
        for number in 0..RESAMPLES {
            let Some(drawn) = resampled(evaluation, outputs, number as u64) else { break };
            for (samples, metric) in samples.iter_mut().zip(METRICS) {
                if metric.uncertainty.is_resampled(evaluation) {
                    samples.extend((metric.of)(&drawn).filter(|value| value.is_finite()));
                }
            }
        }
        tch::set_num_threads(threads);
    }
    let share = |metric: &Metric| wilson(((metric.of)(evaluation)? * rows as f64).round() as u64, rows);
    let interval = |(metric, samples): (&Metric, &mut Vec<f64>)| match metric.uncertainty {
        // No interval if the metric is undefined in some resamples, because a class is missing there.
        uncertainty if uncertainty.is_resampled(evaluation) => {
            (samples.len() == RESAMPLES).then(|| percentiles(samples))
        }
        Uncertainty::Unknown => None,
        _ => share(metric),
    };
    METRICS.iter().zip(&mut samples).map(interval).collect()
}

/// The confidence interval of [`Evaluation::score`]; `None` for F1 and R² without scores, or with too many to resample.
pub(crate) fn score_interval(evaluation: &Evaluation, outputs: &Outputs) -> Option<Interval> {
    if let Some(confusion) = evaluation.confusion() {
        return wilson(confusion.correct(), confusion.total());
    }
    let drawn = |number: usize| Some(resampled(evaluation, outputs, number as u64)?.score());
    let mut samples = (0..RESAMPLES).map(drawn).collect::<Option<Vec<f64>>>()?;
    samples.iter().all(|score| score.is_finite()).then(|| percentiles(&mut samples))
}

/// A bootstrap sample: N examples, or users of recommendations, drawn with replacement; `None` without scores, and if there are too many.
fn resampled(evaluation: &Evaluation, outputs: &Outputs, number: u64) -> Option<Evaluation> {
    let mut generator = stream(0, Purpose::Bootstrap, number);
    if let Sums::Ranking(sums) = &evaluation.sums {
        let users = sums.users();
        let drawn = (0..users).map(|_| generator.random_range(0..users));
        let sums = (users <= MAX_RESAMPLED_SCORES).then(|| Sums::Ranking(sums.select(drawn)))?;
        // The loss of each user is not kept.
        return Some(Evaluation { loss: f64::NAN, sums, scores: None });
    }
    let scores = evaluation.scores.as_ref().filter(|scores| scores.logits.numel() <= MAX_RESAMPLED_SCORES)?;
    let rows = scores.logits.size()[0];
    let indices: Vec<i64> = (0..rows).map(|_| generator.random_range(0..rows)).collect();
    let indices = Tensor::from_slice(&indices);
    let (logits, labels) = (scores.logits.index_select(0, &indices), scores.labels.index_select(0, &indices));
    Some(Evaluation::of_scores(Scores { logits, labels }, outputs))
}

/// The 2.5th and the 97.5th percentile.
fn percentiles(samples: &mut [f64]) -> Interval {
    samples.sort_unstable_by(f64::total_cmp);
    let cut = samples.len() / 40;
    Interval { low: samples[cut], high: samples[samples.len() - 1 - cut] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Keep;
    use crate::loader::RankingSet;
    use proptest::prelude::*;

    #[test]
    fn the_interval_of_a_share_is_wilsons() {
        // Computed by hand: 8 of 10, z² = 3.8415; (0.8 + 0.19207) / 1.38415 ± 1.96 / 1.38415 · √(0.016 + 0.0096037).
        let interval = wilson(8, 10).unwrap();
        assert!(
            (interval.low - 0.49016).abs() < 1e-4 && (interval.high - 0.94331).abs() < 1e-4,
            "{interval:?}"
        );
        let all = wilson(20, 20).unwrap();
        assert!((all.low - 0.83887).abs() < 1e-4 && all.high == 1., "{all:?}");
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn recommendations_are_resampled_by_user() {
        // Of 400 users, every second one chose the best item, which is an NDCG of 1, and the others one that is not in the training set.
        let users = (0..400).map(|user| (user, if user % 2 == 0 { vec![1] } else { vec![-1] }, vec![]));
        let set = RankingSet::new(3, users);
        let scores =
            |users: &Tensor| Ok(Tensor::from_slice2(&[[0.2f32, 0.9, 0.1]]).repeat([users.size()[0], 1]));
        let found = set.evaluate(Keep::Scores, tch::Device::Cpu, scores).unwrap();
        let all = intervals(&found, &Outputs::Ranking);
        let of = |name: &str| all[METRICS.iter().position(|metric| metric.name == name).unwrap()];
        for name in ["NDCG@10", "hit rate@10"] {
            let interval = of(name).unwrap();
            assert!(
                (interval.low - 0.451).abs() < 0.01 && (interval.high - 0.549).abs() < 0.01,
                "{interval:?}"
            );
        }
        assert!(of("coverage@10").is_none() && of("log-loss").is_none());
        assert_eq!(score_interval(&found, &Outputs::Ranking), of("NDCG@10"));
    }

    proptest! {
        #[test]
        fn the_interval_contains_the_fraction_and_shrinks_with_the_rows(rows in 1u64..10_000, part in 0f64..=1.) {
            let hits = (rows as f64 * part) as u64;
            let (few, many) = (wilson(hits, rows).unwrap(), wilson(hits * 4, rows * 4).unwrap());
            let share = hits as f64 / rows as f64;
            prop_assert!(0. <= few.low && few.low <= share && share <= few.high && few.high <= 1.);
            prop_assert!(many.high - many.low < few.high - few.low);
        }
    }

    #[test]
    fn resampling_gives_the_interval_that_theory_expects() {
        // 400 examples of two classes, a quarter of each misclassified: the standard error of the balanced accuracy is
        // √(0.75 · 0.25 / 400), so the interval is about ± 4.2 points.
        let labels: Vec<i64> = (0..400).map(|row| row % 2).collect();
        let predicted = |row: usize| if row % 8 < 6 { labels[row] } else { 1 - labels[row] };
        let logits: Vec<f32> =
            (0..400).flat_map(|row| [0., if predicted(row) == 1 { 2. } else { -2. }]).collect();
        let (logits, labels) = (Tensor::from_slice(&logits).view([400, 2]), Tensor::from_slice(&labels));
        let evaluation = Evaluation::of_scores(Scores { logits, labels }, &Outputs::Classification);
        let all = intervals(&evaluation, &Outputs::Classification);
        let of = |name: &str| all[METRICS.iter().position(|metric| metric.name == name).unwrap()];
        let interval = of("balanced accuracy").unwrap();
        assert!(
            (interval.low - 0.7076).abs() < 0.01 && (interval.high - 0.7924).abs() < 0.01,
            "{interval:?}"
        );
        assert_eq!(of("accuracy"), wilson(300, 400));
        assert_eq!(of("calibration error"), None);
        assert_eq!(intervals(&evaluation, &Outputs::Classification), all);
    }
}
