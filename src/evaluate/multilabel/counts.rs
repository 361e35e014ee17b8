//! Right and wrong decisions per label.

use tch::{Device, Kind, Tensor};

/// Counts of right and wrong decisions for each label of a multi-label classifier, and of the examples whose labels are all right.
///
/// A ratio whose denominator is 0 is 0, as with `zero_division=0` in scikit-learn. A macro average is the mean over all labels.
///
/// ```
/// use cresset::evaluate::multilabel::LabelCounts;
/// use tch::Tensor;
///
/// let targets = Tensor::from_slice2(&[[1f32, 0.], [1., 1.], [0., 1.], [0., 0.]]);
/// let decisions = Tensor::from_slice2(&[[true, false], [true, false], [true, true], [false, false]]);
/// let counts = LabelCounts::of(&decisions, &targets);
/// assert_eq!((counts.precision(0), counts.recall(0)), (2. / 3., 1.));
/// assert_eq!((counts.precision(1), counts.recall(1)), (1., 0.5));
/// assert_eq!((counts.exact_match(), counts.hamming_loss()), (0.5, 0.25));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelCounts {
    true_positives: Vec<u64>,
    false_positives: Vec<u64>,
    false_negatives: Vec<u64>,
    examples: u64,
    exact: u64,
}

impl LabelCounts {
    /// Counts of no examples.
    pub fn empty(labels: usize) -> Self {
        LabelCounts::new(vec![0; labels], vec![0; labels], vec![0; labels], 0, 0)
    }

    /// Creates counts from the numbers of true positives, false positives and false negatives of each label, the number of
    /// examples, and the number of examples whose labels are all right.
    ///
    /// # Panics
    /// If the three lists differ in length.
    pub fn new(
        true_positives: Vec<u64>,
        false_positives: Vec<u64>,
        false_negatives: Vec<u64>,
        examples: u64,
        exact: u64,
    ) -> Self {
        let labels = true_positives.len();
        assert!(
            false_positives.len() == labels && false_negatives.len() == labels,
            "every label has three counts"
        );
        LabelCounts { true_positives, false_positives, false_negatives, examples, exact }
    }

    /// Counts decisions, bool (N, labels), against multi-hot targets, float (N, labels). Both are on the same device.
    pub fn of(decisions: &Tensor, targets: &Tensor) -> Self {
        let actual = targets.gt(0.5);
        let count = |which: Tensor| which.sum_dim_intlist(0, false, Kind::Int64);
        let counts = Tensor::cat(
            &[
                count(decisions.logical_and(&actual)),
                count(decisions.logical_and(&actual.logical_not())),
                count(decisions.logical_not().logical_and(&actual)),
                count(decisions.eq_tensor(&actual).all_dim(1, true)),
            ],
            0,
        );
        let counts = Vec::<i64>::try_from(counts.to_device(Device::Cpu));
        let mut counts = counts.expect("counts have one dimension");
        counts.push(targets.size()[0]);
        LabelCounts::from_counts(targets.size()[1] as usize, counts)
    }

    /// All counts as one list, 3 · labels + 2 numbers. The sum of such lists, as of an all-reduce, is the list of all examples.
    pub fn to_counts(&self) -> Vec<i64> {
        let of_labels = [&self.true_positives, &self.false_positives, &self.false_negatives];
        let of_examples = [self.exact, self.examples];
        of_labels.into_iter().flatten().chain(&of_examples).map(|count| *count as i64).collect()
    }

    /// Creates counts from the list of [`LabelCounts::to_counts`].
    ///
    /// # Panics
    /// If `counts` does not have 3 · `labels` + 2 numbers.
    pub fn from_counts(labels: usize, counts: Vec<i64>) -> Self {
        assert_eq!(counts.len(), 3 * labels + 2, "three counts of each label, and two of the examples");
        let counts: Vec<u64> = counts.into_iter().map(|count| count as u64).collect();
        let (of_labels, of_examples) = counts.split_at(3 * labels);
        let list = |number: usize| of_labels[number * labels..(number + 1) * labels].to_vec();
        LabelCounts::new(list(0), list(1), list(2), of_examples[1], of_examples[0])
    }

