//! The index, the counts and the messages.

use std::sync::Arc;

use proptest::prelude::*;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::data::TableLayout;
use crate::model::Outputs;

/// Two columns: a number, and a category of `r`, `g` and `b`.
fn layout() -> TableLayout {
    serde_json::from_str(
        r#"{"columns": [
            {"name": "x", "position": 0, "kind": "number"},
            {"name": "c", "position": 1, "kind": "category", "categories": ["r", "g", "b"]}
        ], "width": 2, "label": null}"#,
    )
    .unwrap()
}

/// Rows of a number around 10 and a category, of which `r` is the most frequent.
fn rows(count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let mut row = || {
        let x = 10. + (0..4).map(|_| generator.random_range(-1f32..1.)).sum::<f32>();
        let category = [0, 0, 0, 1, 1, 2][generator.random_range(0..6)];
        let mut row = vec![x, 0., 0., 0.];
        row[1 + category] = 1.;
        row
    };
    (0..count).map(|_| row()).collect()
}

/// The probabilities of two classes for a row.
fn probabilities(row: &[f32]) -> Vec<f64> {
    let p = f64::from((row[0] - 6.) / 8.).clamp(0., 1.);
    vec![p, 1. - p]
}

fn counter() -> DriftCounter {
    let training = rows(2000, 1);
    let outputs = ReferenceOutputs {
        outputs: &Outputs::Classification,
        classes: &["low".to_string(), "high".to_string()],
        labels: (0..2000).map(|row| Decision::Indexes(vec![row % 2])).collect(),
        validation: rows(1000, 2).iter().map(|row| probabilities(row)).collect(),
    };
    let reference = DriftReference::fit(&training.concat(), 4, Some(&layout()), None, &outputs);
    assert!(reference.is_valid(4) && !reference.is_valid(3));
    let text = serde_json::to_string(&reference).unwrap();
    assert_eq!(serde_json::from_str::<DriftReference>(&text).unwrap(), reference);
    assert!(text.len() < 2000, "{} bytes", text.len());
    DriftCounter::new(Arc::new(reference), &Outputs::Classification)
}

/// The report of rows.
fn report(rows: &[Vec<f32>]) -> DriftReport {
    let mut counter = counter();
    rows.iter().for_each(|row| counter.add(row, &probabilities(row)));
    counter.report("00")
}

/// The index of a variable.
fn index_of(report: &DriftReport, name: &str) -> f64 {
    report.variables.iter().find(|variable| variable.name == name).unwrap().psi
}

#[test]
fn the_index_is_the_one_computed_by_hand() {
    // With half an example added: p = (0.5, 0.5), q = (20.5, 80.5) / 101.
    let (p, q) = ([0.5, 0.5], [20.5 / 101., 80.5 / 101.]);
    let expected: f64 = p.iter().zip(q).map(|(p, q): (&f64, f64)| (q - p) * (q / p).ln()).sum();
    assert!((expected - 0.4063).abs() < 1e-4, "{expected}");
    assert!((psi(&[50, 50], &[20, 80]) - expected).abs() < 1e-12);
    // With many examples the half does not matter: (0.3 - 0.1) ln 3 + (0.7 - 0.9) ln (7 / 9).
    let expected = 0.2 * 3f64.ln() - 0.2 * (7f64 / 9.).ln();
    assert!((psi(&[100_000_000, 900_000_000], &[300_000_000, 700_000_000]) - expected).abs() < 1e-6);
    // Bins that are empty in both do not count, and the order of the arguments does not matter.
    assert_eq!(psi(&[50, 0, 50], &[20, 0, 80]), psi(&[20, 80], &[50, 50]));
    assert_eq!((psi(&[7, 3], &[0, 0]), psi(&[], &[])), (0., 0.));
}

#[test]
fn quantile_bins_have_equal_shares_and_ends_for_smaller_and_larger_numbers() {
    let bins = Bins::of_numbers((1..=100).map(|value| value as f32));
    let Bins::Number { low, edges } = &bins else { panic!() };
    assert_eq!((*low, edges.len(), edges[0], edges[9]), (1., 10, 10., 100.));
    let found = [0.5, 1., 10., 10.5, 100., 101., f32::INFINITY, f32::NAN].map(|value| bins.of_number(value));
    assert_eq!(found, [0, 1, 1, 2, 10, 11, 11, 12]);
    // A constant has a bin below and one above.
    let constant = Bins::of_numbers([3.; 50].into_iter());
    assert_eq!([2., 3., 4.].map(|value| constant.of_number(value)), [0, 1, 2]);
    assert_eq!(constant.names(), ["below 3", "3", "above 3", "missing"]);
    let none = Bins::of_numbers([f32::NAN; 3].into_iter());
    assert_eq!([f32::NAN, 5.].map(|value| none.of_number(value)), [2, 1]);
}

