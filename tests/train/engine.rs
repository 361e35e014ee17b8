//! What a user sees of the training engine: how runs end, and what they refuse to go on from.

use std::path::Path;
use std::process::Command;

use crate::support::targets::{write_prices, write_tags};
use crate::support::{assert_same_bits, run, stderr, succeed, text};

fn epochs(out: &Path) -> usize {
    std::fs::read_to_string(out.join("metrics.csv")).unwrap().lines().count() - 1
}

#[test]
fn early_stopping_ends_the_run_with_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    // With such a rate no weight changes, so no epoch is better than the first.
    succeed(["train", "--lr", "1e-30", "--patience", "2", "--out", text(&out)]);
    assert_eq!(epochs(&out), 3);
    assert!(out.join("model.pt").is_file());
    // Going on changes nothing, unless there is more patience.
    succeed(["train", "--resume", text(&out)]);
    assert_eq!(epochs(&out), 3);
    succeed(["train", "--resume", text(&out), "--patience", "4"]);
    assert_eq!(epochs(&out), 5);
}

#[test]
fn the_time_limit_ends_the_run_with_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let arguments = ["train", "--epochs", "1000000", "--max-minutes", "0.02", "--schedule", "cosine"];
    succeed([&arguments[..], &["--out", text(&out)]].concat());
    assert!(epochs(&out) >= 1 && out.join("model.pt").is_file());
    // The learning rate follows the time, not the epochs, of which hardly any are finished.
    let metrics = std::fs::read_to_string(out.join("metrics.csv")).unwrap();
    let last = |name: &str| {
        let (names, row) = (metrics.lines().next().unwrap(), metrics.lines().last().unwrap());
        let place = names.split(',').position(|known| known == name).unwrap();
        row.split(',').nth(place).unwrap().parse::<f64>().unwrap()
    };
    assert!(last("lr") < 0.0005, "{metrics}");
}

#[test]
fn all_training_options_combine_and_resume_bit_identically() {
    let folder = tempfile::tempdir().unwrap();
    let options = |epochs: &'static str| {
        [
            "train",
            "--model",
            "cnn",
            "--model-options",
            "width=4",
            "--epochs",
            epochs,
            "--optimizer",
            "adamw",
            "--weight-decay",
            "0.05",
            "--loss-options",
            "smoothing=0.1",
            "--schedule",
            "plateau",
            "--schedule-options",
            "patience=0,factor=0.5",
            "--warmup-epochs",
            "0.5",
            "--accumulate",
            "2",
            "--clip",
            "1",
            "--precision",
            "bf16",
            "--channels-last",
            "--average",
            "ema",
            "--layer-decay",
            "0.8",
            "--augment",
            "digits",
            "--out",
        ]
    };
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    succeed(options("4").into_iter().chain([text(&whole)]));
    succeed(options("2").into_iter().chain([text(&parts)]));
    succeed(["train", "--resume", text(&parts), "--epochs", "4"]);
    assert_same_bits(&whole, &parts);
}

#[test]
fn a_checkpoint_of_other_options_is_refused_with_the_difference() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    succeed(["train", "--epochs", "1", "--out", text(&out)]);
    let file = out.join("config.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace("lr = 0.001", "lr = 0.002").replace("epochs = 1", "epochs = 2"))
        .unwrap();
    let refused = run(["train", "--resume", text(&out)]);
    assert_eq!(refused.status.code(), Some(2));
    let says = stderr(&refused);
    assert!(says.contains("it was written with lr `0.001`, and now it is `0.002`"), "{says}");
}

#[test]
fn a_schedule_that_ends_with_the_run_keeps_its_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    succeed(["train", "--epochs", "1", "--schedule", "cosine", "--out", text(&out)]);
    let refused = run(["train", "--resume", text(&out), "--epochs", "2"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("with the learning rate schedule cosine"), "{}", stderr(&refused));
}

/// A limit on the size of files stands for the full disk: both refuse a write in the middle of a file.
#[test]
fn a_full_disk_keeps_the_last_good_checkpoint_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    succeed(["train", "--epochs", "1", "--out", text(&out)]);
    let last = out.join("checkpoints/last.safetensors");
    let before = std::fs::read(&last).unwrap();
    let limited = r#"ulimit -f 64; exec "$0" train --resume "$1" --epochs 3"#;
    let program = env!("CARGO_BIN_EXE_cresset");
    let output = Command::new("bash").args(["-c", limited, program, text(&out)]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let says = stderr(&output);
    assert!(says.contains("cannot save the checkpoint, so the last good one was kept: "), "{says}");
    assert_eq!(std::fs::read(&last).unwrap(), before);
    succeed(["train", "--resume", text(&out), "--epochs", "3"]);
    assert_eq!(epochs(&out), 3);
}

#[test]
fn unknown_parameters_to_freeze_are_named() {
    let refused = run(["train", "--freeze", "fc9"]);
    assert_eq!(refused.status.code(), Some(2));
    let says = stderr(&refused);
    assert!(says.contains("the model has no parameters in `fc9`. Its blocks are fc1, fc2"), "{says}");
}

#[test]
fn the_learning_rate_suggested_by_lr_find_trains() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("curve.csv");
    let shown = succeed(["lr-find", "--model", "cnn", "--csv", text(&csv)]);
    let suggested = shown.split("--lr ").nth(1).unwrap().split(' ').next().unwrap();
    let rate: f64 = suggested.parse().unwrap();
    assert!((1e-5..1.).contains(&rate), "{shown}");
    let points = std::fs::read_to_string(&csv).unwrap().lines().count();
    assert!(shown.contains('•') && (20..=201).contains(&points), "{points} points\n{shown}");
    let refused = run(["lr-find", "--from", "1", "--to", "0.1"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
}

#[test]
fn the_range_test_learns_labels_and_numbers() {
    let folder = tempfile::tempdir().unwrap();
    for (data, task) in
        [(write_tags(folder.path()), "multilabel"), (write_prices(folder.path()), "regression")]
    {
        let shown = succeed(["lr-find", "--data", text(&data), "--task", task]);
        assert!(shown.contains("suggested: --lr "), "{shown}");
    }
}
