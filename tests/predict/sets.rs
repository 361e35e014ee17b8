//! Prediction sets: the classes that contain the true one with a promised probability.

use std::collections::BTreeSet;
use std::path::Path;

use cresset::predict::Classifier;
use cresset_bridge::script::Module;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use crate::support::coverage::over_splits;
use crate::support::{self, run, stderr, succeed, text, train_once};

/// A weak model of the digits, so that sets have zero, one and several classes.
fn weak_run(folder: &Path) -> std::path::PathBuf {
    let out = folder.join("run");
    train_once(&out, &["--epochs", "2", "--validation", "0.5", "--coverage", "0.9"]);
    out
}

#[test]
fn prediction_sets_travel_with_the_model_to_every_reader() {
    let folder = tempfile::tempdir().unwrap();
    let out = weak_run(folder.path());
    assert!(std::fs::read_to_string(out.join("config.toml")).unwrap().contains("coverage = 0.9\n"));
    let model = out.join("model.pt");
    let conformal = Classifier::load(&model).unwrap().metadata().conformal.unwrap();
    assert_eq!(conformal.coverage, 0.9);

    let rows = support::unlabelled_digits(folder.path(), 200);
    let printed = succeed(["predict", text(&model), text(&rows), "--output", "jsonl", "--probabilities"]);
    let mut sizes = BTreeSet::new();
    for line in printed.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let set: Vec<&str> =
            line["set"].as_array().unwrap().iter().map(|class| class.as_str().unwrap()).collect();
        let probabilities = line["probabilities"].as_object().unwrap();
        for (class, probability) in probabilities {
            assert_eq!(set.contains(&class.as_str()), probability.as_f64().unwrap() >= conformal.threshold);
        }
        if let [first, ..] = set[..] {
            assert_eq!(line["predictions"][0]["class"], first);
        }
        sizes.insert(set.len());
    }
    assert!(sizes.len() > 1, "{sizes:?}");
    let csv = succeed(["predict", text(&model), text(&rows)]);
    assert!(csv.starts_with("input,class,probability,set,error\n"), "{csv}");

    // The method of the exported file, also of a frozen variant.
    let frozen = folder.path().join("frozen.pt");
    succeed(["export", text(&out), "--freeze", "--output", text(&frozen)]);
    let cells = std::fs::read_to_string(&rows).unwrap();
    let values: Vec<f32> =
        cells.lines().flat_map(|row| row.split(',').map(|cell| cell.parse::<f32>().unwrap())).collect();
    let inputs = Tensor::from_slice(&values).view([-1, 64]);
    for file in [&model, &frozen] {
        let (module, _) = Module::load(file, Device::Cpu, &[]).unwrap();
        let outputs = module.call("predict_set", &inputs).unwrap();
        let [set, probabilities] = &outputs[..] else { panic!("predict_set returns two tensors") };
        assert_eq!(set.kind(), Kind::Bool);
        assert_eq!(*set, probabilities.ge(conformal.threshold));
    }
    let onnx = folder.path().join("model.onnx");
    succeed(["export", text(&out), "--format", "onnx", "--output", text(&onnx)]);
    let wanted = format!("\"conformal\":{}", serde_json::to_string(&conformal).unwrap());
    let bytes = std::fs::read(&onnx).unwrap();
    assert!(bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes()), "{wanted}");
}

#[test]
fn eval_report_and_card_show_the_coverage() {
    let folder = tempfile::tempdir().unwrap();
    let out = weak_run(folder.path());
    let shown = succeed(["eval", text(&out)]);
    let line = shown.lines().find(|line| line.starts_with("coverage of sets, 90.00 % promised")).unwrap();
    // ⌈(n + 1) · 0.9⌉ of the n validation examples on which the threshold was calibrated.
    let count =
        shown.lines().find_map(|line| line.strip_prefix("rows")).unwrap().trim().parse::<f64>().unwrap();
    let expected = ((count + 1.) * 0.9 - 1e-9).ceil() / count;
    assert!(line.ends_with(&format!("{:.2} %", 100. * expected)), "{line}, expected {expected}");
    assert!(shown.contains("classes in a set") && shown.contains("empty sets"), "{shown}");
    succeed(["report", text(&out)]);
    assert!(std::fs::read_to_string(out.join("report.html")).unwrap().contains("coverage of sets"));
    succeed(["card", text(&out)]);
    let card = std::fs::read_to_string(out.join("card.md")).unwrap();
    assert!(card.contains("coverage of sets"), "{card}");

    let refused = run(["train", "--coverage", "1.5"]);
    assert!(stderr(&refused).contains("expected a number between 0 and 1"), "{}", stderr(&refused));
    let plain = folder.path().join("plain");
    train_once(&plain, &["--epochs", "2", "--validation", "0.5"]);
    assert!(!succeed(["eval", text(&plain)]).contains("coverage"));
}

/// The mean coverage over random splits of a pool into calibration and test examples is k / (n + 1), k = ⌈(n + 1) · coverage⌉.
#[test]
fn the_coverage_over_a_hundred_splits_of_the_digits_is_the_promised_one() {
    let folder = tempfile::tempdir().unwrap();
    let out = weak_run(folder.path());
    let classifier = Classifier::load(out.join("model.pt")).unwrap();
    let (feed, _) = classifier.read_labeled(&support::root().join("data/digits.csv")).unwrap();
    let pool = classifier.evaluate(&*feed).unwrap().scores.unwrap();
    let mut generator = ChaCha8Rng::seed_from_u64(11);
    for promised in [0.8, 0.95] {
        let (mean, error) = over_splits(&pool, promised, 199, &mut generator);
        assert!((mean - promised).abs() <= 2. * error, "{promised}: {mean}, standard error {error}");
    }
}
