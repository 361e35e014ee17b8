//! Decision thresholds of labels.

use tch::Tensor;

use super::columns;

/// The threshold of a label for which the examples say nothing.
const DEFAULT: f64 = 0.5;

/// For each label the threshold with the highest F1 score, where a label is assigned if its probability is at least the threshold.
/// The thresholds are between 0 and 1, both excluded.
///
/// Takes probabilities, float64 (N, labels), and multi-hot targets, float (N, labels), of examples that were not used for training.
/// The F1 score of the same examples at these thresholds is optimistic, since they were chosen for them (Lipton, Elkan and
/// Naryanaswamy, "Optimal Thresholding of Classifiers to Maximize F1 Measure", ECML PKDD 2014).
///
/// A threshold lies midway between two neighboring probabilities, or between 0 and the lowest one. Of thresholds with the same F1
/// score, the nearest to 0.5 is taken. A label that no example has, or that all have, keeps 0.5.
///
/// ```
/// use cresset::evaluate::multilabel::tune;
/// use tch::Tensor;
///
/// let probabilities = Tensor::from_slice2(&[[0.4f64, 0.9], [0.3, 0.2], [0.1, 0.1]]);
/// let targets = Tensor::from_slice2(&[[1f32, 0.], [1., 0.], [0., 0.]]);
/// let thresholds = tune(&probabilities, &targets);
/// assert!((thresholds[0] - 0.2).abs() < 1e-12);
/// assert_eq!(thresholds[1], 0.5);
/// ```
pub fn tune(probabilities: &Tensor, targets: &Tensor) -> Vec<f64> {
    let columns = columns(probabilities, targets);
    columns.iter().map(|(probabilities, positive)| best(probabilities, positive)).collect()
}

fn best(probabilities: &[f64], positive: &[bool]) -> f64 {
    let positives = positive.iter().filter(|is_positive| **is_positive).count();
    if positives == 0 || positives == positive.len() {
        return DEFAULT;
    }
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_unstable_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
    let groups: Vec<&[usize]> = order.chunk_by(|a, b| probabilities[*a] == probabilities[*b]).collect();
    // With no label assigned, the F1 score is 0.
    let (mut highest, mut threshold) = (0., DEFAULT);
    let (mut found, mut assigned) = (0, 0);
    for (place, group) in groups.iter().enumerate() {
        found += group.iter().filter(|example| positive[**example]).count();
        assigned += group.len();
        let f1 = 2. * found as f64 / (assigned + positives) as f64;
        let lower = groups.get(place + 1).map_or(0., |next| probabilities[next[0]]);
        let Some(cut) = between(lower, probabilities[group[0]]) else { continue };
        let is_nearer = (cut - DEFAULT).abs() < (threshold - DEFAULT).abs();
        if f1 > highest || f1 == highest && is_nearer {
            (highest, threshold) = (f1, cut);
        }
    }
    threshold
}

/// The threshold that excludes `lower` and includes `upper`, midway if possible. `None` if none is between 0 and 1.
fn between(lower: f64, upper: f64) -> Option<f64> {
    let middle = lower + (upper - lower) / 2.;
    // Between two adjacent numbers, the middle rounds to one of them.
    let cut = if middle > lower { middle } else { upper };
    (0. < cut && cut < 1.).then_some(cut)
}
