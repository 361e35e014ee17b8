//! An exported model at work, beside Python's torch.jit on the same file: `make bench`.
//!
//! Calls of one row and of 64 are timed in this process and in Python, on one thread each, in rounds that take turns; both
//! must give the same logits. Then whole programs, from start to end: `cresset predict` on a folder of pictures and on a
//! table, and a plain script that does the same with Pillow and torch.jit.

mod support;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use cresset::predict::Classifier;
use image::{GrayImage, Luma};
use support::{median, ratio, seconds, spread};
use tch::{Device, Tensor};

const ROUNDS: usize = 7;
const PROGRAM_ROUNDS: usize = 3;
const PICTURES: usize = 2_000;
const ROWS: usize = 100_000;
const BATCH: usize = 64;

const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/inference_torch.py");

fn main() {
    tch::set_num_threads(1);
    let folder = tempfile::tempdir().expect("a folder");
    let rows = digits();
    let table = folder.path().join("rows.csv");
    std::fs::write(&table, rows[..BATCH].join("\n")).expect("a table");
    let mlp = trained(folder.path(), "mlp", &[]);
    let cnn = trained(folder.path(), "cnn", &["--config", "recipes/cnn.toml", "--epochs", "3"]);
    println!(
        "median (least–greatest) of {ROUNDS} rounds; ratio = cresset / Python, the median of the rounds' ratios\n"
    );
    println!("| | one row, µs | Python | ratio | {BATCH} rows, rows/s | Python | ratio |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (name, model) in [("mlp", &mlp), ("cnn", &cnn)] {
        calls(name, model, &table, &rows[..BATCH]);
    }
    println!("\n| inputs/s of whole programs | cresset | cresset --threads 1 | Python | ratio | ratio |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let pictures = folder.path().join("pictures");
    write_pictures(&pictures, &rows);
    programs("folder", PICTURES, &mlp, &pictures);
    let many: Vec<_> = rows.iter().map(String::as_str).cycle().take(ROWS).collect();
    std::fs::write(&table, many.join("\n")).expect("a table");
    programs("table", ROWS, &mlp, &table);
}

/// The rows of the digits without their labels.
fn digits() -> Vec<String> {
    let text = std::fs::read_to_string("data/digits.csv").expect("`make data` fetches the digits");
    text.lines().map(|line| line.rsplit_once(',').expect("a label stands last").0.to_string()).collect()
}

fn trained(folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let run = folder.join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
    seconds(command.arg("train").args(options).arg("--out").arg(&run));
    run.join("model.pt")
}

/// Times calls of a model.
fn calls(name: &str, model: &Path, table: &Path, rows: &[String]) {
    let classifier = Classifier::load(model, Device::Cpu).expect("the model loads");
    classifier.optimize();
    let values: Vec<f32> =
        rows.iter().flat_map(|row| row.split(',')).map(|cell| cell.parse().expect("a number")).collect();
    let many = Tensor::from_slice(&values).view([rows.len() as i64, -1]);
    let one = many.narrow(0, 0, 1).copy();
    let logits = |inputs: &Tensor| classifier.logits(inputs).expect("the model computes");
    let ours = Vec::<f32>::try_from(Tensor::cat(&[logits(&one), logits(&many)], 0).view(-1)).expect("floats");
    let (mut one_us, mut many_us) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..ROUNDS {
        one_us[0].push(median_us(5000, || drop(logits(&one))));
        many_us[0].push(median_us(1000, || drop(logits(&many))));
        let (_, printed) = seconds(python().arg("calls").arg(model).arg(table));
        let found: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
        let number = |value: &serde_json::Value| value.as_f64().expect("a number");
        one_us[1].push(number(&found["one_us"]));
        many_us[1].push(number(&found["many_us"]));
        let theirs = found["logits"].as_array().expect("logits").iter().map(number);
        let difference = ours.iter().zip(theirs).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0., f64::max);
        assert!(difference <= 1e-5, "{name}: the logits differ by {difference}");
    }
    let speed = |us: &Vec<f64>| us.iter().map(|us| BATCH as f64 / us * 1e6).collect::<Vec<_>>();
    let speeds = [speed(&many_us[0]), speed(&many_us[1])];
    println!(
        "| {name} | {} | {} | {:.2} | {} | {} | {:.2} |",
        spread(&one_us[0], 1),
        spread(&one_us[1], 1),
        ratio(&one_us[0], &one_us[1]),
        spread(&speeds[0], 0),
        spread(&speeds[1], 0),
        ratio(&speeds[0], &speeds[1]),
    );
}

/// The median time of a call, after so many that libtorch and the processor are warm.
fn median_us(count: usize, mut call: impl FnMut()) -> f64 {
    (0..300).for_each(|_| call());
    let time = |_| {
        let begun = Instant::now();
        call();
        begun.elapsed().as_secs_f64() * 1e6
    };
    median(&(0..count).map(time).collect::<Vec<_>>())
}

/// Digits as PNG files of 32 × 32 pixels.
fn write_pictures(folder: &Path, rows: &[String]) {
    std::fs::create_dir_all(folder).expect("a folder");
    for (number, row) in rows.iter().cycle().take(PICTURES).enumerate() {
        let cells: Vec<u32> = row.split(',').map(|cell| cell.parse().expect("a number")).collect();
        let shade = |x: u32, y: u32| Luma([(cells[(y / 4 * 8 + x / 4) as usize] * 255 / 16) as u8]);
        let picture = GrayImage::from_fn(32, 32, shade);
        picture.save(folder.join(format!("{number:05}.png"))).expect("a picture");
    }
}

/// Times whole programs on so many inputs.
fn programs(job: &str, inputs: usize, model: &Path, source: &Path) {
    let mut speeds = [Vec::new(), Vec::new(), Vec::new()];
    let out = source.with_extension("out");
    for _ in 0..PROGRAM_ROUNDS {
        for (options, speeds) in
            [&["--device", "cpu"][..], &["--threads", "1", "--device", "cpu"]].iter().zip(&mut speeds)
        {
            let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
            let (seconds, printed) = seconds(command.arg("predict").arg(model).arg(source).args(*options));
            std::fs::write(&out, printed).expect("a file");
            speeds.push(inputs as f64 / seconds);
        }
        let ours = classes(&out);
        let (seconds, _) = seconds(python().arg(job).arg(model).arg(source).arg(&out));
        speeds[2].push(inputs as f64 / seconds);
        let theirs = classes(&out);
        let same = ours.iter().zip(&theirs).filter(|(a, b)| a == b).count();
        assert!(ours.len() == inputs && theirs.len() == inputs, "{job}: a row an input");
        // Pillow and fast_image_resize may round a pixel differently.
        assert!(same * 1000 >= inputs * 995, "{job}: {same} of {inputs} classes are the same");
    }
    let mut line = format!("| {job}, {inputs} inputs |");
    speeds.iter().for_each(|speeds| write!(line, " {} |", spread(speeds, 0)).expect("a string takes all"));
    println!("{line} {:.2} | {:.2} |", ratio(&speeds[0], &speeds[2]), ratio(&speeds[1], &speeds[2]));
}

fn classes(out: &Path) -> Vec<String> {
    let records = csv::Reader::from_path(out).expect("an output").into_records();
    records.map(|record| record.expect("a row")[1].to_string()).collect()
}

fn python() -> Command {
    let python = std::env::var("CRESSET_PYTHON").expect("`make bench` sets CRESSET_PYTHON");
    let mut command = Command::new(python);
    command.arg(PEER);
    command
}
