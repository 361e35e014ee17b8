use super::*;
use serde_json::Value;
use std::path::Path;

/// Reference values, computed by scripts/reference/metrics.py.
fn reference() -> Vec<(Evaluation, Value)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/metrics.json");
    let mut file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let Value::Array(cases) = file["cases"].take() else { panic!("`cases` is an array") };
    cases.into_iter().map(|case| (evaluation(&case), case)).collect()
}

fn evaluation(case: &Value) -> Evaluation {
    let rows: Vec<Vec<f64>> = serde_json::from_value(case["logits"].clone()).unwrap();
    let labels: Vec<i64> = serde_json::from_value(case["labels"].clone()).unwrap();
    let inputs = Tensor::from_slice2(&rows).to_kind(Kind::Float);
    let classes = rows[0].len();
    let part = crate::model::preprocessing::TensorDataset { inputs, labels: Tensor::from_slice(&labels) };
    evaluate(
        &crate::loader::MemoryExamples::ready(part),
        &Outputs::Classification,
        classes,
        Keep::Scores,
        |x| Ok(x.shallow_clone()),
    )
    .unwrap()
}

#[test]
fn every_metric_agrees_with_scikit_learn() {
    for (evaluation, case) in reference() {
        for metric in METRICS {
            let expected = &case["metrics"][metric.name];
            let value = (metric.of)(&evaluation);
            match (value, expected.as_f64()) {
                (Some(value), Some(expected)) => {
                    // Losses are summed in float32.
                    assert!(
                        (value - expected).abs() < 2e-6,
                        "{}: {value}, scikit-learn has {expected}",
                        metric.name
                    );
                }
                (value, expected) => assert_eq!(value, expected, "{}", metric.name),
            }
        }
    }
}

#[test]
fn the_metrics_of_the_classes_agree_with_scikit_learn() {
    for (evaluation, case) in reference() {
        let expected = case["classes"].as_array().unwrap();
        let names: Vec<_> = (0..expected.len()).map(|class| class.to_string()).collect();
        let report = serde_json::to_value(ClassificationReport::new(&evaluation, &names)).unwrap();
        assert_eq!(report["confusion"], case["confusion"]);
        for (class, expected) in report["classes"].as_array().unwrap().iter().zip(expected) {
            assert_eq!(class["rows"], expected["rows"]);
            for metric in ["precision", "recall", "f1"] {
                // scikit-learn returns 0 for a division by zero.
                let value = class[metric].as_f64().unwrap_or(0.);
                assert!((value - expected[metric].as_f64().unwrap()).abs() < 1e-12, "{metric} of {class}");
            }
        }
    }
}

#[test]
fn undefined_metrics_have_no_value() {
    let case = serde_json::json!({ "logits": [[3., 0., 0.], [4., 1., 2.]], "labels": [0, 0] });
    let evaluation = evaluation(&case);
    let value = |name: &str| (METRICS.iter().find(|metric| metric.name == name).unwrap().of)(&evaluation);
    assert_eq!(value("accuracy"), Some(1.));
    assert_eq!((value("ROC-AUC"), value("top-5 accuracy")), (None, None));
    let report = ClassificationReport::new(&evaluation, &["a".into(), "b".into(), "c".into()]);
    assert!(report.metrics.iter().all(|metric| metric.name != "ROC-AUC"));
    assert_eq!((report.classes[1].precision, report.classes[1].recall), (None, None));
}

#[test]
fn a_report_reads_back_from_json_and_csv() {
    let (evaluation, _) = reference().remove(1);
    let report = ClassificationReport::new(&evaluation, &["zero".into(), "one, or so".into(), "two".into()]);
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(json["rows"], 40);
    let csv = report.to_csv();
    let mut reader = csv::Reader::from_reader(&csv[..]);
    let rows: Vec<(String, String, Option<f64>)> = reader.deserialize().map(|row| row.unwrap()).collect();
    let accuracy = rows.iter().find(|row| row.0 == "accuracy").unwrap().2.unwrap();
    assert_eq!(accuracy, evaluation.confusion().unwrap().accuracy());
    let off_diagonal = rows.iter().find(|row| row.0 == "taken for two" && row.1 == "one, or so").unwrap();
    assert_eq!(off_diagonal.2.unwrap() as u64, evaluation.confusion().unwrap().count(1, 2));
}

#[test]
fn scores_are_kept_only_on_request() {
    let part = crate::model::preprocessing::TensorDataset {
        inputs: Tensor::zeros([3, 2], (Kind::Float, Device::Cpu)),
        labels: Tensor::from_slice(&[0i64, 1, 1]),
    };
    let feed = crate::loader::MemoryExamples::ready(part);
    let sums = evaluate(&feed, &Outputs::Classification, 2, Keep::Sums, |x| Ok(x.shallow_clone())).unwrap();
    assert!(sums.scores.is_none());
    assert_eq!((METRICS.iter().find(|metric| metric.name == "ROC-AUC").unwrap().of)(&sums), None);
}
