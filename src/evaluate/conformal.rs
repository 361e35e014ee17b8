//! Conformal prediction sets: sets of classes that contain the true one with a guaranteed probability (Sadinle, Lei and Wasserman,
//! "Least Ambiguous Set-Valued Classifiers with Bounded Error Levels", JASA 2019; split conformal prediction after Papadopoulos et
//! al., 2002).

use serde::{Deserialize, Serialize};
use tch::Kind;

use super::{MetricValue, Scores};
use crate::evaluate::numbers::percent;

/// The threshold of a model's prediction sets: a set has all classes whose probability is at least [`Conformal::threshold`].
///
/// New examples that are exchangeable with the calibration set are covered with at least the probability [`Conformal::coverage`].
/// A set may be empty: the model abstains.
///
/// ```
/// use cresset::evaluate::Scores;
/// use cresset::evaluate::conformal::Conformal;
/// use tch::Tensor;
///
/// // The true class has the probabilities 0.9, 0.8, 0.6 and 0.3.
/// let logits = [[0.9f64, 0.1], [0.8, 0.2], [0.4, 0.6], [0.7, 0.3]].map(|row| row.map(f64::ln));
/// let scores = Scores { logits: Tensor::from_slice2(&logits), labels: Tensor::from_slice(&[0i64, 0, 1, 1]) };
/// let conformal = Conformal::fit(&scores, 0.6).unwrap();
/// assert!((conformal.threshold - 0.6).abs() < 1e-5);
/// assert_eq!(conformal.set(&[0.7, 0.3]), [0]);
/// assert!(conformal.set(&[0.5, 0.5]).is_empty());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Conformal {
    /// The probability with which a set contains the true class, between 0 and 1.
    pub coverage: f64,
    /// The minimum probability of a class in a set, from 0 to 1.
    pub threshold: f64,
}

/// How much smaller the threshold is than the probability from which it comes, so that rounding excludes no example of the
/// calibration set.
const ROUNDING: f64 = 1e-6;

impl Conformal {
    /// Calibrates the threshold on examples that were not used for training. None without examples.
    ///
    /// It is the ⌈(n + 1) · coverage⌉-th largest of the n probabilities of the true classes, or 0 if n is too small, which puts all
    /// classes into each set.
    pub fn fit(scores: &Scores, coverage: f64) -> Option<Self> {
        let mut of_true_class = probabilities_of_true_class(scores);
        of_true_class.retain(|probability| probability.is_finite());
        if of_true_class.is_empty() {
            return None;
        }
        of_true_class.sort_by(|a, b| b.total_cmp(a));
        // Without the subtraction, rounding of the product could add one.
        let rank = ((of_true_class.len() + 1) as f64 * coverage - 1e-9).ceil() as usize;
        let threshold = match of_true_class.get(rank.max(1) - 1) {
            Some(probability) => (probability - ROUNDING).max(0.),
            None => 0.,
        };
        Some(Conformal { coverage, threshold })
    }

    /// The indexes of the classes in the set of an example, the most probable first.
    pub fn set(&self, probabilities: &[f64]) -> Vec<usize> {
        let is_in = |index: &usize| probabilities[*index] >= self.threshold;
        let mut classes: Vec<_> = (0..probabilities.len()).filter(is_in).collect();
        classes.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
        classes
    }

    /// The names of the classes in the set of an example, the most probable first.
    pub fn named_set(&self, probabilities: &[f64], classes: &[String]) -> Vec<String> {
        self.set(probabilities).into_iter().map(|index| classes[index].clone()).collect()
    }

    /// The share of the examples whose set contains the true class, the mean size of the sets, and the share of empty sets.
    pub fn measure(&self, scores: &Scores) -> [MetricValue; 3] {
        let sizes = scores.probabilities(1.).ge(self.threshold).sum_dim_intlist(-1, false, Kind::Double);
        let of_true_class = probabilities_of_true_class(scores);
        let covered = of_true_class.iter().filter(|probability| **probability >= self.threshold).count();
        let coverage = covered as f64 / of_true_class.len() as f64;
        let (size, empty) = (sizes.mean(Kind::Double), sizes.eq(0.).to_kind(Kind::Double).mean(Kind::Double));
        let (size, empty) = (size.double_value(&[]), empty.double_value(&[]));
        let value = |name: String, value, shown| MetricValue { name, value, shown };
        [
            value(
                format!("coverage of sets, {} promised", percent(Some(self.coverage))),
                coverage,
                percent(Some(coverage)),
            ),
            value("classes in a set".to_string(), size, format!("{size:.3}")),
            value("empty sets".to_string(), empty, percent(Some(empty))),
        ]
    }
}

fn probabilities_of_true_class(scores: &Scores) -> Vec<f64> {
    let labels = scores.labels.unsqueeze(-1);
    let found = scores.probabilities(1.).gather(-1, &labels, false).squeeze_dim(-1);
    Vec::try_from(found).expect("probabilities are float64")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Tensor};

    /// Random logits of a model that is right more often than not.
    fn scores(rows: i64) -> Scores {
        let labels = Tensor::randint(5, [rows], (Kind::Int64, Device::Cpu));
        let noise = Tensor::randn([rows, 5], (Kind::Float, Device::Cpu)) * 1.5;
        Scores { logits: noise + labels.one_hot(5) * 2., labels }
    }

    /// Over many random calibration sets, the mean coverage lies between the promise and 1 / (n + 1) above it.
    #[test]
    fn the_coverage_is_the_promised_one() {
        tch::manual_seed(4);
        let fresh = scores(20_000);
        for promised in [0.8, 0.95] {
            let coverages: Vec<f64> = (0..100)
                .map(|_| Conformal::fit(&scores(100), promised).unwrap().measure(&fresh)[0].value)
                .collect();
            let mean = coverages.iter().sum::<f64>() / 100.;
            let spread = coverages.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 99.;
            let error = (spread / 100.).sqrt();
            assert!((promised - 2. * error..=promised + 1. / 101. + 2. * error).contains(&mean), "{mean}");
        }
    }

    #[test]
    fn a_set_of_too_few_examples_has_all_classes() {
        tch::manual_seed(5);
        let conformal = Conformal::fit(&scores(10), 0.95).unwrap();
        assert_eq!(conformal.threshold, 0.);
        assert_eq!(conformal.set(&[0., 0.25, 0.75]), [2, 1, 0]);
        assert!(Conformal::fit(&scores(0), 0.95).is_none());
        // The 19th of 19 and the promise: (19 + 1) · 0.95 is 19, without rounding up.
        assert!(Conformal::fit(&scores(19), 0.95).unwrap().threshold > 0.);
    }

    #[test]
    fn the_calibration_set_itself_is_covered() {
        tch::manual_seed(6);
        let scores = scores(200);
        let [coverage, size, empty] = Conformal::fit(&scores, 0.9).unwrap().measure(&scores);
        // ⌈201 · 0.9⌉ of 200.
        assert_eq!(coverage.value, 181. / 200.);
        assert!(size.value > 0.9 && (0. ..0.2).contains(&empty.value));
    }
}
