//! Training steps on a GPU compared with PyTorch on the same GPU: `make gpu-check`, or `cargo bench --bench gpu -- [JOB]`.
//!
//! The peers are separate processes that take turns with ours; a round runs a number of steps and then synchronizes the
//! device. CRESSET_PYTHON is an interpreter with torch and torchvision; without it, the peers are skipped. Quote the
//! ratios.

mod support;

use std::process::Command;
use std::time::Instant;

use cresset::data::InputShape;
use cresset::loader::Batch;
use cresset::model::{Network, Task};
use cresset::options::Config;
use cresset::train::{ChannelsLast, CudaGraph, Learner, Precision, StepOutcome, TrainOptions};
use cresset_bridge::cuda;
use support::{Worker, ratio, spread};
use tch::{Device, Kind, Tensor};

const ROUNDS: usize = 7;
const GPU: Device = Device::Cuda(0);

/// A training step to measure.
struct Job {
    name: &'static str,
    model: &'static str,
    model_options: &'static str,
    batch: i64,
    input: &'static [i64],
    classes: i64,
    is_bf16: bool,
    steps: usize,
    /// The modes of the peer, each with the goal: the maximum ratio of our time to the peer's.
    peers: &'static [(&'static str, f64)],
}

const JOBS: [Job; 3] = [
    Job {
        name: "digits",
        model: "mlp",
        model_options: "",
        batch: 32,
        input: &[64],
        classes: 10,
        is_bf16: false,
        steps: 2000,
        peers: &[("eager", 0.2), ("reduce-overhead", 0.6)],
    },
    Job {
        name: "resnet18",
        model: "resnet18",
        model_options: "stem=3",
        batch: 512,
        input: &[3, 32, 32],
        classes: 10,
        is_bf16: true,
        steps: 50,
        // 1.0 of its images per second.
        peers: &[("eager", 1.), ("compile", 1.)],
    },
    Job {
        name: "resnet50",
        model: "resnet50",
        model_options: "",
        batch: 256,
        input: &[3, 224, 224],
        classes: 1000,
        is_bf16: true,
        steps: 20,
        // 0.95 of its images per second.
        peers: &[("eager", 1.), ("compile", 1. / 0.95)],
    },
];

fn main() {
    support::enter_checkout();
    if let Err(reason) = cuda::load() {
        println!("skipped: {reason}; {}", reason.remedy());
        return;
    }
    if let Err(reason) = cuda::Plugin::open() {
        println!("without CUDA graphs: {reason}; {}", reason.remedy());
    }
    println!(
        "median (min–max) of {ROUNDS} rounds; ratio = cresset / peer, the median of the rounds' ratios\n"
    );
    println!("| job | | step, µs | examples/s | ratio | goal | |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    // Cargo adds options to those of the user.
    let wanted: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    JOBS.iter()
        .filter(|job| wanted.is_empty() || wanted.iter().any(|name| name == job.name))
        .for_each(measure);
}

fn measure(job: &Job) {
    let mut recorded = Ours::new(job, CudaGraph::Auto);
    let mut single = Ours::new(job, CudaGraph::No);
    let mut peers: Vec<_> =
        job.peers.iter().map(|(mode, goal)| (mode, goal, Peer::start(job, mode))).collect();
    let mut figures = vec![Vec::new(); 2 + peers.len()];
    for _ in 0..ROUNDS {
        figures[0].push(recorded.round());
        figures[1].push(single.round());
        for (place, (.., peer)) in peers.iter_mut().enumerate() {
            figures[2 + place].extend(peer.as_mut().and_then(|peer| peer.round(job.steps)));
        }
    }
    row(job, "cresset", &figures[0], " | |");
    row(job, "cresset --cuda-graph no", &figures[1], " | |");
    for ((mode, goal, _), theirs) in peers.iter().zip(&figures[2..]) {
        let name = format!("PyTorch, {mode}");
        if theirs.len() < ROUNDS {
            println!("| {} | {name} | skipped: it failed | | | | |", job.name);
            continue;
        }
        let found = ratio(&figures[0], theirs);
        let verdict = if found <= **goal { "reached" } else { "MISSED" };
        row(job, &name, theirs, &format!("{found:.2} | {goal:.2} | {verdict}"));
    }
}

fn row(job: &Job, name: &str, step_us: &[f64], rest: &str) {
    let speed: Vec<_> = step_us.iter().map(|us| job.batch as f64 / us * 1e6).collect();
    println!("| {} | {name} | {} | {} | {rest} |", job.name, spread(step_us, 0), spread(&speed, 0));
}

/// A learner with a batch.
struct Ours {
    network: Network,
    learner: Learner,
    batch: Batch,
    steps: usize,
}

impl Ours {
    fn new(job: &Job, cuda_graph: CudaGraph) -> Self {
        let precision = if job.is_bf16 { Precision::Bf16 } else { Precision::F32 };
        let channels_last = if job.is_bf16 { ChannelsLast::Yes } else { ChannelsLast::No };
        let training = TrainOptions { cuda_graph, precision, channels_last, ..TrainOptions::default() };
        let config = Config { batch_size: job.batch as u32, training, ..Config::default() };
        let task = Task::new(InputShape(job.input.to_vec()), job.classes);
        let mut network =
            Network::new(job.model, job.model_options, &task, GPU, 1).expect("the model is known");
        channels_last.lay_out(&mut network).expect("the memory format can be changed");
        let learner = Learner::new(&config.plan(None), &network).expect("the plan is valid");
        let sizes = [&[job.batch], job.input].concat();
        let inputs = Tensor::rand(&sizes, (Kind::Float, GPU));
        let labels = Tensor::randint(job.classes, [job.batch], (Kind::Int64, GPU));
        let mut ours = Ours { network, learner, batch: Batch::new(inputs, labels), steps: job.steps };
        ours.take(10);
        ours
    }

    fn take(&mut self, steps: usize) {
        for _ in 0..steps {
            let outcome = self.learner.step(&self.network, &self.batch, 1e-3).expect("the step succeeds");
            assert!(matches!(outcome, StepOutcome::Learned { .. }), "the loss is not finite");
        }
        tch::Cuda::synchronize(0);
    }

    /// Microseconds per step.
    fn round(&mut self) -> f64 {
        let begun = Instant::now();
        self.take(self.steps);
        begun.elapsed().as_secs_f64() / self.steps as f64 * 1e6
    }
}

/// The same job in PyTorch.
struct Peer(Worker);

impl Peer {
    /// Returns `None` if there is no interpreter or the job fails, for example on a GPU with too little memory.
    fn start(job: &Job, mode: &str) -> Option<Self> {
        let python = std::env::var_os("CRESSET_PYTHON")?;
        let script = "benches/peers/gpu_torch.py";
        let mut worker = Worker::start(Command::new(python).args([script, job.name, mode])).ok()?;
        (worker.answer()? == "ready").then_some(Peer(worker))
    }

    /// Microseconds per step.
    fn round(&mut self, steps: usize) -> Option<f64> {
        self.0.tell(&steps.to_string()).ok()?;
        self.0.answer()?.parse().ok()
    }
}
