//! Predicting and evaluating from the command line.

use std::path::{Path, PathBuf};

use crate::support::{self, root, succeed, text, train_once};
use cresset::predict::Classifier;
use image::{GrayImage, Luma};
use tch::{Device, Kind, Tensor};

fn model(folder: &Path) -> PathBuf {
    let run = folder.join("run");
    train_once(&run, &[]);
    run.join("model.pt")
}

/// Row `index` of the digits as an image, 255 for the full ink of 16, and its label.
fn image(folder: &Path, index: usize, side: u32) -> (PathBuf, String) {
    let digits = std::fs::read_to_string(root().join("data/digits.csv")).unwrap();
    let cells: Vec<u32> =
        digits.lines().nth(index).unwrap().split(',').map(|cell| cell.parse().unwrap()).collect();
    let shade = |x: u32, y: u32| (cells[(y * 8 / side * 8 + x * 8 / side) as usize] * 255 / 16) as u8;
    let path = folder.join(format!("{index}-{side}.png"));
    GrayImage::from_fn(side, side, |x, y| Luma([shade(x, y)])).save(&path).unwrap();
    (path, cells[64].to_string())
}

#[test]
fn predictions_are_csv_with_the_top_k_classes() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let rows = support::unlabelled_digits(folder.path(), 5);
    let printed = succeed(["predict", text(&model), text(&rows), "--top-k", "3"]);
    let lines: Vec<Vec<&str>> = printed.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(
        lines[0],
        ["input", "class", "probability", "class_2", "probability_2", "class_3", "probability_3", "error"]
    );
    assert_eq!(lines.len(), 6);
    for (index, line) in lines[1..].iter().enumerate() {
        assert_eq!(line[0], format!("{}:{}", text(&rows), index + 1));
        let probability = |column: usize| line[column].parse::<f64>().unwrap();
        assert!(probability(2) >= probability(4) && probability(4) >= probability(6));
    }
}

#[test]
fn a_label_column_is_ignored_in_prediction() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let labelled = succeed(["predict", text(&model), "data/digits.csv"]);
    let rows = support::unlabelled_digits(folder.path(), 1797);
    let unlabelled = succeed(["predict", text(&model), text(&rows)]);
    let classes = |printed: &str| {
        printed.lines().skip(1).map(|line| line.split_once(',').unwrap().1.to_string()).collect()
    };
    let (labelled, unlabelled): (Vec<_>, Vec<_>) = (classes(&labelled), classes(&unlabelled));
    assert_eq!(labelled, unlabelled);
}

#[test]
fn images_of_any_size_are_classified() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    for side in [8, 64] {
        let (images, labels): (Vec<_>, Vec<_>) = (0..10).map(|i| image(folder.path(), i, side)).unzip();
        let arguments =
            ["predict", text(&model), "--output", "jsonl"].into_iter().chain(images.iter().map(|p| text(p)));
        let printed = succeed(arguments);
        let found = printed.lines().zip(&images).map(|(line, path)| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["input"], text(path));
            line["predictions"][0]["class"].as_str().unwrap().to_string()
        });
        let right = found.zip(&labels).filter(|(found, label)| found == *label).count();
        assert!(right >= 9, "{right} of 10 at {side}×{side}");
    }
}

#[test]
fn eval_reproduces_the_validation_accuracy_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let trained = succeed(["train", "--out", text(&run)]);
    let accuracy = |printed: &str, key: &str| {
        let line = printed
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap()
            .trim_start_matches(key)
            .trim()
            .to_string();
        line.split(' ').next().unwrap().to_string()
    };
    let evaluated = succeed(["eval", text(&run)]);
    assert_eq!(accuracy(&trained, "validation accuracy"), accuracy(&evaluated, "accuracy"));
    assert!(evaluated.contains("rows                       359"), "{evaluated}");

    let all = succeed(["eval", text(&run.join("model.pt")), "data/digits.csv"]);
    assert!(all.contains("rows                       1,797") && all.contains("macro F1"), "{all}");
    let classes = all.lines().filter(|line| line.matches('%').count() == 3).count();
    assert_eq!(classes, 10, "{all}");
}

