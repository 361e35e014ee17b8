//! The confusion matrix, from which the metrics are computed.

use tch::Tensor;

/// Counts of (true class, predicted class).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// From `classes`² counts, row by row; a row is a true class.
    pub fn new(classes: usize, counts: Vec<u64>) -> Self {
        assert_eq!(counts.len(), classes * classes, "a confusion matrix is square");
        Confusion { classes, counts }
    }

    /// Of logits (N, classes) and the right classes, int64 (N), on the CPU.
    pub fn of(logits: &Tensor, labels: &Tensor, classes: i64) -> Self {
        let pairs = labels * classes + logits.argmax(-1, false);
        let counts = Vec::<i64>::try_from(pairs.bincount::<Tensor>(None, classes * classes));
        let counts = counts.expect("counts are whole numbers").into_iter().map(|count| count as u64);
        Confusion::new(classes as usize, counts.collect())
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many rows of class `truth` were taken for `predicted`.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth * self.classes + predicted]
    }

    /// How many rows there are.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many rows are of this class.
    pub fn support(&self, class: usize) -> u64 {
        (0..self.classes).map(|predicted| self.count(class, predicted)).sum()
    }

    /// How many rows were taken for this class.
    pub fn predicted(&self, class: usize) -> u64 {
        (0..self.classes).map(|truth| self.count(truth, class)).sum()
    }

    /// How many rows were classified rightly.
    pub fn right(&self) -> u64 {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// The share of the rows of other classes that were taken for a class; none without such rows.
    pub fn false_positive_rate(&self, class: usize) -> Option<f64> {
        ratio(self.predicted(class) - self.count(class, class), self.total() - self.support(class))
    }

    /// The share of the rows of a class that were recognised; none without such rows.
    pub fn recall(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, class), self.support(class))
    }

    /// The share of the rows taken for a class that are of it; none if no row was.
    pub fn precision(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, class), self.predicted(class))
    }

    /// The harmonic mean of precision and recall; none for a class that neither occurs nor is predicted.
    pub fn f1(&self, class: usize) -> Option<f64> {
        ratio(2 * self.count(class, class), self.support(class) + self.predicted(class))
    }

    /// The share of all rows that were classified rightly; 0 without rows.
    pub fn accuracy(&self) -> f64 {
        ratio(self.right(), self.total()).unwrap_or(0.)
    }

    /// The F1 score of the decisions for all classes together; 0 without rows.
    pub fn micro_f1(&self) -> f64 {
        // Each row that is wrong is missed by one class and claimed by another.
        ratio(2 * self.right(), 2 * self.total()).unwrap_or(0.)
    }

    /// The mean of a figure over the classes that have one.
    pub(super) fn mean(&self, of: impl Fn(&Self, usize) -> Option<f64>) -> f64 {
        let figures: Vec<_> = (0..self.classes).filter_map(|class| of(self, class)).collect();
        figures.iter().sum::<f64>() / figures.len().max(1) as f64
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Keep, evaluate};

    #[test]
    fn evaluation_counts_pairs_and_averages_the_loss_over_batches() {
        let rows = 2500;
        let labels: Vec<i64> = (0..rows).map(|row| row % 2).collect();
        let part = crate::model::preprocessing::TensorDataset {
            inputs: Tensor::zeros([rows, 1], (tch::Kind::Float, tch::Device::Cpu)),
            labels: Tensor::from_slice(&labels),
        };
        // Always class 0, with even odds.
        let found = evaluate(&crate::loader::InMemory::ready(part), 2, Keep::Sums, |x| {
            Ok(Tensor::zeros([x.size()[0], 2], (tch::Kind::Float, tch::Device::Cpu)))
        })
        .unwrap();
        assert_eq!(found.confusion, Confusion::new(2, vec![1250, 0, 1250, 0]));
        assert!((found.loss - 2f64.ln()).abs() < 1e-6);
    }
}
