//! A click log with ids of 10 million different values, which are hashed: `make bench-ids`. The peak memory of training `deepfm` and `dcn`
//! on it, streamed from disk, and the time of a training step by the number of rows of the embedding, where the batches use the same ids.
//! ROWS is the number of rows of the log, IDS that of different ids, and BATCH the batch size.

mod support;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use cresset::data::column::FeatureGroup;
use cresset::loader::Batch;
use cresset::model::{Network, Task};
use cresset::prelude::*;
use cresset::train::{Learner, Plan};
use tch::{Device, Kind, Tensor};

const ROWS: usize = 12_000_000;
const IDS: usize = 10_000_000;
const BATCH: usize = 4096;
const MODELS: [&str; 2] = ["deepfm", "dcn"];

/// The rows of the embeddings whose steps are timed.
const TABLES: [usize; 3] = [100_000, 1_000_000, 10_000_000];

/// The ids of the timed steps, which all tables have.
const USED: usize = 50_000;
const STEPS: usize = 60;

fn main() {
    support::enter_checkout();
    let number = |name: &str, usual: usize| {
        std::env::var(name)
            .map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let (rows, ids, batch) = (number("ROWS", ROWS), number("IDS", IDS), number("BATCH", BATCH));
    println!("| model | rows of the embedding | milliseconds a step |\n| --- | --- | --- |");
    for model in MODELS {
        for table in TABLES {
            println!("| {model} | {table} | {:.2} |", milliseconds_a_step(model, table, batch));
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    write_log(folder.path(), rows, ids);
    println!("\n{rows} rows, {ids} ids\n\n| model | rows a second | peak memory, MB |\n| --- | --- | --- |");
    for model in MODELS {
        let (speed, peak) = train(folder.path(), model, batch);
        println!("| {model} | {speed:.0} | {peak:.0} |");
    }
}

/// The median time of a training step with four columns of numbers and one of ids, whose embedding has `rows` rows.
fn milliseconds_a_step(model: &str, rows: usize, batch: usize) -> f64 {
    let mut groups = vec![FeatureGroup::Number; 4];
    groups.push(FeatureGroup::Code { categories: rows });
    let task = Task { groups, ..Task::new(InputShape(vec![5]), 2) };
    let network = Network::new(model, "", &task, Device::Cpu, 0).expect("a known model");
    let mut learner = Learner::new(&Plan::new(1, batch as u32, 1e-3), &network).expect("a valid plan");
    learner.start_epoch(&network).expect("one process");
    tch::manual_seed(0);
    // The same ids everywhere, spread over the table.
    let spread = (rows / USED) as i64;
    let mut times: Vec<f64> = (0..STEPS)
        .map(|_| {
            let numbers = Tensor::randn([batch as i64, 4], (Kind::Float, Device::Cpu));
            let ids = Tensor::randint(USED as i64, [batch as i64, 1], (Kind::Int64, Device::Cpu)) * spread;
            let labels = Tensor::randint(2, [batch as i64], (Kind::Int64, Device::Cpu));
            let inputs = Tensor::cat(&[numbers, ids.to_kind(Kind::Float)], 1);
            let begun = Instant::now();
            learner.step(&network, &Batch::new(inputs, labels), 1e-3).expect("a step");
            begun.elapsed().as_secs_f64() * 1000.
        })
        .collect();
    support::median(&times.split_off(STEPS / 6))
}

/// A log with ids, three columns of categories and two of numbers, and a schema that hashes the ids. Each id has its own rate of clicks.
fn write_log(folder: &Path, rows: usize, ids: usize) {
    let file = std::fs::File::create(folder.join("clicks.csv")).expect("the folder can be written to");
    let mut log = BufWriter::new(file);
    writeln!(log, "user,place,device,hour,age,price,clicked").expect("there is space");
    for row in 0..rows as u64 {
        let random = (row ^ 0x5555)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(31)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        // All ids occur, in another order each time.
        let user = (row * 7_919) % ids as u64;
        let [place, device, hour, age, price] =
            [1000, 12, 24, 80, 5000].map(|count| (random >> 20) * (count + 7) / 13 % count);
        let rate = user.wrapping_mul(0x94d0_49bb_1331_11eb) >> 62;
        let clicked = u8::from((random >> 3) % 8 < 2 * rate + u64::from(hour > 18));
        writeln!(log, "u{user},p{place},d{device},{hour},{age},{price}.5,{clicked}").expect("there is space");
    }
    let schema = "[[column]]\nname = \"user\"\ntype = \"category\"\nhash = 10000000\n";
    std::fs::write(folder.join("schema.toml"), schema).expect("the folder can be written to");
}

/// The training rows a second, and the peak memory in MB, of an epoch.
fn train(folder: &Path, model: &str, batch: usize) -> (f64, f64) {
    let run = folder.join(model);
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
    command.arg("train").arg("--data").arg(folder.join("clicks.csv"));
    command.arg("--schema").arg(folder.join("schema.toml")).arg("--out").arg(&run);
    command.args(["--label", "clicked", "--stream", "always", "--recipe", "none", "--epochs", "1"]);
    command.args(["--validation", "0.02", "--device", "cpu", "--model", model]);
    command.arg("--batch-size").arg(batch.to_string()).env("XDG_CACHE_HOME", folder.join("cache"));
    let (_, _, peak) = support::watched(&mut command);
    let mut metrics = csv::Reader::from_path(run.join("metrics.csv")).expect("the run wrote its metrics");
    let last = metrics.records().last().expect("an epoch was completed").expect("a row");
    let seconds: f64 = last[last.len() - 1].parse().expect("the seconds come last");
    let metadata = cresset::predict::metadata(&run.join("model.pt")).expect("the run exported its model");
    (metadata.metrics.train_rows as f64 / seconds, peak)
}
