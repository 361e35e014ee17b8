//! Calls of an exported model, compared with Python's torch.jit on the same file.

use std::path::{Path, PathBuf};
use std::time::Instant;

use cresset::predict::Classifier;
use serde_json::json;
use tch::{Device, Tensor};

use crate::contest::{Contestant, Results, Scale, compete, own, python, serve};
use crate::support::{digits, median, seconds};
use crate::table::{Row, Verdict};

const BATCH: usize = 64;

/// Calls per round with one row, and with 64 rows.
const CALLS: (usize, usize) = (3000, 500);

/// The maximum difference of logits: batch normalization may be folded into the convolutions.
const TOLERANCE: f64 = 1e-5;

struct Job {
    latency: &'static str,
    throughput: &'static str,
    options: &'static [&'static str],
}

const JOBS: [Job; 2] = [
    Job {
        latency: "model.pt of the digits MLP, one row: latency",
        throughput: "model.pt of the digits MLP, 64 rows: throughput",
        options: &[],
    },
    Job {
        latency: "model.pt of the digits CNN, one row: latency",
        throughput: "model.pt of the digits CNN, 64 rows: throughput",
        options: &["--config", "recipes/cnn.toml", "--epochs", "3"],
    },
];

/// Measures a perceptron and a convolutional network.
pub fn measure(scale: Scale) -> Vec<Verdict> {
    let folder = tempfile::tempdir().expect("a folder");
    let table = folder.path().join("rows.csv");
    std::fs::write(&table, digits()[..BATCH].join("\n")).expect("a table");
    let mut verdicts = Vec::new();
    for (number, job) in JOBS.iter().enumerate() {
        let model = trained(&folder.path().join(number.to_string()), job.options);
        let mut ours = own("inference", 1);
        ours.arg(&model).arg(&table);
        let mut contestants = vec![Contestant::waiting("cresset", ours)];
        for (name, way) in [("torch.jit.load", "plain"), ("torch.jit.optimize_for_inference", "optimized")] {
            let mut command = python("CRESSET_PYTHON", "inference_torch.py", 1);
            command.arg("calls").arg(&model).arg(&table).arg(way);
            contestants.push(Contestant::waiting(format!("Python, {name}"), command));
        }
        let results = compete(contestants, scale.rounds());
        let check = compare(&results);
        for (name, figure, unit, goal) in
            [(job.latency, "one_us", "µs", 0.7), (job.throughput, "rows_per_s", "rows/s", 1.)]
        {
            let row = Row {
                name,
                figure,
                unit,
                goal,
                more_is_better: figure == "rows_per_s",
                check: check.clone(),
            };
            verdicts.push(Verdict::new(row, &results[0], &results[1..]));
        }
    }
    verdicts
}

fn trained(run: &Path, options: &[&str]) -> PathBuf {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cresset"));
    seconds(command.arg("train").args(options).arg("--out").arg(run));
    run.join("model.pt")
}

fn compare(results: &[Results]) -> String {
    let own = &results[0].ready;
    let mut greatest = 0f64;
    for peer in &results[1..] {
        for (name, value) in own {
            let apart = (value - peer.ready[name]).abs();
            assert!(apart <= TOLERANCE, "{}: {name} is {value} and {}", peer.name, peer.ready[name]);
            greatest = greatest.max(apart);
        }
    }
    format!("the logits agree within {greatest:.0e}")
}

/// Our side: calls a model with the rows of a table.
pub fn work(arguments: &[String]) {
    let [model, table] = arguments else { panic!("a model and a table") };
    tch::set_num_threads(1);
    let classifier = Classifier::load_on(Path::new(model), Device::Cpu).expect("the model loads");
    classifier.optimize();
    let text = std::fs::read_to_string(table).expect("a table");
    let values: Vec<f32> =
        text.lines().flat_map(|row| row.split(',')).map(|cell| cell.parse().expect("a number")).collect();
    let many = Tensor::from_slice(&values).view([BATCH as i64, -1]);
    let one = many.narrow(0, 0, 1).copy();
    let logits = |inputs: &Tensor| classifier.logits(inputs).expect("the model runs");
    let all = Tensor::cat(&[logits(&one), logits(&many)], 0).view(-1);
    let found = Vec::<f32>::try_from(all).expect("floats");
    let round = || {
        let one_us = median_us(CALLS.0, || drop(logits(&one)));
        let many_us = median_us(CALLS.1, || drop(logits(&many)));
        json!({ "one_us": one_us, "rows_per_s": BATCH as f64 / many_us * 1e6 })
    };
    round();
    serve(&json!({ "logits": found }), round);
}

/// The median time per call.
fn median_us(count: usize, mut call: impl FnMut()) -> f64 {
    let time = |_| {
        let begun = Instant::now();
        call();
        begun.elapsed().as_secs_f64() * 1e6
    };
    median(&(0..count).map(time).collect::<Vec<_>>())
}
