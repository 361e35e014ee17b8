//! Detection of out-of-distribution inputs by the energy of the logits (Liu, Wang, Owens and Li, "Energy-based Out-of-distribution
//! Detection", NeurIPS 2020), or by the distance to the features of the training set (Sun, Ming, Zhu and Li, "Out-of-Distribution
//! Detection with Deep Nearest Neighbors", ICML 2022).

use cresset_options::choices;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::numbers::percent;
use super::{MetricValue, Scores};

choices! {
    /// What tells whether an input is unlike the training data.
    ///
    /// ```
    /// use cresset::evaluate::ood::OodScore;
    ///
    /// assert_eq!("knn".parse(), Ok(OodScore::Knn));
    /// ```
    #[derive(Default, Serialize, Deserialize)]
    pub enum OodScore {
        /// the energy of the logits, -logsumexp
        #[default]
        #[serde(rename = "energy")]
        Energy = "energy",
        /// the distance to the k-th nearest of up to 2,048 features of training examples, which the exported model contains
        #[serde(rename = "knn")]
        Knn = "knn",
    }
}

impl OodScore {
    /// The name of its values in predictions.
    pub fn field(self) -> &'static str {
        match self {
            OodScore::Energy => "energy",
            OodScore::Knn => "distance",
        }
    }

    fn is_energy(&self) -> bool {
        *self == OodScore::Energy
    }
}

/// The threshold of a model's scores, such as energies: an input with a larger score is flagged as out of distribution.
///
/// Of new examples that are exchangeable with the validation set, at most the share [`OodThreshold::share`] is flagged on average. The
/// threshold says nothing about the share of other inputs that is flagged.
///
/// ```
/// use cresset::evaluate::Scores;
/// use cresset::evaluate::ood::OodThreshold;
/// use tch::Tensor;
///
/// // The energies are -log(exp(logit) + 1), so the example with the logit 1 has the largest one, -1.31.
/// let logits = [[4f32, 0.], [1., 0.], [3., 0.], [2., 0.]];
/// let scores = Scores { logits: Tensor::from_slice2(&logits), labels: Tensor::from_slice(&[0i64, 0, 0, 0]) };
/// let ood = OodThreshold::fit(&scores, 0.2).unwrap();
/// assert!(ood.is_ood(-1.2) && !ood.is_ood(-1.4));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OodThreshold {
    /// The largest share of inputs like the validation set that is flagged, between 0 and 1.
    pub share: f64,
    /// The largest score of an input that is not flagged, a float32 number; `None` if the validation set was too small, which flags
    /// nothing.
    pub threshold: Option<f64>,
    /// The score.
    #[serde(default, skip_serializing_if = "OodScore::is_energy")]
    pub score: OodScore,
    /// The number k of the k-th nearest feature, for [`OodScore::Knn`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k: Option<i64>,
}

/// How much larger the threshold is than the score from which it comes, relative to it, so that rounding does not flag an example of
/// the validation set.
const ROUNDING: f32 = 1e-5;

impl OodThreshold {
    /// Calibrates the threshold of energies on examples that were not used for training. `None` without examples.
    ///
    /// It is the ⌈(n + 1) · (1 - share)⌉-th smallest of the n energies, the threshold of split conformal prediction. With fewer than
    /// [`OodThreshold::least_examples`], there is no such energy.
    pub fn fit(scores: &Scores, share: f64) -> Option<Self> {
        let threshold = quantile(energies(&scores.logits), share)?;
        Some(OodThreshold { share, threshold, score: OodScore::Energy, k: None })
    }

    /// Like [`OodThreshold::fit`], from the distances of these examples to their `k`-th nearest features.
    pub fn fit_distances(distances: Vec<f32>, share: f64, k: i64) -> Option<Self> {
        let threshold = quantile(distances, share)?;
        Some(OodThreshold { share, threshold, score: OodScore::Knn, k: Some(k) })
    }

    /// The smallest number of validation examples with which a threshold exists: n ≥ (1 - share) / share.
    pub fn least_examples(share: f64) -> usize {
        ((1. - share) / share - 1e-9).ceil() as usize
    }

    /// Whether an input with this score is flagged as out of distribution.
    pub fn is_ood(&self, score: f32) -> bool {
        self.threshold.is_some_and(|threshold| f64::from(score) > threshold)
    }

    /// An input's energy and its distance, of which the model has one.
    pub fn named(&self, score: f32) -> (Option<f32>, Option<f32>) {
        match self.score {
            OodScore::Energy => (Some(score), None),
            OodScore::Knn => (None, Some(score)),
        }
    }

    /// The share of examples with these scores that is flagged.
    pub fn measure(&self, scores: &[f32]) -> MetricValue {
        let flagged = scores.iter().filter(|score| self.is_ood(**score)).count();
        let value = flagged as f64 / scores.len() as f64;
        MetricValue { name: "flagged as out of distribution".to_string(), value, shown: percent(Some(value)) }
    }
}