#[test]
fn an_optimized_model_gives_the_same_logits_up_to_rounding() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("cnn");
    succeed(["train", "--model", "cnn", "--model-options", "width=8", "--epochs", "1", "--out", text(&run)]);
    succeed(["compress", text(&run), "--quantize", "int8"]);
    let frozen = folder.path().join("frozen.pt");
    succeed(["export", text(&run), "--freeze", "--output", text(&frozen)]);
    let raw = Tensor::randint(17, [70, 64], (Kind::Uint8, Device::Cpu));
    let of_file = |file: &Path, is_changed: bool| {
        let classifier = Classifier::load_on(file, Device::Cpu).unwrap();
        let before = classifier.logits(&raw).unwrap();
        classifier.optimize();
        let logits = |inputs: &Tensor| classifier.logits(inputs).unwrap();
        assert_eq!(logits(&raw) != before, is_changed, "{}", file.display());
        for rows in [0, 1, 2, 70] {
            let found = logits(&raw.narrow(0, 0, rows));
            assert!(found.allclose(&before.narrow(0, 0, rows), 1e-5, 1e-5, false), "{rows} rows");
        }
        assert!(classifier.logits(&raw.narrow(1, 0, 63)).is_err());
        before
    };
    let before = of_file(&run.join("model.pt"), true);
    assert!(of_file(&frozen, true).allclose(&before, 1e-5, 1e-5, false));
    // Of a perceptron, the layers are computed together.
    drop(of_file(&model(folder.path()), true));
    drop(of_file(&run.join("compressed/int8.pt"), false));
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let command =
        format!("'{}' predict '{}' data/digits.csv | head -n 1", env!("CARGO_BIN_EXE_cresset"), text(&model));
    let mut bash = std::process::Command::new("bash");
    let output = bash.args(["-o", "pipefail", "-c", &command]).current_dir(root()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", support::stderr(&output));
}

#[test]
fn eval_writes_its_metrics_as_json_and_csv() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    succeed(["train", "--epochs", "2", "--out", text(&out)]);
    let (json, csv) = (folder.path().join("figures.json"), folder.path().join("figures.csv"));
    let shown = succeed(["eval", text(&out), "--json", text(&json), "--csv", text(&csv)]);
    for name in [
        "top-5 accuracy",
        "ROC-AUC",
        "Brier score",
        "calibration error, scaled",
        "temperature",
        "predicted\n",
    ] {
        assert!(shown.contains(name), "{shown}");
    }
    let figures: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let accuracy = &figures["metrics"][0];
    assert_eq!(accuracy["name"], "accuracy");
    let line = format!("accuracy,,{}", accuracy["value"]);
    assert!(std::fs::read_to_string(&csv).unwrap().lines().any(|row| row == line), "{line}");
    assert_eq!(figures["confusion"].as_array().unwrap().len(), 10);
}

#[test]
fn test_time_augmentation_is_deterministic() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    succeed(["train", "--augment", "affine=8:0.05", "--out", text(&out)]);
    let eval = |more: &[&str]| succeed([&["eval", text(&out)], more].concat());
    let averaged = eval(&["--tta", "affine=4:0.02", "--tta-views", "4"]);
    assert_eq!(averaged, eval(&["--tta", "affine=4:0.02", "--tta-views", "4"]));
    assert_ne!(averaged, eval(&[]));
    let accuracy: f64 = averaged.lines().nth(1).unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(accuracy > 80., "{averaged}");
    let model = out.join("model.pt");
    let said = succeed(["predict", text(&model), "data/digits.csv", "--tta", "affine=4:0.02"]);
    assert_eq!(said.lines().count(), 1798);
    let refused = support::run(["eval", text(&out), "--tta", "mixup"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(support::stderr(&refused).contains("--tta mixup: augmentations that mix images"));
}
