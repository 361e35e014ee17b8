//! The automatic recipe on 6,046 mails, compared with fastText, and with TF-IDF and linear classifiers of scikit-learn:
//! `make bench-text`. Writes the table of docs/text.md.
//!
//! Three shuffles; four fifths of the mails are for training, of which the recipe itself holds out a fifth for validation. Times are
//! those of whole processes, on one thread.

mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const PEER: &str = "benches/peers/text.py";
const PAGE: &str = "docs/text.md";

/// The peers by their name in the script and in the table.
const PEERS: [(&str, &str); 6] = [
    ("fasttext-5-0.1", "fastText of words and pairs, 5 epochs, learning rate 0.1 (its defaults)"),
    ("fasttext-25-0.5", "fastText of words and pairs, 25 epochs, learning rate 0.5"),
    ("svm", "TF-IDF of words, linear SVM"),
    ("svm-pairs", "TF-IDF of words and pairs, linear SVM"),
    ("logistic", "TF-IDF of words, logistic regression"),
    ("logistic-pairs", "TF-IDF of words and pairs, logistic regression"),
];

fn main() {
    support::enter_checkout();
    let python = std::env::var("CRESSET_PYTHON").expect("`make bench-text` sets CRESSET_PYTHON");
    let folder = tempfile::tempdir().expect("a folder");
    support::seconds(Command::new(&python).arg(PEER).arg("write").arg(folder.path()));
    let ours: Vec<(f64, f64)> =
        (0..3).map(|seed| train(&folder.path().join(seed.to_string()), seed)).collect();
    let mut text = "| program | test accuracy, % | seconds |\n| --- | --- | --- |\n".to_string();
    add(&mut text, "Cresset, automatic recipe (`bow`)", &ours);
    for (name, shown) in PEERS {
        let mut command = Command::new(&python);
        command.env("OMP_NUM_THREADS", "1").arg(PEER).args(["train", name]).arg(folder.path());
        let (_, printed) = support::seconds(&mut command);
        let row = |line: &str| {
            let numbers: Vec<f64> =
                line.split(' ').skip(1).map(|number| number.parse().expect("a number")).collect();
            (numbers[0], numbers[1])
        };
        add(&mut text, shown, &printed.lines().map(row).collect::<Vec<_>>());
    }
    println!("{text}");
    support::write_between_marks(PAGE, "bench-text", &text);
}

/// A row of the table: mean accuracy, each of the three, and the median of the seconds.
fn add(text: &mut String, name: &str, results: &[(f64, f64)]) {
    let mean = results.iter().map(|(accuracy, _)| 100. * accuracy).sum::<f64>() / results.len() as f64;
    let each: Vec<_> = results.iter().map(|(accuracy, _)| format!("{:.2}", 100. * accuracy)).collect();
    let seconds: Vec<f64> = results.iter().map(|(_, seconds)| *seconds).collect();
    writeln!(text, "| {name} | {mean:.2} ({}) | {:.1} |", each.join(", "), support::median(&seconds))
        .expect("a string can be written");
}

/// Test accuracy, from 0 to 1, and seconds of the training.
fn train(split: &Path, seed: u32) -> (f64, f64) {
    let out = split.join("run");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
    command.args(["train", "--text", "body", "--label", "kind", "--device", "cpu", "--threads", "1"]);
    command
        .args(["--seed", &seed.to_string()])
        .arg("--data")
        .arg(split.join("train.csv"))
        .arg("--out")
        .arg(&out);
    let (seconds, _) = support::seconds(&mut command);
    (support::test_accuracy(&out, &split.join("test.csv")), seconds)
}