#[test]
fn rare_categories_share_a_bin() {
    let counts: Vec<u64> = (0..100).map(|category| 1000 - category).collect();
    let bins = Bins::of_categories(&counts, |index| index.to_string());
    assert_eq!(bins.count(), 23);
    assert_eq!([0, 19, 20, 99].map(|category| bins.of_category(category)), [0, 19, 20, 20]);
    // As the index of a category: unknown and missing.
    assert_eq!([-1., f32::NAN, 5.].map(|code| bins.of_number(code)), [21, 22, 5]);
}

#[test]
fn other_rows_of_the_same_distribution_show_no_drift() {
    let report = report(&rows(1000, 3));
    assert_eq!(report.rows, 1000);
    assert!(report.variables.iter().all(|variable| variable.psi < MODERATE), "{report:?}");
    assert_eq!((report.warning(), report.problems), (None, vec![]));
}

#[test]
fn shifted_scaled_and_permuted_columns_are_named() {
    let changed = |change: fn(&mut Vec<f32>)| {
        let mut rows = rows(1000, 3);
        rows.iter_mut().for_each(change);
        report(&rows)
    };
    let shifted = changed(|row| row[0] += 2.);
    assert!(index_of(&shifted, "x") > 1. && index_of(&shifted, "c") < MODERATE, "{shifted:?}");
    assert!(shifted.warning().unwrap().contains("column `x`"), "{shifted:?}");
    assert!(index_of(&shifted, "predictions") > DRIFTED, "{shifted:?}");
    let scaled = changed(|row| row[0] *= 1.5);
    assert!(index_of(&scaled, "x") > 1., "{scaled:?}");
    let permuted = changed(|row| row.swap(1, 3));
    assert!(index_of(&permuted, "c") > DRIFTED && index_of(&permuted, "x") < MODERATE, "{permuted:?}");
    let warning = permuted.warning().unwrap();
    assert!(warning.contains("column `c`") && !warning.contains("column `x`"), "{warning}");
}

#[test]
fn few_rows_give_neither_a_warning_nor_a_refusal() {
    let few = |count: usize| {
        let mut rows = rows(count, 3);
        rows.iter_mut().for_each(|row| row[0] *= 1000.);
        report(&rows)
    };
    assert_eq!((few(19).problems.len(), few(20).problems.len()), (0, 1));
    assert!(few(99).warning().is_none() && few(100).warning().is_some());
}

#[test]
fn a_changed_unit_and_a_column_without_values_are_refused() {
    let problems = |change: fn(&mut Vec<f32>)| {
        let mut rows = rows(100, 3);
        rows.iter_mut().for_each(change);
        report(&rows).problems
    };
    for factor in [1000f32, 10., 0.001, -50.] {
        let mut rows = rows(100, 3);
        rows.iter_mut().for_each(|row| row[0] *= factor);
        let report = report(&rows);
        assert!(
            report.problems[0].contains("`x`") && report.problems[0].contains("unit"),
            "{factor}: {report:?}"
        );
        let error = report.require_meaning().unwrap_err().to_string();
        assert!(error.contains("--allow-drift"), "{error}");
    }
    assert_eq!(problems(|row| row[0] += 3.), [""; 0]);
    assert!(problems(|row| row[0] = f32::NAN)[0].contains("`x` has no known value in all 100 rows"));
    assert!(problems(|row| row[1..].fill(0.))[0].contains("`c` has no known value"));
    assert!(problems(|row| row[1..].fill(f32::NAN))[0].contains("`c` has no known value"));
    // One known value is enough.
    let mut rows = rows(100, 3);
    rows[1..].iter_mut().for_each(|row| row[0] = f32::NAN);
    assert_eq!(report(&rows).problems, [""; 0]);
}

#[test]
fn counts_depend_neither_on_the_order_nor_on_the_number_of_counters() {
    let all = rows(500, 4);
    let mut one = counter();
    all.iter().for_each(|row| one.add(row, &probabilities(row)));
    let mut parts = [counter(), counter(), counter()];
    for (number, row) in all.iter().enumerate().rev() {
        parts[number % 3].add(row, &probabilities(row));
    }
    let [mut sum, second, third] = parts;
    sum.merge(&third);
    sum.merge(&second);
    assert_eq!(sum, one);
}

