//! A click log in the shape of Criteo's (13 numbers, 26 categories) that is streamed from Parquet, compared with PyTorch's DataLoader
//! on batches of pyarrow: `make bench-scale`. Rows a second of the first pass, of reading alone, and of training in one and in two
//! processes; and the peak memory. ROWS is the number of generated rows, BATCH the batch size, and LOG a log that was generated before.
//!
//! Both sides compute with two threads and read in another one. Needs CRESSET_PYTHON, an interpreter with torch, and
//! CRESSET_PYTHON_ARROW, one with pyarrow.

mod support;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use cresset::data::column::ColumnKind;
use cresset::loader::Pass;
use cresset::options::{Config, Setting};
use cresset::predict;
use cresset::run::Prepared;
use serde_json::{Value, json};

const PEER: &str = "benches/peers/stream_tables.py";
const ROWS: usize = 2_000_000;
const BATCH: usize = 4096;
const THREADS: &str = "2";

/// The log that this program reads alone when it starts itself.
const READ: &str = "CRESSET_BENCH_READ";

fn main() {
    support::enter_checkout();
    let number = |name: &str, usual: usize| {
        std::env::var(name)
            .map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let (rows, batch) = (number("ROWS", ROWS), number("BATCH", BATCH));
    let folder = tempfile::tempdir().expect("a folder");
    if let Some(log) = std::env::var_os(READ) {
        return read_alone(&Bench { log: log.into(), folder: PathBuf::new(), batch });
    }
    let log = std::env::var_os("LOG").map_or_else(|| folder.path().join("clicks.parquet"), PathBuf::from);
    if !log.exists() {
        support::seconds(peer().arg("write").arg(rows.to_string()).arg(&log));
    }
    let bench = Bench { log, folder: folder.path().to_path_buf(), batch };

    let (first, peak_first) = bench.train("first");
    let (second, peak) = bench.train("second");
    let trained = bench.rows_per_second("second");
    let (rows, read, parameters) = bench.read_alone();
    let theirs = bench.peer();
    let (together, peak_each) = bench.two_processes();
    assert_eq!(parameters, theirs.parameters, "both sides train the same network");
    println!(
        "{rows} rows, {} bytes each in Parquet\n",
        bench.log.metadata().expect("the log").len() / rows as u64
    );
    println!("| | Cresset | PyTorch DataLoader | ratio |\n| --- | --- | --- | --- |");
    let row = |name: &str, ours: f64, theirs: f64| {
        println!("| {name} | {ours:.0} | {theirs:.0} | {:.1} |", ours / theirs);
    };
    row("rows a second, reading alone", read, theirs.read);
    row("rows a second, training", trained, theirs.trained);
    println!("| rows a second, training in two processes | {together:.0} | | |");
    println!("| rows a second of the first pass | {:.0} | | |", rows as f64 / (first - second).max(1e-3));
    println!("| peak memory, MB: first run | {peak_first:.0} | {:.0} | |", theirs.peak);
    println!("| peak memory, MB: further runs, and each of two processes | {peak:.0}, {peak_each:.0} | | |");
}

/// The peer, with pyarrow.
fn peer() -> Command {
    let python =
        |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("`make bench-scale` sets {name}"));
    let arrow = support::python_packages(Path::new(&python("CRESSET_PYTHON_ARROW")));
    let mut command = Command::new(python("CRESSET_PYTHON"));
    command.arg(PEER).env("PYTHONPATH", arrow);
    command
}

/// What the peer printed, and its peak memory in MB without that of its reading process.
struct Theirs {
    read: f64,
    trained: f64,
    parameters: usize,
    peak: f64,
}

struct Bench {
    log: PathBuf,
    folder: PathBuf,
    batch: usize,
}

impl Bench {
    fn options(&self) -> Vec<(&'static str, String)> {
        let text = |text: &str| text.to_string();
        vec![
            ("data", self.log.display().to_string()),
            ("label", text("clicked")),
            ("stream", text("always")),
            ("recipe", text("none")),
            ("model", text("mlp")),
            ("epochs", text("1")),
            ("validation", text("0.02")),
            ("mask_categories", text("0")),
            ("batch_size", self.batch.to_string()),
            ("device", text("cpu")),
            ("threads", text(THREADS)),
        ]
    }

