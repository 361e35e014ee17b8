//! Confusion matrix.

use tch::Tensor;

/// Counts of (actual class, predicted class).
///
/// ```
/// use cresset::evaluate::ConfusionMatrix;
/// use tch::Tensor;
///
/// // Rows are the actual classes, columns the predicted ones.
/// let confusion = ConfusionMatrix::new(2, vec![40, 10, 5, 45]);
/// assert_eq!(confusion.count(0, 1), 10);
/// assert_eq!(confusion.accuracy(), 0.85);
/// assert_eq!(confusion.recall(0), Some(0.8));
/// assert_eq!(confusion.precision(0), Some(40. / 45.));
///
/// let logits = Tensor::from_slice2(&[[2f32, 1.], [0., 1.]]);
/// assert_eq!(ConfusionMatrix::of(&logits, &Tensor::from_slice(&[0i64, 0]), 2).correct(), 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    /// Creates a matrix from `classes`² counts in row-major order; rows are actual classes.
    pub fn new(classes: usize, counts: Vec<u64>) -> Self {
        assert_eq!(counts.len(), classes * classes, "a confusion matrix is square");
        ConfusionMatrix { classes, counts }
    }

    /// Computes the matrix from logits (N, classes) and labels, int64 (N), on the CPU.
    pub fn of(logits: &Tensor, labels: &Tensor, classes: i64) -> Self {
        let pairs = labels * classes + logits.argmax(-1, false);
        let counts = Vec::<i64>::try_from(pairs.bincount::<Tensor>(None, classes * classes));
        let counts = counts.expect("counts are whole numbers").into_iter().map(|count| count as u64);
        ConfusionMatrix::new(classes as usize, counts.collect())
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The number of examples of class `actual` that were predicted as `predicted`.
    pub fn count(&self, actual: usize, predicted: usize) -> u64 {
        self.counts[actual * self.classes + predicted]
    }

    /// The counts: a row for each actual class, a column for each predicted one.
    pub fn rows(&self) -> Vec<Vec<u64>> {
        self.counts.chunks(self.classes.max(1)).map(<[u64]>::to_vec).collect()
    }

    /// The number of examples.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The number of examples of this class.
    pub fn support(&self, class: usize) -> u64 {
        (0..self.classes).map(|predicted| self.count(class, predicted)).sum()
    }

    /// The number of examples predicted as this class.
    pub fn predicted(&self, class: usize) -> u64 {
        (0..self.classes).map(|actual| self.count(actual, class)).sum()
    }

    /// The number of examples classified correctly.
    pub fn correct(&self) -> u64 {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// The false positive rate of a class against the rest; `None` without examples of other classes.
    pub fn false_positive_rate(&self, class: usize) -> Option<f64> {
        ratio(self.predicted(class) - self.count(class, class), self.total() - self.support(class))
    }

    /// The recall of a class; `None` without examples of it.
    pub fn recall(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, class), self.support(class))
    }

    /// The precision of a class; `None` if it is never predicted.
    pub fn precision(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, class), self.predicted(class))
    }

    /// The F1 score of a class; `None` if the class neither occurs nor is predicted.
    pub fn f1(&self, class: usize) -> Option<f64> {
        ratio(2 * self.count(class, class), self.support(class) + self.predicted(class))
    }

    /// Accuracy; 0 without examples.
    pub fn accuracy(&self) -> f64 {
        ratio(self.correct(), self.total()).unwrap_or(0.)
    }

    /// Micro-averaged F1 score; 0 without examples.
    pub fn micro_f1(&self) -> f64 {
        // Each error is a false negative of one class and a false positive of another.
        ratio(2 * self.correct(), 2 * self.total()).unwrap_or(0.)
    }

    /// The mean of a per-class metric over the classes for which it is defined.
    pub(crate) fn mean(&self, metric: impl Fn(&Self, usize) -> Option<f64>) -> f64 {
        let values: Vec<_> = (0..self.classes).filter_map(|class| metric(self, class)).collect();
        values.iter().sum::<f64>() / values.len().max(1) as f64
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Keep, evaluate};
    use crate::model::Outputs;

    #[test]
    fn evaluation_counts_pairs_and_averages_the_loss_over_batches() {
        let rows = 2500;
        let labels: Vec<i64> = (0..rows).map(|row| row % 2).collect();
        let part = crate::model::preprocessing::TensorDataset {
            inputs: Tensor::zeros([rows, 1], (tch::Kind::Float, tch::Device::Cpu)),
            labels: Tensor::from_slice(&labels),
        };
        // Equal logits: argmax predicts class 0.
        let evaluation = evaluate(
            &crate::loader::MemoryExamples::ready(part),
            &Outputs::Classification,
            2,
            Keep::Sums,
            |x| Ok(Tensor::zeros([x.size()[0], 2], (tch::Kind::Float, tch::Device::Cpu))),
        )
        .unwrap();
        assert_eq!(evaluation.confusion(), Some(&ConfusionMatrix::new(2, vec![1250, 0, 1250, 0])));
        assert!((evaluation.loss - 2f64.ln()).abs() < 1e-6);
    }
}
