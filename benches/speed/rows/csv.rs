//! A table of a million rows of 64 numbers and a label, compared with pandas. Both read the same file from the page cache.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use cresset::data::DataOptions;
use cresset::data::format::csv;
use cresset::data::random::{Purpose, stream};
use rand::RngExt;
use serde_json::json;

use crate::contest::{Contestant, Scale, compete, own, python, serve};
use crate::table::{Row, Verdict};

const CORES: usize = 2;
const COLUMNS: usize = 64;

/// Measures the group; a quick run uses a tenth of the rows.
pub fn measure(scale: Scale) -> Vec<Verdict> {
    let rows = if scale == Scale::Full { 1_000_000 } else { 100_000 };
    let folder = tempfile::tempdir().expect("a folder for the table");
    let path = folder.path().join("table.csv");
    write_table(&path, rows).expect("the table is written");
    let mut ours = own("csv", CORES);
    ours.arg(&path);
    let mut pandas = python("CRESSET_PYTHON", "csv_pandas.py", CORES);
    pandas.arg(&path);
    let contestants = vec![Contestant::waiting("cresset", ours), Contestant::waiting("pandas", pandas)];
    let results = compete(contestants, scale.rounds());
    for side in &results {
        assert!(
            side.of("rows").iter().all(|count| *count == rows as f64),
            "{}: not all rows were read",
            side.name
        );
    }
    let (own, peer) = (results[0].of("sum")[0], results[1].of("sum")[0]);
    assert!((own - peer).abs() <= 1e-6 * rows as f64, "the sums of all values differ: {own} and {peer}");
    let row = Row {
        name: "CSV of 65 columns: load",
        figure: "seconds",
        unit: "s",
        goal: 0.3,
        more_is_better: false,
        check: format!("{rows} rows; the sums of all values agree"),
    };
    vec![Verdict::new(row, &results[0], &results[1..])]
}

/// Our side.
pub fn work(arguments: &[String]) {
    let [path] = arguments else { panic!("a table") };
    let round = || {
        let begun = Instant::now();
        let table = csv::read(Path::new(path), &DataOptions::default()).expect("the table is readable");
        let seconds = begun.elapsed().as_secs_f64();
        assert_eq!(table.width(), COLUMNS);
        let sum: f64 = table.values.iter().map(|value| f64::from(*value)).sum();
        json!({ "seconds": seconds, "rows": table.rows.len(), "sum": sum })
    };
    let ready = round();
    serve(&ready, round);
}

/// Numbers like measurements: six digits, positive and negative, some of them integers.
fn write_table(path: &Path, rows: usize) -> std::io::Result<()> {
    let mut generator = stream(0, Purpose::Split, 0);
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    for _ in 0..rows {
        for _ in 0..COLUMNS {
            let value: f32 = generator.random_range(-10f32..10.);
            write!(file, "{value:.4},")?;
        }
        writeln!(file, "{}", generator.random_range(0..10))?;
    }
    file.flush()
}