    fn run(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn command(&self, name: &str, options: &[(&'static str, String)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
        command
            .arg("train")
            .arg("--out")
            .arg(self.run(name))
            .env("XDG_CACHE_HOME", self.folder.join("cache"));
        for (option, value) in options {
            command.arg(format!("--{}", option.replace('_', "-"))).arg(value);
        }
        command
    }

    /// Trains: the seconds, and the peak memory in MB.
    fn train(&self, name: &str) -> (f64, f64) {
        let (seconds, _, peak) = support::watched(&mut self.command(name, &self.options()));
        (seconds, peak)
    }

    /// The training rows a second of a run's epoch.
    fn rows_per_second(&self, name: &str) -> f64 {
        let run = self.run(name);
        let mut metrics = csv::Reader::from_path(run.join("metrics.csv")).expect("the run wrote its metrics");
        let last = metrics.records().last().expect("an epoch was completed").expect("a row");
        let seconds: f64 = last[last.len() - 1].parse().expect("the seconds come last");
        let metadata = predict::metadata(&run.join("model.pt")).expect("the run exported its model");
        metadata.metrics.train_rows as f64 / seconds
    }

    /// What [`read_alone`] prints in a process with the cache of the runs.
    fn read_alone(&self) -> (usize, f64, usize) {
        let own = std::env::current_exe().expect("the path of this program is known");
        let mut command = Command::new(own);
        command.env(READ, &self.log).env("BATCH", self.batch.to_string());
        let (_, printed) = support::seconds(command.env("XDG_CACHE_HOME", self.folder.join("cache")));
        let values: Vec<f64> =
            printed.split_whitespace().map(|value| value.parse().expect("a number")).collect();
        (values[0] as usize, values[1], values[2] as usize)
    }

    fn peer(&self) -> Theirs {
        let columns = self.folder.join("columns.json");
        std::fs::write(&columns, self.columns().to_string()).expect("the folder can be written to");
        let (_, printed, peak) = support::watched(peer().arg("train").arg(&columns).arg(&self.log));
        let value = |name: &str| -> f64 {
            let line = printed.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.expect("the peer printed it").parse().expect("a number")
        };
        Theirs {
            read: value("read"),
            trained: value("train"),
            parameters: value("parameters") as usize,
            peak,
        }
    }

    /// The columns of the model for the peer.
    fn columns(&self) -> Value {
        let metadata =
            predict::metadata(&self.run("second").join("model.pt")).expect("the run exported its model");
        let (table, preprocessing) = (metadata.input.table.expect("a table"), metadata.preprocessing);
        let mut first = 0;
        let columns: Vec<Value> = table
            .columns
            .iter()
            .map(|column| {
                let own = first;
                first += column.features();
                match &column.kind {
                    ColumnKind::Category { categories, .. } => {
                        json!({ "name": column.name, "kind": "category", "categories": categories })
                    }
                    ColumnKind::Code { categories, .. } => {
                        json!({ "name": column.name, "kind": "code", "categories": categories })
                    }
                    _ => json!({
                        "name": column.name, "kind": "number", "offset": preprocessing.offset[own],
                        "scale": preprocessing.scale[own], "is_marked": preprocessing.missing.contains(&own),
                    }),
                }
            })
            .collect();
        json!({ "batch_size": self.batch, "columns": columns })
    }

    /// Trains in two processes of one thread each: the rows a second, and the peak memory of the first one in MB.
    fn two_processes(&self) -> (f64, f64) {
        let mut options = self.options();
        for (name, value) in &mut options {
            match *name {
                "batch_size" => *value = (self.batch / 2).to_string(),
                "threads" => *value = "1".to_string(),
                _ => {}
            }
        }
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let of_rank = |rank: &str| {
            let mut command = self.command("two", &options);
            for (name, value) in [
                ("RANK", rank),
                ("LOCAL_RANK", rank),
                ("WORLD_SIZE", "2"),
                ("LOCAL_WORLD_SIZE", "2"),
                ("MASTER_ADDR", "127.0.0.1"),
                ("MASTER_PORT", &port.to_string()),
            ] {
                command.env(name, value);
            }
            command
        };
        let mut other =
            of_rank("1").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("cresset starts");
        let (_, _, peak) = support::watched(&mut of_rank("0"));
        assert!(other.wait().expect("it ends").success(), "the second process failed");
        (self.rows_per_second("two"), peak)
    }
}

/// Prints the number of rows, the training rows that are read a second without training, and the parameters of the network.
fn read_alone(bench: &Bench) {
    let settings = bench.options().into_iter().map(|(name, value)| Setting { name, value });
    let config = Config::of(&settings.collect::<Vec<_>>()).expect("valid options");
    let prepared = Prepared::new(&config).expect("the rows are in the cache");
    let begun = Instant::now();
    let batches = prepared.train.epoch(Pass::new(1, bench.batch as u32, 0));
    let read: i64 = batches.map(|batch| batch.expect("a batch").inputs.size()[0]).sum();
    let speed = read as f64 / begun.elapsed().as_secs_f64();
    println!("{} {speed} {}", prepared.dataset.rows(), prepared.network.parameter_count());
}
