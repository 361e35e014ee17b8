//! The metric that selects the best epoch.

use cresset_options::choices;

use crate::data::TaskKind;
use crate::evaluate::{ConfusionMatrix, Evaluation, Sums};

choices! {
    /// The metric on the validation set that selects the best epoch, and by which early stopping and the plateau schedule decide.
    ///
    /// ```
    /// use cresset::train::Monitor;
    ///
    /// assert_eq!("macro-f1".parse(), Ok(Monitor::MacroF1));
    /// ```
    pub enum Monitor {
        /// the loss
        Loss = "loss",
        /// the share of correct predictions (of labels: of examples whose labels are all correct)
        Accuracy = "accuracy",
        /// the mean recall over the classes
        BalancedAccuracy = "balanced-accuracy",
        /// the mean F1 score over the classes or labels
        MacroF1 = "macro-f1",
        /// the NDCG@10 of recommendations
        Ndcg = "ndcg",
    }
}

impl Monitor {
    /// The metric's value from 0 to 1, higher is better; `None` for the loss, and for a metric that the task does not have.
    ///
    /// ```
    /// use cresset::evaluate::{ConfusionMatrix, Evaluation};
    /// use cresset::train::Monitor;
    ///
    /// // Of class 0, three of four examples are correct; of class 1, none of one.
    /// let confusion = ConfusionMatrix::new(2, vec![3, 1, 1, 0]);
    /// let evaluation = Evaluation::of_classes(0.5, confusion);
    /// assert_eq!(Monitor::Accuracy.score(&evaluation), Some(0.6));
    /// assert_eq!(Monitor::BalancedAccuracy.score(&evaluation), Some(0.375));
    /// assert_eq!(Monitor::Loss.score(&evaluation), None);
    /// ```
    pub fn score(self, evaluation: &Evaluation) -> Option<f64> {
        match (self, &evaluation.sums) {
            (Monitor::Accuracy, Sums::Classes(confusion)) => Some(confusion.accuracy()),
            (Monitor::BalancedAccuracy, Sums::Classes(confusion)) => {
                Some(confusion.mean(ConfusionMatrix::recall))
            }
            (Monitor::MacroF1, Sums::Classes(confusion)) => Some(confusion.mean(ConfusionMatrix::f1)),
            (Monitor::Accuracy, Sums::Labels(counts)) => Some(counts.exact_match()),
            (Monitor::MacroF1, Sums::Labels(counts)) => Some(counts.macro_f1()),
            (Monitor::Ndcg, Sums::Ranking(sums)) => Some(sums.ndcg()),
            _ => None,
        }
    }

    /// Whether models of this task have the metric.
    pub fn is_for(self, task: TaskKind) -> bool {
        match task {
            TaskKind::Classification => self != Monitor::Ndcg,
            TaskKind::Multilabel => ![Monitor::BalancedAccuracy, Monitor::Ndcg].contains(&self),
            TaskKind::Ranking => [Monitor::Loss, Monitor::Ndcg].contains(&self),
            TaskKind::Regression => self == Monitor::Loss,
        }
    }

    /// The metric in a sentence: "validation loss", "validation macro F1".
    pub fn title(self) -> &'static str {
        match self {
            Monitor::Loss => "validation loss",
            Monitor::Accuracy => "validation accuracy",
            Monitor::BalancedAccuracy => "validation balanced accuracy",
            Monitor::MacroF1 => "validation macro F1",
            Monitor::Ndcg => "validation NDCG@10",
        }
    }

    /// The best epoch in a sentence: "the lowest validation loss".
    pub fn best(self) -> String {
        let extreme = if self == Monitor::Loss { "lowest" } else { "highest" };
        format!("the {extreme} {}", self.title())
    }
}
