//! How many deliberately flipped labels of the digits appear at the top of the ranking of `--find-label-errors`.
//!
//! Run it with `cargo bench --bench label_errors`. Every run trains six models; ten runs take half a minute.

mod support;

use std::path::Path;
use std::process::Command;

use cresset::data::random::{Purpose, stream};
use rand::RngExt;
use rand::seq::SliceRandom;

/// The fraction of labels that is changed to a random other class.
const FLIPPED: f64 = 0.05;

/// The fraction of the ranking that is inspected.
const INSPECTED: f64 = 0.07;

fn main() {
    support::enter_checkout();
    let digits = std::fs::read_to_string("data/digits.csv").expect("`make data` fetches the digits");
    let rows: Vec<_> = digits.lines().map(|line| line.rsplit_once(',').expect("a row has a label")).collect();
    println!("seed  labels flipped  found in the top {:.0} % of the ranking", 100. * INSPECTED);
    let mut shares = Vec::new();
    for seed in 0..10 {
        let flipped = flip(rows.len(), seed);
        let folder = tempfile::tempdir().expect("a folder for the run");
        let data = folder.path().join("digits.csv");
        std::fs::write(&data, table(&rows, &flipped)).expect("the table is written");
        let ranking = ranking(&data, &folder.path().join("run"), seed);
        let first = &ranking[..(INSPECTED * rows.len() as f64) as usize];
        let found = flipped.iter().filter(|(row, _)| first.contains(row)).count();
        let share = found as f64 / flipped.len() as f64;
        println!("{seed:>4}  {:>14}  {found} ({:.1} %)", flipped.len(), 100. * share);
        shares.push(share);
    }
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let least = shares.iter().copied().fold(1., f64::min);
    println!("\nmean {:.1} %, min {:.1} % (goal: at least 80 %)", 100. * mean, 100. * least);
}

/// The rows to flip, each with the offset of its new class (1 to 9).
fn flip(rows: usize, seed: u64) -> Vec<(usize, u32)> {
    let mut generator = stream(seed, Purpose::Split, 1);
    let mut order: Vec<_> = (0..rows).collect();
    order.shuffle(&mut generator);
    order.truncate((FLIPPED * rows as f64).round() as usize);
    order.into_iter().map(|row| (row, generator.random_range(1..10))).collect()
}

fn table(rows: &[(&str, &str)], flipped: &[(usize, u32)]) -> String {
    let label = |row: usize, label: &str| {
        let moved = flipped.iter().find(|(flipped, _)| *flipped == row).map_or(0, |(_, by)| *by);
        (label.parse::<u32>().expect("a label is a digit") + moved) % 10
    };
    let lines = rows.iter().enumerate().map(|(row, (values, own))| format!("{values},{}\n", label(row, own)));
    lines.collect()
}

/// The rows, most suspicious label first.
fn ranking(data: &Path, run: &Path, seed: u64) -> Vec<usize> {
    let status = Command::new(env!("CARGO_BIN_EXE_cresset"))
        .args([
            "train",
            "--recipe",
            "none",
            "--find-label-errors",
            "--device",
            "cpu",
            "--seed",
            &seed.to_string(),
        ])
        .arg("--data")
        .arg(data)
        .arg("--out")
        .arg(run)
        .output()
        .expect("cresset can be started")
        .status;
    assert!(status.success(), "cresset failed");
    let reader = csv::Reader::from_path(run.join("label_errors.csv")).expect("there is a ranking");
    let row = |record: csv::Result<csv::StringRecord>| record.expect("a row")[0].parse().expect("a number");
    reader.into_records().map(row).collect()
}
