//! Confident learning: finds labels that are probably wrong (Northcutt, Jiang and Chuang, "Confident Learning: Estimating
//! Uncertainty in Dataset Labels", JAIR 70, 2021).

/// A label, with the most probable other class.
///
/// ```
/// use cresset::evaluate::label_errors::rank;
///
/// // The third example is labeled 0, but the model is certain that it is of class 1.
/// let probabilities = [vec![0.9, 0.1], vec![0.9, 0.1], vec![0.05, 0.95], vec![0.1, 0.9], vec![0.2, 0.8]];
/// let issue = rank(&probabilities, &[0, 0, 0, 1, 1])[0];
/// assert_eq!((issue.index, issue.label, issue.suggestion), (2, 0, 1));
/// assert!(issue.is_error);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelIssue {
    /// The index of the example.
    pub index: usize,
    /// The labeled class.
    pub label: usize,
    /// The most probable other class.
    pub suggestion: usize,
    /// The predicted probability of the label.
    pub label_probability: f64,
    /// The predicted probability of the suggestion.
    pub suggestion_probability: f64,
    /// Whether confident learning considers the label wrong: among the classes whose probability reaches their threshold,
    /// the most probable is not the label. The threshold of a class is its mean probability over the examples labeled with it.
    pub is_error: bool,
}

impl LabelIssue {
    /// The probability of the label minus that of the suggestion, from -1 (most likely wrong) to 1.
    pub(crate) fn margin(&self) -> f64 {
        self.label_probability - self.suggestion_probability
    }
}

/// Ranks all labels, the most likely errors first. `probabilities` is (examples, classes); each row must come from a model
/// that was not trained on that example.
///
/// ```
/// use cresset::evaluate::label_errors::rank;
///
/// let ranking = rank(&[vec![0.9, 0.1], vec![0.4, 0.6], vec![0.2, 0.8]], &[0, 0, 1]);
/// assert_eq!(ranking.iter().map(|issue| issue.index).collect::<Vec<_>>(), [1, 2, 0]);
/// ```
pub fn rank(probabilities: &[Vec<f64>], labels: &[i64]) -> Vec<LabelIssue> {
    let classes = probabilities.first().map_or(0, Vec::len);
    let thresholds = thresholds(probabilities, labels, classes);
    let suspicion = |(index, (row, label)): (usize, (&Vec<f64>, &i64))| {
        let label = *label as usize;
        let others = (0..classes).filter(|class| *class != label);
        let suggestion = others.max_by(|a, b| row[*a].total_cmp(&row[*b])).expect("there are two classes");
        let confident = (0..classes).filter(|class| row[*class] >= thresholds[*class]);
        let confident = confident.max_by(|a, b| row[*a].total_cmp(&row[*b]));
        LabelIssue {
            index,
            label,
            suggestion,
            label_probability: row[label],
            suggestion_probability: row[suggestion],
            is_error: confident.is_some_and(|class| class != label),
        }
    };
    let mut ranking: Vec<_> = probabilities.iter().zip(labels).enumerate().map(suspicion).collect();
    ranking.sort_by(|a, b| a.margin().total_cmp(&b.margin()));
    ranking
}

/// The mean probability of each class over the examples labeled with it.
fn thresholds(probabilities: &[Vec<f64>], labels: &[i64], classes: usize) -> Vec<f64> {
    let (mut sums, mut counts) = (vec![0.; classes], vec![0.; classes]);
    for (row, label) in probabilities.iter().zip(labels) {
        let label = *label as usize;
        sums[label] += row[label];
        counts[label] += 1.;
    }
    // A class without labels is never suggested.
    let threshold = |(sum, count): (&f64, &f64)| if *count > 0. { sum / count } else { f64::INFINITY };
    sums.iter().zip(&counts).map(threshold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Class 0 has the threshold (0.9 + 0.8 + 0.2) / 3, class 1 (0.7 + 0.6) / 2.
    #[test]
    fn a_label_is_wrong_if_another_class_reaches_its_threshold() {
        let probabilities = [vec![0.9, 0.1], vec![0.8, 0.2], vec![0.2, 0.8], vec![0.3, 0.7], vec![0.4, 0.6]];
        let ranking = rank(&probabilities, &[0, 0, 0, 1, 1]);
        assert_eq!(ranking[0].index, 2);
        assert_eq!((ranking[0].label, ranking[0].suggestion), (0, 1));
        assert!((ranking[0].margin() + 0.6).abs() < 1e-12);
        let errors: Vec<_> = ranking.iter().filter(|suspicion| suspicion.is_error).map(|s| s.index).collect();
        assert_eq!(errors, [2]);
        assert_eq!(ranking.iter().map(|suspicion| suspicion.index).collect::<Vec<_>>(), [2, 4, 3, 1, 0]);
    }

    #[test]
    fn a_class_without_labels_suggests_nothing() {
        let ranking = rank(&[vec![0.4, 0.1, 0.5], vec![0.1, 0.9, 0.]], &[0, 1]);
        assert!(ranking.iter().all(|suspicion| !suspicion.is_error));
    }
}
