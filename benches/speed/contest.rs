//! Contestants, and the rounds in which they take turns.

use std::collections::BTreeMap;
use std::process::Command;

use crate::support::{Worker, peak_mb, watched};

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// In a few minutes.
    Quick,
    /// All.
    Full,
}

impl Scale {
    /// The rounds of a group.
    pub fn rounds(self) -> usize {
        match self {
            Scale::Quick => 3,
            Scale::Full => 7,
        }
    }
}

/// The first argument of this program where it is our half of a group's work.
pub const WORK: &str = "work";

/// Named numbers: what a contestant says of a round.
pub type Figures = BTreeMap<String, f64>;

/// One of those that are compared.
pub struct Contestant {
    name: String,
    start: Start,
}

enum Start {
    /// Starts once and warms up; then does a round for each line that it is told.
    Waits(Command),
    /// Is run once a round.
    EachRound(Box<dyn Fn(usize) -> Command>),
}

impl Contestant {
    /// One that starts once, says so by a line of figures, and does a round for each line that it is told.
    pub fn waiting(name: impl Into<String>, command: Command) -> Self {
        Contestant { name: name.into(), start: Start::Waits(command) }
    }

    /// One whose every round is a run of a program, made for the round's number.
    pub fn program(name: impl Into<String>, command: impl Fn(usize) -> Command + 'static) -> Self {
        Contestant { name: name.into(), start: Start::EachRound(Box::new(command)) }
    }
}

/// What a contestant did.
pub struct Results {
    /// Its name.
    pub name: String,
    /// What it said when it was ready; nothing of a program.
    pub ready: Figures,
    /// What it said of each round. Of a program, there are also `wall_s`, from its start to its end, and `peak_mb`.
    pub rounds: Vec<Figures>,
}

impl Results {
    /// One of the figures in all rounds.
    pub fn of(&self, figure: &str) -> Vec<f64> {
        let name = &self.name;
        let value = |round: &Figures| {
            *round.get(figure).unwrap_or_else(|| panic!("{name} says nothing of {figure}: {round:?}"))
        };
        self.rounds.iter().map(value).collect()
    }

    /// The greatest resident size of its process in MB, as far as it is known.
    pub fn peak_mb(&self) -> f64 {
        let known = self.rounds.iter().filter_map(|round| round.get("peak_mb"));
        known.copied().fold(0., f64::max)
    }
}

/// Has them take turns for so many rounds, each round beginning with another one.
pub fn compete(contestants: Vec<Contestant>, rounds: usize) -> Vec<Results> {
    let mut running: Vec<_> = contestants.into_iter().map(Running::new).collect();
    for round in 0..rounds {
        eprintln!("  round {} of {rounds}", round + 1);
        for turn in 0..running.len() {
            let index = (round + turn) % running.len();
            running[index].play(round);
        }
    }
    running.into_iter().map(|running| running.results).collect()
}

struct Running {
    source: Source,
    results: Results,
}

enum Source {
    Worker(Worker),
    Program(Box<dyn Fn(usize) -> Command>),
}

impl Running {
    fn new(contestant: Contestant) -> Self {
        let Contestant { name, start } = contestant;
        eprintln!("  {name}");
        let (source, ready) = match start {
            Start::EachRound(command) => (Source::Program(command), Figures::new()),
            Start::Waits(mut command) => {
                let mut worker = Worker::start(&mut command).unwrap_or_else(|e| panic!("{name}: {e}"));
                let ready =
                    figures(&worker.answer().unwrap_or_else(|| panic!("{name} ended while it warmed up")));
                (Source::Worker(worker), ready)
            }
        };
        Running { source, results: Results { name, ready, rounds: Vec::new() } }
    }

    fn play(&mut self, round: usize) {
        let found = match &mut self.source {
            Source::Program(command) => run(&mut command(round)),
            Source::Worker(worker) => {
                worker.tell("go").expect("it waits");
                figures(&worker.answer().unwrap_or_else(|| panic!("{} ended", self.results.name)))
            }
        };
        self.results.rounds.push(found);
    }
}

/// A program's figures, which may be none, with its time and memory.
fn run(command: &mut Command) -> Figures {
    let (wall_s, printed, peak) = watched(command);
    let mut found =
        printed.lines().last().filter(|line| line.starts_with('{')).map(figures).unwrap_or_default();
    found.insert("wall_s".into(), wall_s);
    found.entry("peak_mb".into()).or_insert(peak);
    found
}

/// The numbers of a line of JSON; the members of lists are `name0`, `name1`, …
fn figures(line: &str) -> Figures {
    let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    let mut found = Figures::new();
    for (name, value) in value.as_object().expect("an object") {
        match value {
            serde_json::Value::Array(members) => {
                let numbers =
                    members.iter().enumerate().filter_map(|(place, of)| Some((place, of.as_f64()?)));
                found.extend(numbers.map(|(place, of)| (format!("{name}{place}"), of)));
            }
            _ => found.extend(value.as_f64().map(|of| (name.clone(), of))),
        }
    }
    found
}

/// Our half of a group's work, on so many cores.
pub fn own(group: &str, cores: usize) -> Command {
    let program = std::env::current_exe().expect("a program knows its file");
    let mut command = pinned(program, cores);
    command.args([WORK, group]);
    command
}

/// A script of the peers, run by the Python that this variable names, on so many cores.
pub fn python(variable: &str, script: &str, cores: usize) -> Command {
    let python = std::env::var(variable).unwrap_or_else(|_| panic!("`make bench` sets {variable}"));
    let mut command = pinned(python, cores);
    command.arg(format!("{}/../../benches/peers/{script}", env!("CARGO_MANIFEST_DIR")));
    command
}

/// A program that has the last so many cores to itself as far as it can; the first one serves most interrupts.
pub fn pinned(program: impl AsRef<std::ffi::OsStr>, cores: usize) -> Command {
    let mut command = Command::new("taskset");
    let all = std::thread::available_parallelism().map_or(cores, usize::from).max(cores);
    command.arg("--cpu-list").arg(format!("{}-{}", all - cores, all - 1)).arg(program);
    command.env("OMP_NUM_THREADS", cores.to_string());
    command
}

/// Says that warm-up is over, with the figures of `ready`, then does a round for every line on the standard input.
pub fn serve(ready: &serde_json::Value, mut round: impl FnMut() -> serde_json::Value) {
    println!("{ready}");
    for _ in std::io::stdin().lines() {
        let mut found = round();
        found["peak_mb"] = peak_mb("self").into();
        println!("{found}");
    }
}
