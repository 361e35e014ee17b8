use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use proptest::prelude::*;
use serde::Deserialize;
use tch::{Kind, Tensor};

/// Computed by scripts/reference/regression.py.
#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    predictions: Vec<f64>,
    targets: Vec<f64>,
    mae: f64,
    mse: f64,
    rmse: f64,
    r2: f64,
    half_widths: BTreeMap<String, Option<f64>>,
}

fn reference() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/regression.json");
    let reference: Reference = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    reference.cases
}

fn errors(predictions: &[f64], targets: &[f64]) -> ErrorSums {
    ErrorSums::of(&Tensor::from_slice(predictions), &Tensor::from_slice(targets))
}

#[test]
fn the_metrics_agree_with_scikit_learn() {
    for case in reference() {
        let errors = errors(&case.predictions, &case.targets);
        assert_eq!(errors.examples(), case.targets.len() as u64);
        let found = [errors.mae(), errors.mse(), errors.rmse(), errors.r2().unwrap()];
        for (value, expected) in found.into_iter().zip([case.mae, case.mse, case.rmse, case.r2]) {
            assert!(
                (value - expected).abs() < 1e-12 * expected.abs().max(1.),
                "{value}, scikit-learn has {expected}"
            );
        }
    }
}

#[test]
fn half_widths_agree_with_numpy() {
    for case in reference() {
        let residuals: Vec<f64> =
            case.predictions.iter().zip(&case.targets).map(|(value, target)| value - target).collect();
        for (coverage, expected) in &case.half_widths {
            assert_eq!(half_width(&residuals, coverage.parse().unwrap()), *expected, "{coverage}");
        }
    }
}

/// Over many random calibration sets, the mean coverage lies between the promise and 1 / (n + 1) above it.
#[test]
fn intervals_have_the_promised_coverage() {
    tch::manual_seed(7);
    let draw =
        |rows: i64| Vec::<f64>::try_from(Tensor::randn([rows], (Kind::Double, tch::Device::Cpu))).unwrap();
    let fresh = draw(20_000);
    for promised in [0.8, 0.95] {
        let coverages: Vec<f64> = (0..200)
            .map(|_| {
                let width = half_width(&draw(100), promised).unwrap();
                fresh.iter().filter(|residual| residual.abs() <= width).count() as f64 / fresh.len() as f64
            })
            .collect();
        let mean = coverages.iter().sum::<f64>() / 200.;
        let spread = coverages.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 199.;
        let error = (spread / 200.).sqrt();
        assert!((promised - 3. * error..=promised + 1. / 101. + 3. * error).contains(&mean), "{mean}");
    }
}

#[test]
fn too_few_residuals_have_no_finite_interval() {
    assert_eq!(half_width(&[], 0.5), None);
    assert_eq!(half_width(&[1.; 18], 0.95), None);
    assert_eq!(half_width(&[1.; 19], 0.95), Some(1.));
    assert_eq!(half_width(&[1.; 19], 1.), None);
    let mut residuals = vec![0.5; 19];
    residuals[4] = f64::NAN;
    assert_eq!((half_width(&residuals, 0.9), half_width(&residuals, 0.95)), (Some(0.5), None));
}

#[test]
fn the_rank_of_a_residual_is_not_rounded_up() {
    // (99 + 1) · 0.07 is 7, and 7.000000000000001 in float64.
    let residuals: Vec<f64> = (1..=99).map(f64::from).collect();
    assert_eq!(half_width(&residuals, 0.07), Some(7.));
}

#[test]
fn equal_targets_have_no_r2() {
    let constant = [0.1; 3];
    let mut sums = errors(&[0.2, 0.1, 0.], &constant);
    assert_eq!(sums.r2(), None);
    sums.add(&errors(&[0.3; 2], &constant[..2]));
    assert_eq!((sums.r2(), sums.examples()), (None, 5));
    assert_eq!(errors(&[1.], &[2.]).r2(), None);
}

#[test]
fn columns_are_compared_example_by_example() {
    let (column, row) = (Tensor::from_slice2(&[[1f32], [2.]]), Tensor::from_slice(&[1f32, 4.]));
    assert_eq!(ErrorSums::of(&column, &row), errors(&[1., 2.], &[1., 4.]));
    assert!(ErrorSums::default().mae().is_nan());
}

proptest! {
    #[test]
    fn the_sums_of_parts_merge_to_those_of_the_whole(
        examples in prop::collection::vec((-100f64..100., -100f64..100.), 1..40),
        offset in prop_oneof![Just(0.), Just(1e6)],
        share in 0f64..=1.,
    ) {
        let targets: Vec<f64> = examples.iter().map(|(_, target)| target + offset).collect();
        let predictions: Vec<f64> = examples.iter().map(|(error, target)| target + offset + error).collect();
        let whole = errors(&predictions, &targets);
        let cut = (targets.len() as f64 * share) as usize;
        let mut merged = errors(&predictions[..cut], &targets[..cut]);
        let other = errors(&predictions[cut..], &targets[cut..]);
        merged.add(&ErrorSums::from_values(other.to_values()));
        prop_assert_eq!(merged.examples(), whole.examples());
        for (value, expected) in merged.to_values().into_iter().zip(whole.to_values()) {
            prop_assert!((value - expected).abs() <= 1e-9 * expected.abs().max(1.), "{} {}", value, expected);
        }
    }
}