/// The threshold for so many finite scores: the inner `None` if there are too few of them, the outer one if there are none.
fn quantile(mut scores: Vec<f32>, share: f64) -> Option<Option<f64>> {
    scores.retain(|score| score.is_finite());
    if scores.is_empty() {
        return None;
    }
    scores.sort_by(f32::total_cmp);
    // Without the subtraction, rounding of the product could add one.
    let rank = ((scores.len() + 1) as f64 * (1. - share) - 1e-9).ceil() as usize;
    let threshold = scores.get(rank.max(1) - 1);
    Some(threshold.map(|score| f64::from(score + ROUNDING * score.abs().max(1.))))
}

/// The energies of logits (N, classes), in nats: -log Σ exp(logit). They are small for inputs like the training data.
///
/// ```
/// use cresset::evaluate::ood::energies;
/// use tch::Tensor;
///
/// let found = energies(&Tensor::from_slice2(&[[0f32, 0.]]));
/// assert!((found[0] + 2f32.ln()).abs() < 1e-6);
/// ```
pub fn energies(logits: &Tensor) -> Vec<f32> {
    let energies = -logits.to_kind(Kind::Float).logsumexp([-1], false);
    Vec::try_from(energies.contiguous()).expect("energies are a float32 vector")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Examples with the energies in `energies`: one class only.
    fn scores(energies: &[f32]) -> Scores {
        let logits = -Tensor::from_slice(energies).unsqueeze(-1);
        Scores { logits, labels: Tensor::zeros([energies.len() as i64], (Kind::Int64, Device::Cpu)) }
    }

    #[test]
    fn the_energy_is_the_negative_log_of_the_sum_of_exponentials() {
        let logits = [[1.5f32, -2., 0.25], [-30., -31., -32.], [800., 799., 0.]];
        let found = energies(&Tensor::from_slice2(&logits));
        for (row, found) in logits.iter().zip(found) {
            let largest = f64::from(row.iter().copied().fold(f32::MIN, f32::max));
            let sum: f64 = row.iter().map(|logit| (f64::from(*logit) - largest).exp()).sum();
            let expected = -(largest + sum.ln());
            assert!(
                (f64::from(found) - expected).abs() < 1e-6 * expected.abs().max(1.),
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn the_threshold_is_the_conformal_quantile_of_the_energies() {
        // ⌈(19 + 1) · 0.75⌉ = 15, without rounding up, of -19, -18, …, -1.
        let descending: Vec<f32> = (1..20).map(|energy| -energy as f32).collect();
        let ood = OodThreshold::fit(&scores(&descending), 0.25).unwrap();
        assert!((ood.threshold.unwrap() + 5.).abs() < 1e-4, "{ood:?}");
        assert!(!ood.is_ood(-5.) && ood.is_ood(-4.9) && !ood.is_ood(-6.) && !ood.is_ood(f32::NAN));
        assert_eq!(ood.measure(&descending).value, 4. / 19.);
        // Energies that are not finite are left out.
        let with_nan = [&descending[..], &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]].concat();
        assert_eq!(OodThreshold::fit(&scores(&with_nan), 0.25), Some(ood));
    }

    #[test]
    fn nothing_is_flagged_with_too_few_examples() {
        assert_eq!(OodThreshold::least_examples(0.05), 19);
        let energies: Vec<f32> = (0..19).map(|energy| energy as f32).collect();
        assert!(OodThreshold::fit(&scores(&energies), 0.05).unwrap().is_ood(18.5));
        let few = OodThreshold::fit(&scores(&energies[1..]), 0.05).unwrap();
        assert!(few.threshold.is_none() && !few.is_ood(f32::MAX) && !few.is_ood(f32::INFINITY));
        assert!(OodThreshold::fit(&scores(&[]), 0.05).is_none());
        let text = serde_json::to_string(&few).unwrap();
        assert_eq!(text, r#"{"share":0.05,"threshold":null}"#);
        assert_eq!(serde_json::from_str::<OodThreshold>(&text).unwrap(), few);
        let distances = OodThreshold::fit_distances(vec![0.5; 30], 0.1, 3).unwrap();
        let text = serde_json::to_string(&distances).unwrap();
        assert!(text.ends_with(r#","score":"knn","k":3}"#), "{text}");
        assert_eq!(serde_json::from_str::<OodThreshold>(&text).unwrap(), distances);
        assert!(!distances.is_ood(0.5) && distances.is_ood(0.51));
    }

    /// Over many validation sets, the mean share of new examples flagged lies between share - 1 / (n + 1) and share.
    #[test]
    fn the_share_of_similar_examples_flagged_is_the_chosen_one() {
        tch::manual_seed(8);
        let random = |rows: i64| Scores {
            logits: Tensor::randn([rows, 5], (Kind::Float, Device::Cpu)) * 2.,
            labels: Tensor::zeros([rows], (Kind::Int64, Device::Cpu)),
        };
        let fresh = random(20_000);
        let shares: Vec<f64> = (0..100)
            .map(|_| OodThreshold::fit(&random(100), 0.1).unwrap().measure(&energies(&fresh.logits)).value)
            .collect();
        let mean = shares.iter().sum::<f64>() / 100.;
        let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / 99.;
        let error = (variance / 100.).sqrt();
        assert!((0.1 - 1. / 101. - 2. * error..=0.1 + 2. * error).contains(&mean), "{mean} ± {error}");
    }
}
