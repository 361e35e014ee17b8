//! The default job of `make train` in Cresset, PyTorch, Lightning, Keras and burn: same rows, validation set and ten epochs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use cresset::distributed::World;
use cresset::error::Result;
use cresset::model::Network;
use cresset::options::Config;
use cresset::options::device::Threads;
use cresset::run;
use cresset::train::{Callback, Flow, Training};
use serde_json::json;

use crate::contest::{Contestant, Figures, Results, Scale, compete, own, pinned, python};
use crate::support;
use crate::table::{Row, Verdict};

/// A peer: its name, its command, and whether it is part of a quick run.
struct Peer {
    name: &'static str,
    start: fn() -> Command,
    is_quick: bool,
}

const PEERS: [Peer; 9] = [
    Peer { name: "PyTorch, DataLoader", start: || torch("loader"), is_quick: false },
    Peer { name: "PyTorch, fused Adam", start: || torch("fused"), is_quick: true },
    Peer { name: "PyTorch, torch.compile", start: || torch("compile"), is_quick: false },
    Peer { name: "Lightning", start: lightning, is_quick: false },
    Peer { name: "Keras on TensorFlow", start: || keras("tensorflow", "plain"), is_quick: true },
    Peer { name: "Keras on TensorFlow, fast", start: || keras("tensorflow", "fast"), is_quick: false },
    Peer { name: "Keras on JAX", start: || keras("jax", "plain"), is_quick: false },
    Peer { name: "Keras on JAX, fast", start: || keras("jax", "fast"), is_quick: false },
    Peer { name: "burn", start: burn, is_quick: true },
];

fn torch(mode: &str) -> Command {
    let mut command = python("CRESSET_PYTHON", "digits_torch.py", 1);
    command.args(["--mode", mode]);
    command
}

fn lightning() -> Command {
    python("CRESSET_PYTHON", "digits_lightning.py", 1)
}

fn keras(backend: &str, mode: &str) -> Command {
    let mut command = python("CRESSET_PYTHON_KERAS", "digits_keras.py", 1);
    command.args(["--backend", backend, "--mode", mode]);
    command
}

fn burn() -> Command {
    pinned(std::env::var("CRESSET_BURN").expect("`make bench` sets CRESSET_BURN"), 1)
}

/// Measures the step, the whole process, the start and the memory.
pub fn measure(scale: Scale) -> Vec<Verdict> {
    let folder = tempfile::tempdir().expect("a folder for the runs");
    let splits: Vec<_> = (0..scale.rounds()).map(|round| split(folder.path(), round)).collect();
    let peers: Vec<_> = PEERS.iter().filter(|peer| peer.is_quick || scale == Scale::Full).collect();
    let mut contestants = vec![program(folder.path()), Contestant::program("cresset", steps(folder.path()))];
    contestants.extend(peers.iter().map(|peer| {
        let (start, splits, out) = (peer.start, splits.clone(), folder.path().to_path_buf());
        Contestant::program(peer.name, move |round| {
            let mut command = start();
            command.args([
                "--threads",
                "1",
                "--seed",
                &round.to_string(),
                "--warm-up-epochs",
                "1",
                "--epochs",
                "9",
            ]);
            command.arg("--split").arg(&splits[round]).arg("--export").arg(out.join("peer.pt"));
            command
        })
    }));
    let mut results = compete(contestants, scale.rounds());
    let ours = joined(folder.path(), results.remove(0), results.remove(0));
    let check = compare(&ours, &results);
    rows(&check)
        .into_iter()
        .map(|(row, beside)| {
            let peers: Vec<_> =
                results.iter().filter(|peer| beside.iter().any(|name| peer.name.starts_with(name))).collect();
            Verdict::new(row, &ours, peers)
        })
        .collect()
}

/// The rows of the table, each with the name prefixes of the peers that it is compared with.
fn rows(check: &str) -> Vec<(Row, &'static [&'static str])> {
    let row = |name, figure, unit, goal| Row {
        name,
        figure,
        unit,
        goal,
        more_is_better: false,
        check: check.into(),
    };
    vec![
        (row("digits MLP, batch 32: training step", "us_per_step", "µs", 0.35), &[""]),
        (row("digits, whole process, vs. PyTorch", "wall_s", "s", 0.12), &["PyTorch", "Lightning"]),
        (row("digits, whole process, vs. Keras", "wall_s", "s", 0.06), &["Keras"]),
        (row("digits, whole process, vs. burn", "wall_s", "s", 1.), &["burn"]),
        (
            row("digits, start to first step, vs. PyTorch", "first_step_s", "s", 0.12),
            &["PyTorch", "Lightning"],
        ),
        (row("digits, peak memory, vs. Python", "peak_mb", "MB", 0.3), &["PyTorch", "Lightning", "Keras"]),
    ]
}

