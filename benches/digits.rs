//! The digits job beside the same job in PyTorch and Keras: `make bench`.
//!
//! All run in turn, several rounds, on one thread each, on the same rows, and each exports its model. A training step is
//! measured after an epoch of warm-up; a whole process from its start to its end. Quote the ratios: the times depend on
//! the machine and on what else it does.

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use cresset::config::Config;
use cresset::device::Threads;
use cresset::distributed::World;
use cresset::error::Result;
use cresset::model::Network;
use cresset::pipeline;
use cresset::train::{Callback, Flow, Training};
use support::{ratio, seconds, spread};

const ROUNDS: usize = 7;

/// A contestant: its name, the environment variable with its Python, and its script with arguments.
const PEERS: [(&str, &str, &[&str]); 3] = [
    ("PyTorch, fused Adam", "CRESSET_PYTHON", &["benches/peers/digits_torch.py", "--mode", "fused"]),
    ("PyTorch, DataLoader", "CRESSET_PYTHON", &["benches/peers/digits_torch.py", "--mode", "loader"]),
    ("Keras on TensorFlow", "CRESSET_PYTHON_KERAS", &["benches/peers/digits_keras.py"]),
];

/// The figures of one contestant, a value a round.
#[derive(Default)]
struct Figures {
    step_us: Vec<f64>,
    process_s: Vec<f64>,
    accuracy: Vec<f64>,
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder for the runs");
    let mut ours = Figures::default();
    let mut theirs: Vec<Figures> = PEERS.iter().map(|_| Figures::default()).collect();
    for round in 0..ROUNDS {
        eprintln!("round {} of {ROUNDS}", round + 1);
        let run = folder.path().join(format!("process-{round}"));
        measure_cresset(&mut ours, &run, &folder.path().join(format!("steps-{round}")), round as u64);
        for ((_, python, script), figures) in PEERS.iter().zip(&mut theirs) {
            measure_peer(figures, python, script, &run, round);
        }
    }
    report(&ours, &theirs);
}

fn measure_cresset(figures: &mut Figures, run: &Path, steps: &Path, seed: u64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
    command.args(["train", "--threads", "1", "--seed", &seed.to_string(), "--out"]).arg(run);
    figures.process_s.push(seconds(&mut command).0);
    figures.accuracy.push(support::last_accuracy(run));

    let config = Config { epochs: 11, seed, threads: Threads::Count(1), ..Config::default() };
    let run = pipeline::start(&config, Some(steps), &World::alone()).expect("the run starts");
    let mut clock = StepClock::default();
    pipeline::finish(run, &mut clock, &|| false).expect("the run ends");
    figures.step_us.push(clock.seconds / clock.steps as f64 * 1e6);
}

/// The time of the steps alone: without evaluation, checkpoints, and the first epoch.
#[derive(Default)]
struct StepClock {
    begun: Option<Instant>,
    seconds: f64,
    steps: usize,
}

impl Callback for StepClock {
    fn epoch_started(&mut self, training: &Training) -> Result<()> {
        self.begun = (training.position().epoch > 1).then(Instant::now);
        Ok(())
    }

    fn step_ended(&mut self, training: &Training, _: &Network) -> Result<Flow> {
        let step = training.position().step;
        if let (Some(begun), true) = (self.begun, step == training.steps()) {
            self.seconds += begun.elapsed().as_secs_f64();
            self.steps += step;
        }
        Ok(Flow::Continue)
    }
}

fn measure_peer(figures: &mut Figures, python: &str, script: &[&str], run: &Path, round: usize) {
    let python = std::env::var(python).unwrap_or_else(|_| panic!("`make bench` sets {python}"));
    let command = || {
        let mut command = Command::new(&python);
        command
            .args(script)
            .args(["--threads", "1", "--seed", &round.to_string(), "--split"])
            .arg(run.join("split.csv"));
        command
    };
    let export = run.join(if script[0].contains("keras") { "peer.keras" } else { "peer.pt" });
    let (process_s, printed) = seconds(command().arg("--export").arg(export));
    figures.process_s.push(process_s);
    figures.accuracy.push(field(&printed, "accuracy"));
    let (_, printed) = seconds(command().args(["--warm-up-epochs", "1"]));
    figures.step_us.push(field(&printed, "us_per_step"));
}

fn field(json: &str, name: &str) -> f64 {
    let value: serde_json::Value =
        serde_json::from_str(json.trim()).unwrap_or_else(|e| panic!("{json}: {e}"));
    value[name].as_f64().unwrap_or_else(|| panic!("{json} has no {name}"))
}

fn report(ours: &Figures, theirs: &[Figures]) {
    println!(
        "median (least–greatest) of {ROUNDS} rounds; ratio = cresset / the other, the median of the rounds' ratios\n"
    );
    println!("| | training step, µs | ratio | whole process, s | ratio | accuracy, mean |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let row = |name: &str, figures: &Figures| {
        let ratio = |a: &[f64], b: &[f64]| {
            if std::ptr::eq(a, b) { String::new() } else { format!("{:.2}", ratio(a, b)) }
        };
        let mean = figures.accuracy.iter().sum::<f64>() / figures.accuracy.len() as f64;
        println!(
            "| {name} | {} | {} | {} | {} | {:.2} % |",
            spread(&figures.step_us, 0),
            ratio(&ours.step_us, &figures.step_us),
            spread(&figures.process_s, 2),
            ratio(&ours.process_s, &figures.process_s),
            100. * mean,
        );
    };
    row("cresset", ours);
    PEERS.iter().zip(theirs).for_each(|((name, ..), figures)| row(name, figures));
}
