//! Event files, read back by TensorBoard's own code. Needs a small Python environment, which `make test` installs.

use std::path::Path;
use std::process::Command;

use crate::support::{self, stderr, succeed, text};
use serde_json::Value;

/// What TensorBoard reads in a folder: an object of scalars, histograms, images and hyper-parameters.
fn read(run: &Path) -> Value {
    let python = std::env::var("CRESSET_PYTHON_TENSORBOARD").expect("set by `make test`");
    let script = support::root().join("tests/runs/read_events.py");
    let output = Command::new(python).arg(script).arg(run).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The columns of metrics.csv by name.
fn metrics(run: &Path) -> impl Fn(&str) -> Vec<f64> {
    let mut reader = csv::Reader::from_path(run.join("metrics.csv")).unwrap();
    let names = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    move |name| {
        let column = names.iter().position(|header| header == name).unwrap();
        rows.iter().map(|row| row[column].parse().unwrap()).collect()
    }
}

#[test]
#[ignore = "needs TensorBoard: make test"]
fn scalars_histograms_the_confusion_matrix_and_options_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(["train", "--epochs", "3", "--lr", "0.002", "--tensorboard", "--out", text(&run)]);
    let found = read(&run);

    let metrics = metrics(&run);
    for (tag, column) in [
        ("loss/train", "train_loss"),
        ("loss/held_out", "held_out_loss"),
        ("accuracy/train", "train_accuracy"),
        ("accuracy/held_out", "held_out_accuracy"),
        ("learning_rate", "lr"),
        ("seconds", "seconds"),
    ] {
        let expected = metrics(column);
        let read = found["scalars"][tag].as_array().unwrap();
        assert_eq!(read.len(), 3, "{tag}");
        for (epoch, (read, expected)) in read.iter().zip(expected).enumerate() {
            assert_eq!(read[0], epoch + 1, "{tag}");
            assert_eq!(read[1].as_f64().unwrap() as f32, expected as f32, "{tag}");
        }
    }

    let weights = &found["histograms"]["weights/fc1.weight"];
    assert_eq!(weights["epochs"], serde_json::json!([1, 2, 3]));
    assert_eq!((weights["count"].as_f64(), weights["sum_of_counts"].as_f64()), (Some(8192.), Some(8192.)));
    assert_eq!(weights["limits_grow"], true);
    assert!(weights["min"].as_f64().unwrap() < 0. && weights["max"].as_f64().unwrap() > 0.);
    assert_eq!(weights["last_limit"], weights["max"]);

    // Ten classes with cells of 32 pixels; the first cell is as dark as class 0 is recognised.
    let image = &found["images"]["confusion/held_out"];
    assert_eq!(image["size"], serde_json::json!([320, 320]));
    assert!(image["corner"].as_array().unwrap()[0].as_u64().unwrap() < 60, "{image}");
    assert_eq!(image["beside"], serde_json::json!([255, 255, 255]));
    assert!(image["text"].as_str().unwrap().contains("columns: predicted classes: 0, 1, 2"));

    let options = &found["options"];
    assert_eq!(
        (&options["lr"], &options["model"], &options["epochs"]),
        (&0.002.into(), &"mlp".into(), &3.0.into())
    );
    assert_eq!(options["tf32"], false);
    assert_eq!(found["metrics"], serde_json::json!(["accuracy/held_out", "loss/held_out"]));
    assert_eq!(found["status"], "STATUS_SUCCESS");
}

#[test]
#[ignore = "needs TensorBoard: make test"]
fn a_resumed_run_has_each_epoch_once() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(["train", "--epochs", "2", "--tensorboard", "--out", text(&run)]);
    // As if killed behind the third epoch's events and before its checkpoint.
    let checkpoint = std::fs::read(run.join("checkpoints/last.safetensors")).unwrap();
    succeed(["train", "--resume", text(&run), "--epochs", "3", "--tensorboard"]);
    std::fs::write(run.join("checkpoints/last.safetensors"), checkpoint).unwrap();
    succeed(["train", "--resume", text(&run), "--epochs", "4", "--tensorboard"]);
    let found = read(&run);
    let epochs: Vec<_> =
        found["scalars"]["loss/train"].as_array().unwrap().iter().map(|point| point[0].clone()).collect();
    assert_eq!(epochs, [1, 2, 3, 4]);
}
