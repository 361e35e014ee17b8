//! Reading a table of a million rows of 64 numbers and a label, beside pandas.
//!
//! Run it with `cargo bench --bench csv`. Without CRESSET_PYTHON (an interpreter with pandas) pandas is left out. The rounds take
//! turns, and both read the same file from the page cache, with all cores that they use by themselves.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use cresset::data::DataOptions;
use cresset::data::format::csv;
use cresset::random::{Purpose, stream};
use rand::RngExt;

const ROWS: usize = 1_000_000;
const ROUNDS: usize = 5;

const PANDAS: &str = "
import sys, time
import pandas
start = time.perf_counter()
table = pandas.read_csv(sys.argv[1], header=None, dtype={column: 'float32' for column in range(64)})
print(time.perf_counter() - start)
assert table.shape == (1_000_000, 65)
";

fn main() {
    let folder = tempfile::tempdir().expect("a folder for the table");
    let path = folder.path().join("table.csv");
    write_table(&path).expect("the table is written");
    let size = path.metadata().expect("the table was written").len() as f64 / 1e6;
    let python = std::env::var_os("CRESSET_PYTHON");
    let (mut ours, mut pandas) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let table = csv::read(&path, &DataOptions::default()).expect("the table is read");
        ours.push(start.elapsed().as_secs_f64());
        assert_eq!((table.rows.len(), table.width()), (ROWS, 64));
        drop(table);
        if let Some(python) = &python {
            let output =
                Command::new(python).args(["-c", PANDAS]).arg(&path).output().expect("Python starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            pandas.push(String::from_utf8_lossy(&output.stdout).trim().parse().expect("seconds"));
        }
    }
    println!("{ROWS} rows of 65 columns, {size:.0} MB; median (least–greatest) of {ROUNDS} rounds");
    report("cresset", &mut ours);
    if pandas.is_empty() {
        println!("pandas: left out, CRESSET_PYTHON names no interpreter that has it");
        return;
    }
    let mut ratios: Vec<_> = ours.iter().zip(&pandas).map(|(ours, theirs)| ours / theirs).collect();
    report("pandas", &mut pandas);
    ratios.sort_by(f64::total_cmp);
    println!("ratio cresset / pandas, the median of the rounds' ratios: {:.2}", ratios[ROUNDS / 2]);
}

fn report(name: &str, seconds: &mut [f64]) {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    println!("{name:<8} {:.2} s ({:.2}–{:.2})", sorted[ROUNDS / 2], sorted[0], sorted[ROUNDS - 1]);
}

/// Numbers as measurements have them: six digits, positive and negative, some of them whole.
fn write_table(path: &Path) -> std::io::Result<()> {
    let mut generator = stream(0, Purpose::Split, 0);
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    for _ in 0..ROWS {
        for _ in 0..64 {
            let value: f32 = generator.random_range(-10f32..10.);
            write!(file, "{value:.4},")?;
        }
        writeln!(file, "{}", generator.random_range(0..10))?;
    }
    file.flush()
}
