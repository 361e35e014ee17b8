//! Average precision: the area under the precision-recall curve as a sum of steps, without interpolation.

use tch::Tensor;

use super::columns;

/// Average precision, from 0 to 1: the sum over the distinct scores, from the highest, of the precision down to a score times the
/// increase of the recall there. `None` without positive examples.
///
/// Examples with the same score count together, as in `sklearn.metrics.average_precision_score`.
///
/// ```
/// use cresset::evaluate::multilabel::average_precision;
///
/// let scores = [0.9, 0.8, 0.7, 0.1];
/// let precision = average_precision(&scores, &[true, false, true, false]).unwrap();
/// assert!((precision - (1. + 2. / 3.) / 2.).abs() < 1e-12);
/// assert_eq!(average_precision(&scores, &[false; 4]), None);
/// ```
pub fn average_precision(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let (mut found, mut seen, mut sum) = (0, 0, 0.);
    for tied in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
        let added = tied.iter().filter(|example| positive[**example]).count();
        found += added;
        seen += tied.len();
        sum += added as f64 * found as f64 / seen as f64;
    }
    (found > 0).then(|| sum / found as f64)
}

/// The average precision of each label, from probabilities (N, labels) and multi-hot targets, float (N, labels). `None` for a label
/// without positive examples.
///
/// ```
/// use cresset::evaluate::multilabel::{average_precisions, mean_average_precision};
/// use tch::Tensor;
///
/// let probabilities = Tensor::from_slice2(&[[0.9f64, 0.3, 0.2], [0.6, 0.8, 0.1]]);
/// let targets = Tensor::from_slice2(&[[1f32, 1., 0.], [0., 0., 0.]]);
/// assert_eq!(average_precisions(&probabilities, &targets), [Some(1.), Some(0.5), None]);
/// assert_eq!(mean_average_precision(&probabilities, &targets), Some(0.75));
/// ```
pub fn average_precisions(probabilities: &Tensor, targets: &Tensor) -> Vec<Option<f64>> {
    let of_label = |(scores, positive): (Vec<f64>, Vec<bool>)| average_precision(&scores, &positive);
    columns(probabilities, targets).into_iter().map(of_label).collect()
}

/// Mean average precision (mAP): the mean of [`average_precisions`] over the labels with positive examples. `None` if no label has
/// any.
pub fn mean_average_precision(probabilities: &Tensor, targets: &Tensor) -> Option<f64> {
    let defined: Vec<f64> = average_precisions(probabilities, targets).into_iter().flatten().collect();
    (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
}
