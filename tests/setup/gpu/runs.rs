//! Training, export and prediction with the program.

use std::process::Command;

use super::{GPU, last_weights, printed, train, train_on};
use crate::support::{last_accuracy, root, run, stderr, succeed, text, unlabelled_digits};
use cresset::train::MetricsLog;
use cresset_bridge::cuda::{self, Plugin};
use tch::{Kind, Tensor};

#[test]
#[ignore = "needs an NVIDIA GPU: make gpu-kit"]
fn doctor_reports_the_gpu_its_memory_and_the_plugin() {
    let said = succeed(["doctor"]);
    assert!(said.contains("GPU(s): cuda:0 with ") && said.contains(" GB free"), "{said}");
    assert!(said.contains("ok     CUDA plugin"), "{said}");
}

#[test]
#[ignore = "needs an NVIDIA GPU: make gpu-kit"]
fn the_default_job_has_the_accuracy_of_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let accuracy = |device: &str, options: &[&str]| {
        last_accuracy(&train_on(device, folder.path(), &format!("{device}-{}", options.len()), options))
    };
    let default = ["cuda", "cpu"].map(|device| accuracy(device, &[]));
    let recipe = ["cuda", "cpu"].map(|device| accuracy(device, &["--config", "recipes/mlp.toml"]));
    println!(
        "note: default {:.4}, CPU {:.4}; recipe {:.4}, CPU {:.4}",
        default[0], default[1], recipe[0], recipe[1]
    );
    // Of 359 validation examples, rounding errors may change a few predictions.
    assert!((default[0] - default[1]).abs() <= 0.015 && (recipe[0] - recipe[1]).abs() <= 0.015);
    assert!(recipe[0] >= 0.96);
}

