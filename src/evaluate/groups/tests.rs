use super::*;
use crate::evaluate::Sums;
use proptest::prelude::*;

/// An evaluation of (group, label, predicted class) rows, each predicted with odds of e² to 1.
fn evaluation(rows: &[(usize, i64, i64)], classes: i64) -> (Evaluation, Grouping) {
    let logits: Vec<f32> = rows
        .iter()
        .flat_map(|(.., predicted)| (0..classes).map(move |class| if class == *predicted { 2. } else { 0. }))
        .collect();
    let logits = Tensor::from_slice(&logits).view([rows.len() as i64, classes]);
    let labels = Tensor::from_slice(&rows.iter().map(|(_, label, _)| *label).collect::<Vec<_>>());
    let confusion = ConfusionMatrix::of(&logits, &labels, classes);
    let names = ["f", "m", "x"].map(String::from).to_vec();
    let of = rows.iter().map(|(group, ..)| *group).collect();
    let scores = Some(Scores { logits, labels });
    (
        Evaluation { loss: 0., sums: Sums::Classes(confusion), scores },
        Grouping { by: "sex".into(), names, of },
    )
}

fn report(rows: &[(usize, i64, i64)], least_rows: u64) -> GroupReport {
    let (evaluation, grouping) = evaluation(rows, 2);
    GroupReport::new(&evaluation, &["a".into(), "b".into()], &grouping, least_rows).unwrap()
}

/// Group f predicts a for a, b for a, b for b and b for b; m predicts a for a, and a, a and b for b; x predicts a for b.
const ROWS: [(usize, i64, i64); 9] =
    [(0, 0, 0), (1, 1, 0), (0, 0, 1), (1, 0, 0), (0, 1, 1), (2, 1, 0), (0, 1, 1), (1, 1, 0), (1, 1, 1)];

#[test]
fn the_metrics_match_a_manual_calculation() {
    let result = report(&ROWS, 4);
    let of = |group: &str| result.groups.iter().find(|metrics| metrics.group == group).unwrap();
    assert_eq!((of("f").rows, of("f").accuracy, of("m").accuracy), (4, 0.75, 0.5));
    let rates = |group: &str, class: usize| {
        let Rates { true_positive_rate, false_positive_rate, selection_rate, .. } =
            of(group).classes[class].clone();
        (true_positive_rate.unwrap(), false_positive_rate.unwrap(), selection_rate)
    };
    assert_eq!((rates("f", 0), rates("f", 1)), ((0.5, 0., 0.25), (1., 0.5, 0.75)));
    assert_eq!((rates("m", 0), rates("m", 1)), ((1., 2. / 3., 0.75), (1. / 3., 0., 0.25)));
    // All predictions have the same confidence, e² / (e² + 1).
    let confidence = 2f64.exp() / (2f64.exp() + 1.);
    assert!((of("m").calibration_error - (confidence - 0.5)).abs() < 1e-6);

    let gap = |difference: &Option<GroupDifference>| {
        let GroupDifference { value, least, most, .. } = difference.clone().unwrap();
        (value, least, most)
    };
    assert_eq!(gap(&result.accuracy_gap), (0.25, "m".into(), "f".into()));
    assert_eq!(gap(&result.demographic_parity_difference), (0.5, "f".into(), "m".into()));
    assert_eq!(gap(&result.equalized_odds_difference), (2. / 3., "f".into(), "m".into()));
    let odds = result.equalized_odds_difference.unwrap();
    assert_eq!((odds.class.as_deref(), odds.figure, odds.rows), (Some("a"), "false positive rate", 2));
}

#[test]
fn small_groups_are_shown_but_excluded_from_the_differences() {
    let result = report(&ROWS, 4);
    assert_eq!(result.groups.iter().map(|group| group.is_compared).collect::<Vec<_>>(), [true, true, false]);
    assert!(result.to_text().contains("* fewer than 4 examples"), "{}", result.to_text());
    // With x included, the accuracies range from 0 to 0.75.
    assert_eq!(report(&ROWS, 1).accuracy_gap.unwrap().value, 0.75);
    let none = report(&ROWS, 5);
    assert_eq!((none.accuracy_gap, none.equalized_odds_difference), (None, None));
}

#[test]
fn undefined_rates_are_excluded_from_the_differences() {
    // x has no example of a, so its true positive rate of a is undefined, not 0.
    let result = report(&ROWS, 1);
    let x = &result.groups[2];
    assert_eq!((x.classes[0].true_positive_rate, x.classes[1].false_positive_rate), (None, None));
    let odds = result.equalized_odds_difference.unwrap();
    assert_eq!((odds.value, odds.most.as_str()), (1., "x"));
}

fn rows() -> impl Strategy<Value = Vec<(usize, i64, i64)>> {
    prop::collection::vec((0usize..3, 0i64..2, 0i64..2), 1..60)
}

proptest! {
    #[test]
    fn the_order_of_the_rows_makes_no_difference(rows in rows(), turn in 0usize..60) {
        let mut others = rows.clone();
        others.rotate_left(turn % rows.len());
        others.reverse();
        let (a, b) = (report(&rows, 3), report(&others, 3));
        for (a, b) in a.groups.iter().zip(&b.groups) {
            prop_assert!((a.calibration_error - b.calibration_error).abs() < 1e-12);
            prop_assert_eq!((&a.classes, a.accuracy), (&b.classes, b.accuracy));
        }
        prop_assert_eq!(a.differences(), b.differences());
    }

    #[test]
    fn one_group_alone_has_no_gap(rows in rows()) {
        let rows: Vec<_> = rows.into_iter().map(|(_, label, predicted)| (1, label, predicted)).collect();
        for (name, difference) in report(&rows, 1).differences() {
            prop_assert_eq!(difference.as_ref().unwrap().value, 0., "{}", name);
        }
    }

    #[test]
    fn the_group_accuracies_average_to_the_overall_accuracy(rows in rows()) {
        let (evaluation, _) = evaluation(&rows, 2);
        let groups = report(&rows, 1).groups;
        let correct: f64 = groups.iter().map(|group| group.rows as f64 * group.accuracy).sum();
        prop_assert!((correct / rows.len() as f64 - evaluation.accuracy()).abs() < 1e-12);
        for group in &groups {
            prop_assert!(group.accuracy_interval.low <= group.accuracy && group.accuracy <= group.accuracy_interval.high);
        }
    }
}
