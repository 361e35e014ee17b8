//! Runs and rows of the digits.

use std::path::{Path, PathBuf};

use crate::support::{root, succeed, text};

/// A run on the digits.
pub fn digits_run(folder: &Path, options: &[&str]) -> PathBuf {
    let run = folder.join("run");
    succeed(["train", "--device", "cpu", "--out", text(&run)].iter().chain(options));
    run
}

/// Rows of the digits as numbers.
pub fn digits(count: usize) -> Vec<Vec<f64>> {
    let digits = std::fs::read_to_string(root().join("data/digits.csv")).unwrap();
    let row = |line: &str| line.split(',').take(64).map(|cell| cell.parse().unwrap()).collect();
    digits.lines().take(count).map(row).collect()
}