#[test]
#[ignore = "needs an NVIDIA GPU: make gpu-kit"]
fn an_exported_model_predicts_the_same_classes_in_cpp_and_python_on_cpu_and_gpu() {
    let folder = tempfile::tempdir().unwrap();
    let model = train(folder.path(), "run", &[]).join("model.pt");
    let rows = unlabelled_digits(folder.path(), 500);
    let predict =
        |device| succeed(["predict", text(&model), text(&rows), "--output", "plain", "--device", device]);
    let predicted = predict("cpu");
    assert_eq!(predict("cuda"), predicted);
    let python = std::env::var("CRESSET_PYTHON").expect("the kit sets CRESSET_PYTHON");
    for device in ["cuda", "cpu"] {
        let cpp = printed(Command::new(root().join("bin/classes")).args([text(&model), text(&rows), device]));
        assert_eq!(cpp, predicted, "C++ on {device}");
        let script = root().join("tests/classes.py");
        let python = printed(Command::new(&python).arg(script).args([text(&model), text(&rows), device]));
        assert_eq!(python, predicted, "Python on {device}");
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU: make gpu-kit"]
fn every_export_variant_reproduces_its_samples() {
    let folder = tempfile::tempdir().unwrap();
    let run = train(folder.path(), "run", &["--model", "cnn", "--epochs", "2"]);
    for dtype in ["f32", "bf16", "fp16"] {
        for form in [None, Some("--freeze"), Some("--optimize")] {
            let output = folder.path().join("variant.pt");
            let mut arguments = vec!["export", text(&run), "--device", "cuda", "--dtype", dtype];
            arguments.extend(form);
            arguments.extend(["--output", text(&output)]);
            succeed(arguments);
            succeed(["inspect", text(&output), "--verify"]);
            std::fs::remove_file(&output).unwrap();
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU: make gpu-kit"]
fn a_resumed_run_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--model-options", "dropout=0.2"];
    let whole = train(folder.path(), "whole", &[&options[..], &["--epochs", "6"]].concat());
    let parts = train(folder.path(), "parts", &[&options[..], &["--epochs", "3"]].concat());
    succeed(["train", "--resume", text(&parts), "--epochs", "6"]);
    assert!(last_weights(&whole) == last_weights(&parts));
}

#[test]
#[ignore = "needs an NVIDIA GPU: make gpu-kit"]
fn captured_steps_are_bit_identical_to_eager_steps() {
    let folder = tempfile::tempdir().unwrap();
    for (optimizer, more) in
        [("adam", "constant"), ("adamw", "cosine"), ("sgd", "one-cycle"), ("adagrad", "step")]
    {
        let weights = ["yes", "no"].map(|choice| {
            let out = folder.path().join(format!("{optimizer}-{choice}"));
            let options =
                ["--epochs", "3", "--model-options", "dropout=0.2", "--lr", "0.01", "--cuda-graph", choice];
            let output = run([
                &[
                    "train",
                    "--device",
                    "cuda",
                    "--out",
                    text(&out),
                    "--optimizer",
                    optimizer,
                    "--schedule",
                    more,
                ],
                &options[..],
            ]
            .concat());
            let said = stderr(&output);
            assert!(output.status.success() && !said.contains("steps are not captured"), "{said}");
            last_weights(&out)
        });
        assert!(weights[0] == weights[1], "{optimizer}");
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU: make gpu-kit"]
fn bfloat16_convolutions_are_captured() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let output = run([
        &["train", "-v", "--device", "cuda", "--model", "cnn", "--precision", "bf16", "--channels-last"][..],
        &["--epochs", "5", "--out", text(&out)],
    ]
    .concat());
    let said = stderr(&output);
    assert!(output.status.success() && said.contains("GPU memory: peak "), "{said}");
    assert!(!said.contains("operation by operation"), "{said}");
    assert!(last_accuracy(&out) > 0.9, "{}", last_accuracy(&out));
}

#[test]
#[ignore = "needs an NVIDIA GPU: make gpu-kit"]
fn float16_with_loss_scaling_and_tf32_learn_as_float32_does() {
    let folder = tempfile::tempdir().unwrap();
    let cnn = |name: &str, options: &[&str]| {
        let all = [&["--model", "cnn", "--epochs", "4"], options].concat();
        last_accuracy(&train(folder.path(), name, &all))
    };
    let float32 = cnn("float32", &[]);
    for (name, options) in [("float16", &["--precision", "fp16"][..]), ("TF32", &["--tf32"])] {
        let accuracy = cnn(name, options);
        println!("note: {name} {accuracy:.4}, float32 {float32:.4}");
        assert!((accuracy - float32).abs() < 0.03, "{name}: {accuracy} and {float32}");
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU: make gpu-kit"]
fn channels_last_computes_the_losses_of_contiguous_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let losses = |layout: &str| {
        let options =
            ["--model", "resnet9", "--optimizer", "sgd", "--epochs", "2", "--channels-last", layout];
        let run = train(folder.path(), layout, &options);
        let epochs = MetricsLog::read(&run.join("metrics.csv")).unwrap();
        epochs.iter().map(|epoch| epoch.train_loss).collect::<Vec<_>>()
    };
    let (last, contiguous) = (losses("yes"), losses("no"));
    // The first epoch: rounding errors grow from step to step.
    assert!((last[0] / contiguous[0] - 1.).abs() < 0.02, "{last:?} and {contiguous:?}");
}

#[test]
#[ignore = "needs an NVIDIA GPU: make gpu-kit"]
fn running_out_of_memory_is_explained() {
    Plugin::open().unwrap();
    let free = cuda::memory(GPU).unwrap().free;
    // Leaves 2 GB, of which the CUDA context of the program takes about a quarter. A step with 1,024 examples and two
    // hidden layers of 65,536 units needs 17 GB for one of the weights.
    let occupied = Tensor::empty([free - 2_000_000_000], (Kind::Uint8, GPU));
    let folder = tempfile::tempdir().unwrap();
    let options = ["--batch-size", "1024", "--model-options", "width=65536,depth=2"];
    let out = folder.path().join("run");
    let output = run([&["train", "--device", "cuda", "--out", text(&out)], &options[..]].concat());
    drop(occupied);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("out of memory") && !said.contains("Exception raised from"), "{said}");
    println!("note: {}", said.lines().last().unwrap_or_default());
}
