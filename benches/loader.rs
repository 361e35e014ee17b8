//! Pictures to batches: JPEGs of 500 × 375, RandomResizedCrop 224, flip and normalise on both cores, beside torchvision.
//!
//! Run it with `cargo bench --bench loader`. Without CRESSET_PYTHON (an interpreter with torchvision) the peer is left out.
//! Every program is a process of its own that reads the same files from the page cache; the rounds take turns. Memory is
//! the greatest of the process and its workers, as proportional set size.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cresset::config::Config;
use cresset::feed::Pass;
use cresset::pipeline::Prepared;
use cresset::random::{Purpose, stream};
use jpeg_encoder::{ColorType, Encoder};
use rand::RngExt;

const PICTURES: usize = 1500;
const BATCH: u32 = 64;
const EPOCHS: u32 = 2;
const ROUNDS: usize = 3;
/// The numbers of torchvision's workers that are tried; the best one counts.
const WORKERS: [&str; 4] = ["0", "1", "2", "3"];

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--feed") {
        return feed(&arguments[at + 1]);
    }
    let folder = tempfile::tempdir().expect("a folder for the pictures");
    let bytes = write_pictures(folder.path());
    println!(
        "{PICTURES} JPEGs of 500 × 375, {:.0} kB each; median of {ROUNDS} rounds",
        bytes as f64 / PICTURES as f64 / 1e3
    );
    let python = std::env::var_os("CRESSET_PYTHON");
    let mut figures: Vec<(String, Vec<Figures>)> = vec![("cresset".to_string(), Vec::new())];
    if python.is_some() {
        figures.extend(WORKERS.map(|workers| (format!("torchvision, {workers} workers"), Vec::new())));
    }
    for _ in 0..ROUNDS {
        let program = std::env::current_exe().expect("this program has a path");
        figures[0].1.push(run(Command::new(program).arg("--feed").arg(folder.path())));
        for (workers, (_, figures)) in WORKERS.iter().zip(&mut figures[1..]) {
            let python = python.as_ref().expect("there is an interpreter");
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/loader_torchvision.py");
            figures.push(run(Command::new(python)
                .arg(script)
                .arg(folder.path())
                .args([workers, &EPOCHS.to_string()[..]])));
        }
    }
    for (name, figures) in &figures {
        println!("{name:<24} {:>6.0} images/s  {:>6.0} MB", speed(figures), memory(figures));
    }
    let Some((name, best)) = figures[1..].iter().max_by(|a, b| speed(&a.1).total_cmp(&speed(&b.1))) else {
        println!("torchvision: left out, CRESSET_PYTHON names no interpreter that has it");
        return;
    };
    let ours = &figures[0].1;
    println!(
        "against {name}: {:.2} × the images/s, {:.2} × the memory",
        speed(ours) / speed(best),
        memory(ours) / memory(best)
    );
}

struct Figures {
    speed: f64,
    memory: f64,
}

fn speed(figures: &[Figures]) -> f64 {
    median(figures.iter().map(|figures| figures.speed))
}

fn memory(figures: &[Figures]) -> f64 {
    median(figures.iter().map(|figures| figures.memory))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn run(command: &mut Command) -> Figures {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = printed.split_whitespace().map(|number| number.parse().expect("a number"));
    Figures { speed: numbers.next().expect("images a second"), memory: numbers.next().expect("memory") }
}

/// Reads the pictures as a training run does, and prints images a second and the greatest memory in MB.
fn feed(folder: &str) {
    let config = Config {
        data: folder.to_string(),
        augment: "random-resized-crop,flip".to_string(),
        ..Config::default()
    };
    static ENDED: AtomicBool = AtomicBool::new(false);
    let watch = std::thread::spawn(|| {
        let mut peak = 0f64;
        while !ENDED.load(Ordering::Relaxed) {
            peak = peak.max(resident());
            std::thread::sleep(Duration::from_millis(50));
        }
        peak
    });
    let prepared = Prepared::new(&config).expect("the pictures are read");
    let pass = |epoch| Pass::new(epoch, BATCH, 0);
    let through = |epoch| {
        let rows =
            |batch: cresset::error::Result<cresset::feed::Batch>| batch.expect("a batch").labels.size()[0];
        prepared.train.epoch(pass(epoch)).map(rows).sum::<i64>()
    };
    through(0);
    let start = Instant::now();
    let count: i64 = (1..=EPOCHS).map(through).sum();
    let seconds = start.elapsed().as_secs_f64();
    ENDED.store(true, Ordering::Relaxed);
    println!("{} {}", count as f64 / seconds, watch.join().expect("the watch ends"));
}

fn resident() -> f64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).map_or(0., |kb| kb / 1024.)
}

/// Two classes of pictures with shapes of all sizes, as photographs have them, and some noise. Gives their bytes.
fn write_pictures(folder: &Path) -> u64 {
    let mut bytes = 0;
    for number in 0..PICTURES {
        let class = folder.join(["a", "b"][number % 2]);
        std::fs::create_dir_all(&class).expect("a folder for a class");
        let path = class.join(format!("{number:04}.jpg"));
        let encoder = Encoder::new_file(&path, 90).expect("a file");
        encoder.encode(&picture(number as u64), 500, 375, ColorType::Rgb).expect("a picture");
        bytes += path.metadata().expect("a picture was written").len();
    }
    bytes
}

fn picture(number: u64) -> Vec<u8> {
    let mut generator = stream(1, Purpose::Augment, number);
    let waves: Vec<[f32; 6]> = (0..18)
        .map(|wave| {
            let frequency = 0.5 * 1.35f32.powi(wave);
            let mut draw = |most: f32| generator.random_range(-most..=most);
            [draw(frequency), draw(frequency), draw(3.2), draw(1.), draw(1.), draw(1.)]
        })
        .collect();
    let mut pixels = Vec::with_capacity(500 * 375 * 3);
    for y in 0..375 {
        for x in 0..500 {
            let (u, v) = (x as f32 / 80., y as f32 / 80.);
            let mut color = [0f32; 3];
            for (index, [a, b, phase, red, green, blue]) in waves.iter().enumerate() {
                let value = (a * u + b * v + phase).sin() * 60. / (1. + index as f32 * 0.35);
                color = [color[0] + value * red, color[1] + value * green, color[2] + value * blue];
            }
            pixels.extend(color.map(|value| (128. + value + generator.random_range(-8f32..=8.)) as u8));
        }
    }
    pixels
}