/// Writes the split for a seed, as `cresset train` draws it.
fn split(folder: &Path, round: usize) -> PathBuf {
    let run = folder.join(format!("split-{round}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
    command.args(["train", "--epochs", "1", "--seed", &round.to_string(), "--out"]).arg(&run);
    support::seconds(&mut command);
    run.join("split.csv")
}

/// `cresset train`.
fn program(folder: &Path) -> Contestant {
    let folder = folder.to_path_buf();
    Contestant::program("cresset train", move |round| {
        let mut command = pinned(env!("CARGO_BIN_EXE_cresset"), 1);
        command.args(["train", "--threads", "1", "--seed", &round.to_string(), "--out"]);
        command.arg(folder.join(format!("run-{round}")));
        command
    })
}

/// The same job through the library, whose steps can be timed.
fn steps(folder: &Path) -> impl Fn(usize) -> Command + 'static {
    let folder = folder.to_path_buf();
    move |round| {
        let mut command = own("digits", 1);
        command.arg(round.to_string()).arg(folder.join(format!("steps-{round}")));
        command
    }
}

/// The figures of the program combined with those of its steps.
fn joined(folder: &Path, program: Results, steps: Results) -> Results {
    let join = |(round, (mut figures, steps)): (usize, (Figures, Figures))| {
        for figure in ["us_per_step", "first_step_s"] {
            figures.insert(figure.into(), steps[figure]);
        }
        figures.insert("accuracy".into(), support::last_accuracy(&folder.join(format!("run-{round}"))));
        figures
    };
    let rounds = program.rounds.into_iter().zip(steps.rounds).enumerate().map(join).collect();
    Results { name: program.name, ready: Figures::new(), rounds }
}

/// The maximum difference of mean accuracies on the same validation rows: a few of 360 rows.
const TOLERANCE: f64 = 0.02;

fn compare(ours: &Results, peers: &[Results]) -> String {
    let mean = |results: &Results| {
        let found = results.of("accuracy");
        found.iter().sum::<f64>() / found.len() as f64
    };
    let own = mean(ours);
    let mut others = Vec::new();
    for peer in peers {
        let theirs = mean(peer);
        assert!((theirs - own).abs() <= TOLERANCE, "{}: accuracy {theirs}, cresset {own}", peer.name);
        others.push(theirs);
    }
    let (least, greatest) =
        (others.iter().copied().fold(1., f64::min), others.iter().copied().fold(0., f64::max));
    format!(
        "mean validation accuracy {:.2} % here, {:.2} to {:.2} % for the peers",
        own * 100.,
        least * 100.,
        greatest * 100.
    )
}

/// Our side: the job, with a clock at its steps.
pub fn work(arguments: &[String]) {
    let [seed, out] = arguments else { panic!("a seed and a folder") };
    let config =
        Config { seed: seed.parse().expect("a number"), threads: Threads::Count(1), ..Config::default() };
    let run = run::start(&config, Some(Path::new(out)), &World::alone()).expect("the run starts");
    let mut clock = StepClock::default();
    run::finish(run, &mut clock, &|| false).expect("the run finishes");
    let us_per_step = clock.seconds / clock.steps as f64 * 1e6;
    println!("{}", json!({ "us_per_step": us_per_step, "first_step_s": clock.first_step_s }));
}

/// The time of the steps alone: without evaluation, checkpoints, and the first epoch.
#[derive(Default)]
struct StepClock {
    first_step_s: Option<f64>,
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
        if self.first_step_s.is_none() {
            self.first_step_s = Some(since_start());
        }
        let step = training.position().step;
        if let (Some(begun), true) = (self.begun, step == training.steps()) {
            self.seconds += begun.elapsed().as_secs_f64();
            self.steps += step;
        }
        Ok(Flow::Continue)
    }
}

/// Seconds since the start of this process, with the kernel's resolution of 10 ms.
fn since_start() -> f64 {
    let read = |path: &str| std::fs::read_to_string(path).expect("/proc is available on Linux");
    let status = read("/proc/self/stat");
    let (_, fields) = status.rsplit_once(')').expect("the name is in parentheses");
    let started: f64 =
        fields.split_whitespace().nth(19).and_then(|ticks| ticks.parse().ok()).expect("the 22nd field");
    let uptime = read("/proc/uptime");
    let now: f64 =
        uptime.split_whitespace().next().and_then(|seconds| seconds.parse().ok()).expect("seconds");
    now - started / 100.
}
