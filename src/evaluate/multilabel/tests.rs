use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use proptest::prelude::*;
use serde::Deserialize;

/// Computed by scripts/reference/multilabel.py.
#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    probabilities: Vec<Vec<f64>>,
    targets: Vec<Vec<f32>>,
    /// At the threshold 0.5.
    labels: Vec<LabelMetrics>,
    /// At the threshold 0.5.
    metrics: BTreeMap<String, f64>,
    #[serde(rename = "average precisions")]
    average_precisions: Vec<Option<f64>>,
    #[serde(rename = "mAP")]
    mean_average_precision: f64,
    thresholds: Vec<Threshold>,
}

#[derive(Deserialize)]
struct LabelMetrics {
    precision: f64,
    recall: f64,
    f1: f64,
    support: u64,
}

#[derive(Deserialize)]
struct Threshold {
    threshold: f64,
    f1: f64,
}

fn reference() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/multilabel.json");
    let reference: Reference = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    reference.cases
}

impl Case {
    fn tensors(&self) -> (Tensor, Tensor) {
        (Tensor::from_slice2(&self.probabilities), Tensor::from_slice2(&self.targets))
    }
}

fn near(value: f64, expected: f64) -> bool {
    (value - expected).abs() < 1e-12
}

#[test]
fn the_metrics_of_decisions_agree_with_scikit_learn() {
    for case in reference() {
        let (probabilities, targets) = case.tensors();
        let counts = LabelCounts::of(&probabilities.ge(0.5), &targets);
        assert_eq!((counts.labels(), counts.examples()), (case.labels.len(), case.targets.len() as u64));
        for (label, expected) in case.labels.iter().enumerate() {
            assert_eq!(counts.support(label), expected.support);
            assert!(near(counts.precision(label), expected.precision), "precision of {label}");
            assert!(near(counts.recall(label), expected.recall), "recall of {label}");
            assert!(near(counts.f1(label), expected.f1), "F1 of {label}");
        }
        let metrics = [
            ("micro precision", counts.micro_precision()),
            ("micro recall", counts.micro_recall()),
            ("micro F1", counts.micro_f1()),
            ("macro precision", counts.macro_precision()),
            ("macro recall", counts.macro_recall()),
            ("macro F1", counts.macro_f1()),
            ("exact match", counts.exact_match()),
            ("Hamming loss", counts.hamming_loss()),
        ];
        assert_eq!(metrics.len(), case.metrics.len());
        for (name, value) in metrics {
            assert!(
                near(value, case.metrics[name]),
                "{name}: {value}, scikit-learn has {}",
                case.metrics[name]
            );
        }
    }
}

#[test]
fn average_precision_agrees_with_scikit_learn() {
    for case in reference() {
        let (probabilities, targets) = case.tensors();
        let values = average_precisions(&probabilities, &targets);
        assert_eq!(values.len(), case.average_precisions.len());
        for (value, expected) in values.into_iter().zip(&case.average_precisions) {
            assert_eq!(value.is_some(), expected.is_some());
            assert!(near(value.unwrap_or(0.), expected.unwrap_or(0.)), "{value:?}, not {expected:?}");
        }
        let mean = mean_average_precision(&probabilities, &targets).unwrap();
        assert!(near(mean, case.mean_average_precision), "{mean}");
    }
}

#[test]
fn thresholds_are_the_best_of_all() {
    for case in reference() {
        let (probabilities, targets) = case.tensors();
        let thresholds = tune(&probabilities, &targets);
        let counts = LabelCounts::of(&probabilities.ge_tensor(&Tensor::from_slice(&thresholds)), &targets);
        for (label, expected) in case.thresholds.iter().enumerate() {
            assert!(near(thresholds[label], expected.threshold), "{label}: {}", thresholds[label]);
            assert!(near(counts.f1(label), expected.f1), "{label}: {}", counts.f1(label));
        }
    }
}

/// The threshold of one label.
fn threshold(probabilities: &[f64], positive: &[bool]) -> f64 {
    let targets = Tensor::from_slice(positive).to_kind(Kind::Float).unsqueeze(1);
    tune(&Tensor::from_slice(probabilities).unsqueeze(1), &targets)[0]
}

#[test]
fn labels_of_no_or_all_examples_keep_the_default_threshold() {
    assert_eq!(threshold(&[0.2, 0.3], &[false, false]), 0.5);
    assert_eq!(threshold(&[0.2, 0.3], &[true, true]), 0.5);
    assert_eq!(
        tune(
            &Tensor::zeros([0, 2], (Kind::Double, Device::Cpu)),
            &Tensor::zeros([0, 2], (Kind::Float, Device::Cpu))
        ),
        [0.5; 2]
    );
}

#[test]
fn of_equal_f1_scores_the_threshold_nearest_to_a_half_is_chosen() {
    // The F1 score is 2/3 both for the first example alone and for all examples.
    assert!(near(threshold(&[0.9, 0.8, 0.7, 0.6], &[true, false, false, true]), 0.3));
    assert!(near(threshold(&[0.9, 0.4, 0.3, 0.2], &[true, false, false, true]), 0.65));
}