#[test]
fn codes_of_categories_and_lists_are_counted() {
    let code =
        Variable::empty("c".to_string(), (0, 0), Bins::of_categories(&[5, 3], |index| index.to_string()));
    let mut counts = code.counts.clone();
    [1., 0., 1., -1., f32::NAN].iter().for_each(|value| code.count(&[*value], &mut counts));
    assert_eq!(counts, [1, 2, 0, 1, 1]);
    // A list has any number of indicators.
    let list =
        Variable::empty("l".to_string(), (1, 2), Bins::of_categories(&[5, 3], |index| index.to_string()));
    let mut counts = list.counts.clone();
    [[9., 1., 1.], [9., 0., 1.], [9., 0., 0.]].iter().for_each(|row| list.count(row, &mut counts));
    assert_eq!(counts, [1, 2, 0, 1, 0]);
}

#[test]
fn categories_by_index_have_their_names_and_free_text_is_not_compared() {
    let layout: TableLayout = serde_json::from_str(
        r#"{"columns": [
            {"name": "t", "position": 0, "kind": "text", "features": 64},
            {"name": "c", "position": 1, "kind": "code", "categories": ["r", "g"]},
            {"name": "zero", "position": 2, "kind": "number"}
        ], "width": 3, "label": null}"#,
    )
    .unwrap();
    let row = |code: f32, last: f32| [vec![0f32; 64], vec![code, last]].concat();
    let training = [row(1., 0.), row(1., 0.), row(0., 0.)].concat();
    let outputs = ReferenceOutputs {
        outputs: &Outputs::Classification,
        classes: &["a".to_string()],
        labels: Vec::new(),
        validation: Vec::new(),
    };
    let reference = DriftReference::fit(&training, 66, Some(&layout), None, &outputs);
    let [code, zero] = &reference.inputs[..] else { panic!("{reference:?}") };
    assert_eq!((code.start, code.bins.names()[0].as_str(), &code.counts[..2]), (64, "g", &[2, 1][..]));
    assert_eq!(zero.start, 65);
    // A column that was always 0 has no unit.
    let mut counter = DriftCounter::new(Arc::new(reference), outputs.outputs);
    (0..50).for_each(|_| counter.add(&row(1., 7.), &[1.]));
    assert_eq!(counter.report("").problems, [""; 0]);
}

#[test]
fn images_are_compared_by_their_statistics() {
    let statistics = image_statistics(&[10., 10., 20., 20., 60., 60.], 3);
    assert_eq!(statistics[2..], [("red", 10.), ("green", 20.), ("blue", 60.)]);
    let mut generator = ChaCha8Rng::seed_from_u64(5);
    let mut image =
        |level: f32| (0..12).map(|_| level + generator.random_range(0f32..50.)).collect::<Vec<_>>();
    let images: Vec<_> = (0..500).map(|_| image(100.)).collect();
    let values: Vec<f32> =
        images.iter().flat_map(|image| image_statistics(image, 3)).map(|(_, value)| value).collect();
    let outputs = ReferenceOutputs {
        outputs: &Outputs::Regression { offset: 0., scale: 1., interval: None },
        classes: &["age".to_string()],
        labels: vec![Decision::Number(3.)],
        validation: (0..100).map(|value| vec![f64::from(value)]).collect(),
    };
    let reference = DriftReference::fit(&values, 5, None, Some(3), &outputs);
    assert_eq!(reference.confidence, None);
    let mut counter = DriftCounter::new(Arc::new(reference), outputs.outputs);
    (0..1000).for_each(|value| counter.add(&image(60.), &[f64::from(value) / 10.]));
    let report = counter.report("");
    assert!(report.variables[0].psi > 1. && index_of(&report, "contrast") < MODERATE, "{report:?}");
    assert!(index_of(&report, "predictions") < MODERATE, "{report:?}");
    assert!(report.warning().unwrap().contains("image brightness"));
}

proptest! {
    #[test]
    fn the_index_is_finite_and_not_negative(
        pairs in prop::collection::vec((any::<u64>(), any::<u64>()), 0..30), small in any::<bool>()
    ) {
        let limit = |count: u64| if small { count % 3 } else { count };
        let (training, new): (Vec<_>, Vec<_>) = pairs.iter().map(|(p, q)| (limit(*p), limit(*q))).unzip();
        let (found, chance) = (psi(&training, &new), by_chance(&training, &new));
        prop_assert!(found.is_finite() && found >= -1e-12, "{found}");
        prop_assert!(chance.is_finite() && chance >= 0., "{chance}");
    }

    #[test]
    fn every_number_has_a_bin(values in prop::collection::vec(any::<f32>(), 0..40), value in any::<f32>()) {
        let bins = Bins::of_numbers(values.into_iter());
        prop_assert!(bins.of_number(value) < bins.count());
        prop_assert_eq!(bins.names().len(), bins.count());
    }
}
