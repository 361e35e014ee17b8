//! Muon compared with AdamW at equal time, on the CNN of the digits: `cargo bench --bench optimizers`.
//!
//! Every run has the options of the recipe `cnn` on one thread. The number of epochs is what fits into the time budget, by the time
//! of an epoch in a warm-up run, so that the schedule ends with the budget. Each seed uses another fifth of the digits for
//! validation; the result is the validation accuracy after the last epoch.

mod support;

use std::path::Path;
use std::process::Command;

/// A name and the options.
const CONTESTANTS: [(&str, &[&str]); 3] = [
    ("AdamW, lr 0.005", &[]),
    ("Muon, lr 0.005", &["--optimizer", "muon"]),
    ("Muon, lr 0.01", &["--optimizer", "muon", "--lr", "0.01"]),
];

/// Seconds of training.
const BUDGETS: [f64; 4] = [1., 2.5, 5., 10.];

const SEEDS: u32 = 5;

/// Epochs of the warm-up run.
const WARM_UP: u32 = 4;

fn main() {
    support::enter_checkout();
    let folder = tempfile::tempdir().expect("a folder for the runs");
    let seconds: Vec<f64> = CONTESTANTS
        .iter()
        .enumerate()
        .map(|(index, (_, options))| {
            let out = folder.path().join(format!("warm-up-{index}"));
            train(options, WARM_UP, 0, &out);
            seconds_per_epoch(&out)
        })
        .collect();
    println!("| budget | optimizer | epochs | seconds | accuracy | seeds 0 to {} |", SEEDS - 1);
    println!("| --- | --- | --- | --- | --- | --- |");
    for budget in BUDGETS {
        for (index, (name, options)) in CONTESTANTS.iter().enumerate() {
            let epochs = ((budget / seconds[index]) as u32).max(1);
            let runs: Vec<(f64, f64)> = (0..SEEDS)
                .map(|seed| {
                    let out = folder.path().join(format!("{budget}-{index}-{seed}"));
                    train(options, epochs, seed, &out);
                    (100. * support::last_accuracy(&out), seconds_per_epoch(&out) * f64::from(epochs))
                })
                .collect();
            let mean = |of: fn(&(f64, f64)) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
            let each: Vec<_> = runs.iter().map(|(accuracy, _)| format!("{accuracy:.2}")).collect();
            let (accuracy, time) = (mean(|run| run.0), mean(|run| run.1));
            println!(
                "| {budget} s | {name} | {epochs} | {time:.1} | {accuracy:.2} % | {} |",
                each.join(", ")
            );
        }
    }
}

fn train(options: &[&str], epochs: u32, seed: u32, out: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
    command.args(["train", "--config", "recipes/cnn.toml", "--threads", "1"]);
    command.args(["--epochs", &epochs.to_string(), "--seed", &seed.to_string()]);
    let output = command.args(options).arg("--out").arg(out).output().expect("cresset can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The median time of an epoch.
fn seconds_per_epoch(run: &Path) -> f64 {
    let mut metrics = csv::Reader::from_path(run.join("metrics.csv")).expect("the run wrote its metrics");
    let column = metrics.headers().expect("a header").iter().position(|name| name == "seconds");
    let column = column.expect("the time is a column");
    let seconds: Vec<f64> =
        metrics.records().map(|row| row.expect("a row")[column].parse().expect("a number")).collect();
    support::median(&seconds)
}
