//! Contestants, and the rounds in which they take turns.

use std::collections::BTreeMap;
use std::process::Command;

use crate::support::{Worker, peak_mb, watched};

/// The size of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// A few minutes.
    Quick,
    /// Everything.
    Full,
}

impl Scale {
    /// The number of rounds of a group.
    pub fn rounds(self) -> usize {
        match self {
            Scale::Quick => 3,
            Scale::Full => 7,
        }
    }
}

/// The first argument of this program when it runs our side of a group.
pub const WORK: &str = "work";

/// Named numbers, reported by a contestant for a round.
pub type Figures = BTreeMap<String, f64>;

/// A program to compare.
pub struct Contestant {
    name: String,
    start: Start,
}

enum Start {
    /// Starts once and warms up, then runs a round for each line on its standard input.
    Waits(Command),
    /// Runs once per round.
    EachRound(Box<dyn Fn(usize) -> Command>),
}

impl Contestant {
    /// A contestant that starts once, prints a line of figures when it is ready, and runs a round for each line it receives.
    pub fn waiting(name: impl Into<String>, command: Command) -> Self {
        Contestant { name: name.into(), start: Start::Waits(command) }
    }

    /// A contestant that runs a program in each round; `command` receives the number of the round.
    pub fn program(name: impl Into<String>, command: impl Fn(usize) -> Command + 'static) -> Self {
        Contestant { name: name.into(), start: Start::EachRound(Box::new(command)) }
    }
}

/// The results of a contestant.
pub struct Results {
    /// Its name.
    pub name: String,
    /// The figures printed when it was ready; empty for a program.
    pub ready: Figures,
    /// The figures of each round. For a program, also `wall_s`, its wall time, and `peak_mb`.
    pub rounds: Vec<Figures>,
}

impl Results {
    /// The values of one figure in all rounds.
    pub fn of(&self, figure: &str) -> Vec<f64> {
        let name = &self.name;
        let value = |round: &Figures| {
            *round.get(figure).unwrap_or_else(|| panic!("{name} did not report {figure}: {round:?}"))
        };
        self.rounds.iter().map(value).collect()
    }

    /// The peak resident set size of its process in MB, if known.
    pub fn peak_mb(&self) -> f64 {
        let known = self.rounds.iter().filter_map(|round| round.get("peak_mb"));
        known.copied().fold(0., f64::max)
    }
}

/// Runs `rounds` rounds in turns; each round starts with a different contestant.
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
                    figures(&worker.answer().unwrap_or_else(|| panic!("{name} ended during warm-up")));
                (Source::Worker(worker), ready)
            }
        };
        Running { source, results: Results { name, ready, rounds: Vec::new() } }
    }

    fn play(&mut self, round: usize) {
        let found = match &mut self.source {
            Source::Program(command) => run(&mut command(round)),
            Source::Worker(worker) => {
                worker.tell("go").expect("the contestant is waiting");
                figures(&worker.answer().unwrap_or_else(|| panic!("{} ended", self.results.name)))
            }
        };
        self.results.rounds.push(found);
    }
}

/// The figures printed by a program, possibly none, with its time and memory.
fn run(command: &mut Command) -> Figures {
    let (wall_s, printed, peak) = watched(command);
    let mut found =
        printed.lines().last().filter(|line| line.starts_with('{')).map(figures).unwrap_or_default();
    found.insert("wall_s".into(), wall_s);
    found.entry("peak_mb".into()).or_insert(peak);
    found
}

/// The numbers in a line of JSON; the elements of lists are named `name0`, `name1`, …
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

/// Our side of a group, pinned to `cores` cores.
pub fn own(group: &str, cores: usize) -> Command {
    let program = std::env::current_exe().expect("the path of this program is known");
    let mut command = pinned(program, cores);
    command.args([WORK, group]);
    command
}

/// A Python script of a peer, run by the interpreter in this environment variable, pinned to `cores` cores.
pub fn python(variable: &str, script: &str, cores: usize) -> Command {
    let python = std::env::var(variable).unwrap_or_else(|_| panic!("`make bench` sets {variable}"));
    let mut command = pinned(python, cores);
    command.arg(format!("{}/../../benches/peers/{script}", env!("CARGO_MANIFEST_DIR")));
    command
}

/// A program pinned to the last `cores` cores; the first core serves most interrupts.
pub fn pinned(program: impl AsRef<std::ffi::OsStr>, cores: usize) -> Command {
    let mut command = Command::new("taskset");
    let all = std::thread::available_parallelism().map_or(cores, usize::from).max(cores);
    command.arg("--cpu-list").arg(format!("{}-{}", all - cores, all - 1)).arg(program);
    command.env("OMP_NUM_THREADS", cores.to_string());
    command
}

/// Prints `ready` after the warm-up, then runs a round for every line on standard input.
pub fn serve(ready: &serde_json::Value, mut round: impl FnMut() -> serde_json::Value) {
    println!("{ready}");
    for _ in std::io::stdin().lines() {
        let mut found = round();
        found["peak_mb"] = peak_mb("self").into();
        println!("{found}");
    }
}
