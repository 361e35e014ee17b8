//! Which errors are shown.

use tch::{Kind, Tensor};

use super::ErrorKind;
use crate::evaluate::Scores;
use crate::model::Outputs;

/// At most `most` errors, the worst first, each with the index of its example: of classes those with the highest confidence, of labels
/// ([`of_labels`]) the false positives with the highest and the false negatives with the lowest probability, and the largest errors of
/// numbers.
pub(super) fn worst(scores: &Scores, outputs: &Outputs, most: usize) -> Vec<(usize, ErrorKind)> {
    match outputs {
        Outputs::Classification => of_classes(scores, most),
        Outputs::Multilabel { .. } => of_labels(scores, outputs, most),
        Outputs::Regression { .. } => of_values(scores, most),
        Outputs::Ranking => Vec::new(),
    }
}

fn of_classes(scores: &Scores, most: usize) -> Vec<(usize, ErrorKind)> {
    let (confidence, predicted) = scores.probabilities(1.).max_dim(1, false);
    let wrong = predicted.ne_tensor(&scores.labels).nonzero().view(-1);
    let order = confidence.index_select(0, &wrong).argsort(0, true);
    let wrong = wrong.index_select(0, &order.narrow(0, 0, (most as i64).min(order.numel() as i64)));
    let error = |index: i64| {
        let kind = ErrorKind::Class {
            actual: scores.labels.int64_value(&[index]) as usize,
            predicted: predicted.int64_value(&[index]) as usize,
            confidence: confidence.double_value(&[index]),
        };
        (index as usize, kind)
    };
    Vec::<i64>::try_from(&wrong).expect("indexes are int64").into_iter().map(error).collect()
}

/// Every label gets the same number of false positives and of false negatives, so that a frequent or difficult label leaves room for
/// the others. With too many labels for that, only the most confident errors are kept.
fn of_labels(scores: &Scores, outputs: &Outputs, most: usize) -> Vec<(usize, ErrorKind)> {
    let probabilities = outputs.probabilities(&scores.logits);
    let decisions = outputs.decisions(&probabilities);
    let actual = scores.labels.gt(0.5);
    let labels = actual.size()[1];
    let each = (most / (2 * labels as usize)).max(1);
    let mut errors = Vec::new();
    for label in 0..labels {
        let column = |tensor: &Tensor| tensor.select(1, label);
        let (probability, decision, actual) = (column(&probabilities), column(&decisions), column(&actual));
        for is_present in [false, true] {
            let wrong = decision.ne_tensor(&actual).logical_and(&actual.eq(i64::from(is_present)));
            let wrong = wrong.nonzero().view(-1);
            // A present label is missed most confidently with the lowest probability.
            let order = probability.index_select(0, &wrong).argsort(0, !is_present);
            let order = Vec::<i64>::try_from(&wrong.index_select(0, &order)).expect("indexes are int64");
            errors.extend(order.into_iter().take(each).map(|index| {
                let probability = probability.double_value(&[index]);
                (index as usize, ErrorKind::Label { label: label as usize, is_present, probability })
            }));
        }
    }
    if errors.len() > most {
        errors.sort_by(|a, b| distance(b.1).total_cmp(&distance(a.1)));
        errors.truncate(most);
    }
    errors
}

/// How far the probability of a label is from the right one.
fn distance(kind: ErrorKind) -> f64 {
    match kind {
        ErrorKind::Label { is_present, probability, .. } => (f64::from(is_present) - probability).abs(),
        _ => 0.,
    }
}

fn of_values(scores: &Scores, most: usize) -> Vec<(usize, ErrorKind)> {
    let numbers = |tensor: &Tensor| {
        Vec::<f64>::try_from(tensor.to_kind(Kind::Double).reshape(-1)).expect("numbers are float64")
    };
    let (predicted, actual) = (numbers(&scores.logits), numbers(&scores.labels));
    let error = |index: &usize| (predicted[*index] - actual[*index]).abs();
    let mut order: Vec<usize> = (0..actual.len()).filter(|index| error(index) > 0.).collect();
    order.sort_by(|a, b| error(b).total_cmp(&error(a)));
    let kind = |index| (index, ErrorKind::Value { actual: actual[index], predicted: predicted[index] });
    order.into_iter().take(most).map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_shows_its_most_confident_false_positives_and_negatives() {
        // The logits of ln(p / (1 - p)); the thresholds are 0.5 and 0.2.
        let probabilities = [[0.9f64, 0.3], [0.7, 0.1], [0.2, 0.15], [0.4, 0.9], [0.8, 0.05]];
        let logits = probabilities.map(|row| row.map(|p| (p / (1. - p)).ln() as f32));
        let labels = [[0f32, 0.], [0., 1.], [1., 1.], [1., 1.], [1., 0.]];
        let scores = Scores { logits: Tensor::from_slice2(&logits), labels: Tensor::from_slice2(&labels) };
        let outputs = Outputs::Multilabel { thresholds: vec![0.5, 0.2] };
        let found = |most| -> Vec<(usize, usize, bool, f64)> {
            let of = |(index, kind): (usize, ErrorKind)| match kind {
                ErrorKind::Label { label, is_present, probability } => {
                    (index, label, is_present, (1e3 * probability).round() / 1e3)
                }
                _ => panic!("an error of a label"),
            };
            worst(&scores, &outputs, most).into_iter().map(of).collect()
        };
        let first = [(0, 0, false, 0.9), (2, 0, true, 0.2), (0, 1, false, 0.3), (1, 1, true, 0.1)];
        assert_eq!(found(4), first);
        assert_eq!(
            found(8),
            [
                (0, 0, false, 0.9),
                (1, 0, false, 0.7),
                (2, 0, true, 0.2),
                (3, 0, true, 0.4),
                (0, 1, false, 0.3),
                (1, 1, true, 0.1),
                (2, 1, true, 0.15),
            ]
        );
        // Too few for every label: the most confident ones.
        assert_eq!(found(2).len(), 2);
        assert!(found(2).iter().all(|(.., probability)| [0.9, 0.1].contains(probability)), "{:?}", found(2));
    }

    #[test]
    fn the_largest_errors_of_numbers_come_first_and_exact_predictions_are_none() {
        let logits = Tensor::from_slice(&[1f32, 5., 3., -9.]).view([4, 1]);
        let labels = Tensor::from_slice(&[2f32, 5., 0., -3.]).view([4, 1]);
        let outputs = Outputs::Regression { offset: 0., scale: 1., interval: None };
        let found = worst(&Scores { logits, labels }, &outputs, 24);
        let value = |actual, predicted| ErrorKind::Value { actual, predicted };
        assert_eq!(found, [(3, value(-3., -9.)), (2, value(0., 3.)), (0, value(2., 1.))]);
    }
}