    /// Adds the counts of other examples.
    ///
    /// # Panics
    /// If `other` has another number of labels.
    pub fn add(&mut self, other: &Self) {
        assert_eq!(self.labels(), other.labels(), "counts of the same labels");
        for (own, added) in [
            (&mut self.true_positives, &other.true_positives),
            (&mut self.false_positives, &other.false_positives),
            (&mut self.false_negatives, &other.false_negatives),
        ] {
            own.iter_mut().zip(added).for_each(|(own, added)| *own += added);
        }
        self.examples += other.examples;
        self.exact += other.exact;
    }

    /// The number of labels.
    pub fn labels(&self) -> usize {
        self.true_positives.len()
    }

    /// The number of examples.
    pub fn examples(&self) -> u64 {
        self.examples
    }

    /// The number of examples that have the label and were assigned it.
    pub fn true_positives(&self, label: usize) -> u64 {
        self.true_positives[label]
    }

    /// The number of examples that have the label.
    pub fn support(&self, label: usize) -> u64 {
        self.true_positives[label] + self.false_negatives[label]
    }

    /// The number of examples that were assigned the label.
    pub fn predicted(&self, label: usize) -> u64 {
        self.true_positives[label] + self.false_positives[label]
    }

    /// The fraction of the examples assigned the label that have it.
    pub fn precision(&self, label: usize) -> f64 {
        ratio(self.true_positives[label], self.predicted(label))
    }

    /// The fraction of the examples with the label that were assigned it.
    pub fn recall(&self, label: usize) -> f64 {
        ratio(self.true_positives[label], self.support(label))
    }

    /// The F1 score of a label: the harmonic mean of precision and recall.
    pub fn f1(&self, label: usize) -> f64 {
        ratio(2 * self.true_positives[label], self.support(label) + self.predicted(label))
    }

    /// Precision over the decisions for all labels together.
    pub fn micro_precision(&self) -> f64 {
        ratio(self.sum(Self::true_positives), self.sum(Self::predicted))
    }

    /// Recall over the decisions for all labels together.
    pub fn micro_recall(&self) -> f64 {
        ratio(self.sum(Self::true_positives), self.sum(Self::support))
    }

    /// F1 score over the decisions for all labels together.
    pub fn micro_f1(&self) -> f64 {
        ratio(2 * self.sum(Self::true_positives), self.sum(Self::support) + self.sum(Self::predicted))
    }

    /// Mean precision of the labels.
    pub fn macro_precision(&self) -> f64 {
        self.mean(Self::precision)
    }

    /// Mean recall of the labels.
    pub fn macro_recall(&self) -> f64 {
        self.mean(Self::recall)
    }

    /// Mean F1 score of the labels.
    pub fn macro_f1(&self) -> f64 {
        self.mean(Self::f1)
    }

    /// The fraction of the examples whose labels are all right (subset accuracy); 0 without examples.
    pub fn exact_match(&self) -> f64 {
        ratio(self.exact, self.examples)
    }

    /// The fraction of the decisions that are wrong, over all examples and labels; 0 without examples.
    pub fn hamming_loss(&self) -> f64 {
        let wrong = self.false_positives.iter().chain(&self.false_negatives).sum();
        ratio(wrong, self.examples * self.labels() as u64)
    }

    fn sum(&self, count: impl Fn(&Self, usize) -> u64) -> u64 {
        (0..self.labels()).map(|label| count(self, label)).sum()
    }

    fn mean(&self, metric: impl Fn(&Self, usize) -> f64) -> f64 {
        let sum: f64 = (0..self.labels()).map(|label| metric(self, label)).sum();
        sum / self.labels().max(1) as f64
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0. } else { part as f64 / whole as f64 }
}
