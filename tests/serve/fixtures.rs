//! Runs and rows of the digits.

use std::path::{Path, PathBuf};

use crate::support::{root, train_once};

/// A run on the digits.
pub fn digits_run(folder: &Path, options: &[&str]) -> PathBuf {
    let run = folder.join("run");
    train_once(&run, &[&["--device", "cpu"], options].concat());
    run
}

/// Rows of the digits as numbers.
pub fn digits(count: usize) -> Vec<Vec<f64>> {
    let digits = std::fs::read_to_string(root().join("data/digits.csv")).unwrap();
    let row = |line: &str| line.split(',').take(64).map(|cell| cell.parse().unwrap()).collect();
    digits.lines().take(count).map(row).collect()
}