#[test]
fn thresholds_at_the_limits_of_probabilities_stay_between_0_and_1() {
    let below_one = 1f64.next_down();
    for (probabilities, positive) in [
        ([1., 0., 0.], [true, false, false]),
        ([1., 1., 1.], [true, false, false]),
        ([0., 0., 0.], [true, false, false]),
        ([1., below_one, 0.], [true, false, false]),
        ([f64::from_bits(1), 0., 0.], [true, false, false]),
        ([f64::NAN, 0.2, 0.1], [false, true, false]),
    ] {
        let threshold = threshold(&probabilities, &positive);
        assert!(0. < threshold && threshold < 1., "{probabilities:?}: {threshold}");
    }
    // The middle of two adjacent numbers would round to the lower one here.
    let low = 0.3f64.next_up();
    let (upper, lower) = if low.to_bits().is_multiple_of(2) { (low.next_up(), low) } else { (low, 0.3) };
    assert_eq!(threshold(&[upper, lower, 0.1], &[true, false, false]), upper);
}

#[test]
fn without_examples_all_metrics_are_0() {
    let counts = LabelCounts::empty(3);
    assert_eq!(
        (counts.micro_f1(), counts.macro_f1(), counts.exact_match(), counts.hamming_loss()),
        (0., 0., 0., 0.)
    );
    assert_eq!(average_precision(&[], &[]), None);
    let none = Tensor::zeros([4, 2], (Kind::Float, Device::Cpu));
    assert_eq!(mean_average_precision(&none, &none), None);
}

/// Probabilities in steps, so that there are ties, and targets, of three labels.
fn examples() -> impl Strategy<Value = (Vec<f64>, Vec<bool>)> {
    (1usize..30).prop_flat_map(|rows| {
        let probability = (0u8..=16).prop_map(|step| f64::from(step) / 16.);
        (prop::collection::vec(probability, rows * 3), prop::collection::vec(any::<bool>(), rows * 3))
    })
}

fn tensors((probabilities, targets): &(Vec<f64>, Vec<bool>)) -> (Tensor, Tensor) {
    let targets = Tensor::from_slice(targets).to_kind(Kind::Float).view([-1, 3]);
    (Tensor::from_slice(probabilities).view([-1, 3]), targets)
}

proptest! {
    #[test]
    fn the_counts_of_parts_add_up_to_those_of_the_whole(examples in examples(), share in 0f64..=1.) {
        let (probabilities, targets) = tensors(&examples);
        let (decisions, rows) = (probabilities.ge(0.5), targets.size()[0]);
        let whole = LabelCounts::of(&decisions, &targets);
        let cut = (rows as f64 * share) as i64;
        let part = |from, length| {
            LabelCounts::of(&decisions.narrow(0, from, length), &targets.narrow(0, from, length))
        };
        let (mut first, second) = (part(0, cut), part(cut, rows - cut));
        let reduced = first.to_counts().into_iter().zip(second.to_counts()).map(|(a, b)| a + b);
        prop_assert_eq!(&LabelCounts::from_counts(3, reduced.collect()), &whole);
        first.add(&second);
        prop_assert_eq!(first, whole);
    }

    #[test]
    fn a_tuned_threshold_is_at_least_as_good_as_any_other(examples in examples(), other in 0.001f64..=1.) {
        let (probabilities, targets) = tensors(&examples);
        let thresholds = tune(&probabilities, &targets);
        let tuned = LabelCounts::of(&probabilities.ge_tensor(&Tensor::from_slice(&thresholds)), &targets);
        let at = |threshold: f64| LabelCounts::of(&probabilities.ge(threshold), &targets);
        let (default, other) = (at(0.5), at(other));
        for (label, threshold) in thresholds.iter().enumerate() {
            prop_assert!(0. < *threshold && *threshold < 1.);
            prop_assert!(tuned.f1(label) >= default.f1(label));
            // A label of all examples keeps 0.5, though a lower threshold may be better.
            let is_varied = tuned.support(label) < tuned.examples();
            prop_assert!(!is_varied || tuned.f1(label) >= other.f1(label));
        }
    }

    #[test]
    fn average_precision_is_a_fraction_and_the_share_of_positives_if_all_scores_are_equal(
        examples in prop::collection::vec((0u8..10, any::<bool>()), 1..40),
    ) {
        let pairs = examples.iter().map(|(score, is_positive)| (f64::from(*score), *is_positive));
        let (scores, positive): (Vec<f64>, Vec<bool>) = pairs.unzip();
        let share = positive.iter().filter(|is| **is).count() as f64 / positive.len() as f64;
        let value = average_precision(&scores, &positive);
        prop_assert!(value.is_none_or(|value| 0. < value && value <= 1. + 1e-12));
        let equal = average_precision(&vec![0.3; positive.len()], &positive);
        prop_assert!((equal.unwrap_or(0.) - share).abs() < 1e-12);
    }
}
