//! Latency and throughput of the same model in each format that the program reads: `cargo bench --bench formats`.
//!
//! Calls of `Classifier::logits` with one thread, in rounds that alternate between the formats, after `Classifier::optimize`.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cresset::predict::Classifier;
use support::{digits, median, ratio, seconds, spread};
use tch::{Device, Tensor};

const ROUNDS: usize = 7;
const ROUND_TIME: Duration = Duration::from_millis(400);
const BATCH: usize = 256;

/// The extensions of the formats; ratios are to the first.
#[cfg(not(feature = "onnx"))]
const FORMATS: &[&str] = &["pt", "pt2"];
#[cfg(feature = "onnx")]
const FORMATS: &[&str] = &["pt", "pt2", "onnx"];

/// The models: name and options of a short training.
const MODELS: [(&str, &[&str]); 5] = [
    ("mlp", &[]),
    ("cnn", &["--config", "recipes/cnn.toml"]),
    ("resnet9", &["--model", "resnet9", "--model-options", "width=16"]),
    ("vit", &["--config", "recipes/vit.toml"]),
    ("lstm", &["--config", "recipes/lstm.toml"]),
];

fn main() {
    support::enter_checkout();
    tch::set_num_threads(1);
    let folder = tempfile::tempdir().expect("a folder");
    let rows = digits();
    let values: Vec<f32> = rows[..BATCH]
        .iter()
        .flat_map(|row| row.split(','))
        .map(|cell| cell.parse().expect("a number"))
        .collect();
    let many = Tensor::from_slice(&values).view([BATCH as i64, -1]);
    let one = many.narrow(0, 0, 1).copy();
    println!(
        "median (min–max) of {ROUNDS} rounds, one thread; ratio = format / pt, the median of the rounds' ratios\n"
    );
    println!("| model | format | one row, µs | ratio | {BATCH} rows, rows/s | ratio |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, options) in MODELS {
        let files = files(&folder.path().join(name), options);
        let models: Vec<_> = files.iter().map(|file| load(file)).collect();
        let expected = models[0].logits(&many).expect("the model runs");
        for model in &models {
            let logits = model.logits(&many).expect("the model runs");
            let difference = (logits - &expected).abs().max().double_value(&[]);
            assert!(difference < 1e-3, "{name}: the logits differ by {difference}");
        }
        let mut latencies = vec![Vec::new(); models.len()];
        let mut speeds = vec![Vec::new(); models.len()];
        for _ in 0..ROUNDS {
            for (number, model) in models.iter().enumerate() {
                latencies[number].push(microseconds(model, &one));
                speeds[number].push(BATCH as f64 / microseconds(model, &many) * 1e6);
            }
        }
        for (number, format) in FORMATS.iter().enumerate() {
            println!(
                "| {name} | {format} | {} | {:.2} | {} | {:.2} |",
                spread(&latencies[number], 1),
                ratio(&latencies[number], &latencies[0]),
                spread(&speeds[number], 0),
                ratio(&speeds[number], &speeds[0])
            );
        }
    }
}

/// Trains a model for one epoch and exports it in each format.
fn files(folder: &Path, options: &[&str]) -> Vec<PathBuf> {
    let program = || Command::new(env!("CARGO_BIN_EXE_cresset"));
    seconds(
        program().arg("train").args(options).args(["--epochs", "1", "--threads", "1", "--out"]).arg(folder),
    );
    let export = |format: &&str| {
        let file = folder.join(format!("exported.{format}"));
        seconds(program().arg("export").arg(folder).arg("--output").arg(&file));
        file
    };
    FORMATS.iter().map(export).collect()
}

fn load(file: &Path) -> Classifier {
    let classifier = Classifier::load_on(file, Device::Cpu).expect("the model loads");
    classifier.optimize();
    classifier
}

/// The median time per call.
fn microseconds(model: &Classifier, inputs: &Tensor) -> f64 {
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < ROUND_TIME || times.len() < 3 {
        let call = Instant::now();
        drop(model.logits(inputs).expect("the model runs"));
        times.push(call.elapsed().as_secs_f64() * 1e6);
    }
    median(&times)
}
