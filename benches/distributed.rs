//! Training in two processes compared with PyTorch's DistributedDataParallel: ResNet-18 on images of 32×32 with a batch size
//! of 32 per process, and an all-reduce of 25 MB. One thread per process, Gloo on both sides.
//!
//! The two sides take turns in rounds, and the processes of one side wait while the other runs. Needs CRESSET_PYTHON, an
//! interpreter with torch and torchvision. Quote the ratios.

mod support;

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use cresset::data::InputShape;
use cresset::distributed::World;
use cresset::loader::Batch;
use cresset::model::{Network, Task};
use cresset::options::Config;
use cresset::train::{Learner, StepOutcome};
use support::{Worker, median, ratio, spread};
use tch::{Device, Kind, Tensor};

const ROUNDS: usize = 7;
const RANKS: usize = 2;
const BATCH: i64 = 32;
const CLASSES: i64 = 10;
const MEGABYTES: i64 = 25;

const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/peers/ddp_torch.py");

fn main() {
    support::enter_checkout();
    if std::env::var_os("RANK").is_some() {
        return rank();
    }
    let own = std::env::current_exe().expect("the path of this program is known");
    let mut ours = Ranks::start(|| Command::new(&own));
    let python = std::env::var("CRESSET_PYTHON").expect("`make bench-more` sets CRESSET_PYTHON");
    let mut theirs = Ranks::start(|| {
        let mut command = Command::new(&python);
        command.arg(PEER);
        command
    });
    assert_eq!(ours.parameters, theirs.parameters, "both sides train the same network");
    println!(
        "median (min–max) of {ROUNDS} rounds; ratio = cresset / PyTorch, the median of the rounds' ratios\n"
    );
    println!("| {RANKS} processes, one thread each | cresset | PyTorch DDP | ratio |");
    println!("| --- | --- | --- | --- |");
    for (name, what, count) in [
        ("ResNet-18, 32×32, 32 images per process: one step, ms", "step", 3),
        ("all-reduce of 25 MB, ms", "reduce", 20),
    ] {
        // A warm-up, which allocates memory and sorts the buckets into the order of the backward pass.
        ours.seconds(what, count);
        theirs.seconds(what, count);
        let (mut own, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            own.push(ours.seconds(what, count) / f64::from(count) * 1e3);
            peer.push(theirs.seconds(what, count) / f64::from(count) * 1e3);
        }
        println!("| {name} | {} | {} | {:.2} |", spread(&own, 1), spread(&peer, 1), ratio(&own, &peer));
        if what == "reduce" {
            let rate = |ms: &[f64]| MEGABYTES as f64 * 1.048576 / median(ms);
            println!("\nThroughput: {:.2} GB/s and {:.2} GB/s.", rate(&own), rate(&peer));
        }
    }
}

/// The processes of one side.
struct Ranks {
    workers: Vec<Worker>,
    parameters: String,
}

impl Ranks {
    fn start(command: impl Fn() -> Command) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let start = |rank: usize| {
            let mut command = command();
            for (name, value) in
                [("RANK", rank), ("LOCAL_RANK", rank), ("WORLD_SIZE", RANKS), ("LOCAL_WORLD_SIZE", RANKS)]
            {
                command.env(name, value.to_string());
            }
            command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
            Worker::start(&mut command).expect("a process")
        };
        let mut ranks = Ranks { workers: (0..RANKS).map(start).collect(), parameters: String::new() };
        ranks.parameters = ranks.answers().remove(0);
        ranks
    }

    /// Reads a line from each process.
    fn answers(&mut self) -> Vec<String> {
        self.workers.iter_mut().map(|worker| worker.answer().expect("a running process")).collect()
    }

    /// Runs a task `count` times, and returns the time of the slowest process.
    fn seconds(&mut self, what: &str, count: u32) -> f64 {
        for worker in &mut self.workers {
            worker.tell(&format!("{what} {count}")).expect("a process that reads its input");
        }
        let seconds = |line: &String| line.parse::<f64>().expect("a number");
        self.answers().iter().map(seconds).fold(0., f64::max)
    }
}

/// The main function of one of our processes.
fn rank() {
    tch::set_num_threads(1);
    let world = World::from_environment(Duration::from_secs(60)).expect("the other process");
    let task = Task::new(InputShape(vec![3, 32, 32]), CLASSES);
    let network = Network::new("resnet18", "stem=3", &task, Device::Cpu, 0).expect("a network");
    let plan = Config::default().plan(None);
    let mut learner = Learner::new(&plan, &network).expect("a learner").with_world(&world);
    learner.start_epoch(&network).expect("the same parameters in all processes");
    let inputs = Tensor::rand([BATCH, 3, 32, 32], (Kind::Float, Device::Cpu));
    let batch = Batch::new(inputs, Tensor::randint(CLASSES, [BATCH], (Kind::Int64, Device::Cpu)));
    let mut message = Tensor::ones([MEGABYTES * 1024 * 1024 / 4], (Kind::Float, Device::Cpu));
    println!("ready {}", network.parameter_count());
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (what, count) = line.split_once(' ').expect("two words");
        let begun = Instant::now();
        for _ in 0..count.parse::<u32>().expect("a number") {
            if what == "step" {
                let outcome = learner.step(&network, &batch, 1e-3).expect("a step");
                let StepOutcome::Learned { loss, .. } = outcome else { panic!("the loss is not finite") };
                // Like the peer.
                loss.double_value(&[]);
            } else {
                world.all_reduce_sum(&mut message).expect("a sum");
            }
        }
        println!("{}", begun.elapsed().as_secs_f64());
    }
}
