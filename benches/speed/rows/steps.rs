//! Training steps of larger networks compared with PyTorch: the same initial weights, rows, first batches, and optimizer.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use cresset::data::InputShape;
use cresset::loader::{Batch, MemoryExamples, MemoryLoader, Pass, Sampling, TrainLoader};
use cresset::model::preprocessing::TensorDataset;
use cresset::model::{Network, Task};
use cresset::options::Config;
use cresset::train::{Learner, Precision, Running, StepOutcome, TrainOptions};
use serde_json::json;
use tch::{Device, Kind, Tensor};

use crate::contest::{Contestant, Results, Scale, compete, own, python, serve};
use crate::files;
use crate::table::{Row, Verdict};

/// A training job.
#[derive(Clone)]
struct Job {
    row: Row,
    model: &'static str,
    options: &'static str,
    shape: [i64; 3],
    batch: u32,
    precision: Precision,
    cores: usize,
    /// Steps per round.
    steps: usize,
    /// Whether it is part of a quick run.
    is_quick: bool,
    /// The maximum relative difference of the first losses; a tenth of it for the very first, before any update.
    tolerance: f64,
}

const CLASSES: i64 = 10;
const LEARNING_RATE: f64 = 1e-3;

/// Number of batches in the data set.
const BATCHES: i64 = 8;

/// Number of initial steps whose losses are compared.
const COMPARED: i64 = 3;

/// A row for the time of a step.
fn step(name: &'static str, goal: f64) -> Row {
    Row { name, figure: "step_ms", unit: "ms", goal, more_is_better: false, check: String::new() }
}

fn jobs() -> Vec<Job> {
    let job = Job {
        row: step("digits CNN, batch 64: training step", 0.8),
        model: "cnn",
        options: "dropout=0",
        shape: [1, 8, 8],
        batch: 64,
        precision: Precision::F32,
        cores: 1,
        steps: 100,
        is_quick: true,
        tolerance: 1e-3,
    };
    let resnet = |row, precision, tolerance| Job {
        row,
        model: "resnet18",
        options: "stem=3",
        shape: [3, 32, 32],
        batch: 128,
        precision,
        cores: 2,
        steps: 2,
        is_quick: false,
        tolerance,
    };
    vec![
        Job {
            row: step("LSTM on 28×28, batch 64: training step", 0.9),
            model: "lstm",
            shape: [1, 28, 28],
            cores: 2,
            steps: 20,
            ..job
        },
        Job {
            row: step("ViT-tiny on 32×32, batch 64: training step", 0.9),
            model: "vit",
            shape: [3, 32, 32],
            cores: 2,
            steps: 8,
            is_quick: false,
            ..job
        },
        resnet(step("ResNet-18 on 32×32, batch 128, float32: training step", 1.), Precision::F32, 0.01),
        resnet(step("ResNet-18 on 32×32, batch 128, bfloat16: training step", 0.9), Precision::Bf16, 0.1),
        Job { row: step("digits CNN, batch 64: training step", 0.8), ..job },
    ]
}

/// Fine-tuning of backbones on images of 224×224.
fn backbones() -> Vec<Job> {
    let job = |name, model, options| Job {
        row: step(name, 0.95),
        model,
        options,
        shape: [3, 224, 224],
        batch: 32,
        precision: Precision::F32,
        cores: 2,
        steps: 2,
        is_quick: true,
        tolerance: 0.01,
    };
    vec![
        job("ConvNeXt-Atto on 224×224, batch 32: fine-tuning step", "convnext_atto", "drop_path=0"),
        job(
            "MobileNetV3-Small on 224×224, batch 32: fine-tuning step",
            "mobilenetv3_small_100",
            "dropout=0,drop_path=0",
        ),
    ]
}

/// Measures the jobs with backbones.
pub fn measure_backbones(scale: Scale) -> Vec<Verdict> {
    measure_all(&backbones(), scale).into_iter().map(|(_, _, verdict)| verdict).collect()
}

fn measure_all(jobs: &[Job], scale: Scale) -> Vec<(&Job, Results, Verdict)> {
    let chosen = jobs.iter().filter(|job| job.is_quick || scale == Scale::Full);
    let measured = chosen.map(|job| {
        let mut results = compete_in(job, scale);
        let check = compare(job, &results);
        let own = results.remove(0);
        let verdict = Verdict::new(Row { check, ..job.row.clone() }, &own, &results);
        (job, own, verdict)
    });
    measured.collect()
}

/// Measures the other jobs.
pub fn measure(scale: Scale) -> Vec<Verdict> {
    let jobs = jobs();
    let (mut verdicts, mut ours) = (Vec::new(), Vec::new());
    for (job, own, verdict) in measure_all(&jobs, scale) {
        verdicts.push(verdict);
        ours.push((job, own));
    }
    let of = |precision| ours.iter().find(|(job, _)| job.model == "resnet18" && job.precision == precision);
    if let (Some((_, float)), Some((_, bfloat))) = (of(Precision::F32), of(Precision::Bf16)) {
        let row = Row {
            name: "ResNet-18 on 32×32, cresset's bfloat16 vs. its float32: training step",
            figure: "step_ms",
            unit: "ms",
            goal: 0.6,
            more_is_better: false,
            check: "the same network".into(),
        };
        verdicts.push(Verdict::new(row, bfloat, [float]));
    }
    verdicts
}

fn compete_in(job: &Job, scale: Scale) -> Vec<Results> {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(job, folder.path());
    let mut ours = own("steps", job.cores);
    ours.arg(job.row.name).arg(folder.path());
    let mut contestants = vec![Contestant::waiting("cresset", ours)];
    let modes: &[_] = match scale {
        Scale::Quick => &["eager", "fused"],
        Scale::Full => &["eager", "fused", "compile"],
    };
    for mode in modes {
        let mut command = python("CRESSET_PYTHON", "steps_torch.py", job.cores);
        let precision = if job.precision == Precision::Bf16 { "bf16" } else { "f32" };
        command.args(["--model", job.model, "--mode", mode, "--precision", precision]);
        for (name, number) in
            [("--batch", job.batch as usize), ("--threads", job.cores), ("--steps", job.steps)]
        {
            command.arg(name).arg(number.to_string());
        }
        command.arg(folder.path());
        contestants.push(Contestant::waiting(format!("PyTorch, {mode}"), command));
    }
    compete(contestants, scale.rounds())
}

/// Writes the rows and the initial weights.
fn prepare(job: &Job, folder: &Path) {
    tch::manual_seed(0);
    let rows = BATCHES * i64::from(job.batch);
    let [channels, height, width] = job.shape;
    let labels = Tensor::randint(CLASSES, [rows], (Kind::Int64, Device::Cpu));
    // Images of a class are similar, so that there is something to learn.
    let prototypes = Tensor::rand([CLASSES, channels, height, width], (Kind::Float, Device::Cpu));
    let noise = Tensor::rand([rows, channels, height, width], (Kind::Float, Device::Cpu));
    let inputs = prototypes.index_select(0, &labels) * 0.5 + noise * 0.5;
    files::write(folder, inputs, labels, &network(job));
}

fn network(job: &Job) -> Network {
    let task = Task::new(InputShape(job.shape.to_vec()), CLASSES);
    Network::new(job.model, job.options, &task, Device::Cpu, 0).expect("a model of the registry")
}

/// Compares the losses of the first steps, and reports their difference.
fn compare(job: &Job, results: &[Results]) -> String {
    let mut greatest = 0f64;
    for step in 0..COMPARED {
        let loss = |results: &Results| results.ready[&format!("losses{step}")];
        let own = loss(&results[0]);
        let most = if step == 0 { job.tolerance / 10. } else { job.tolerance };
        for peer in &results[1..] {
            let apart = (loss(peer) / own - 1.).abs();
            assert!(
                apart <= most,
                "{}: the losses are {own} and {} of {}",
                job.row.name,
                loss(peer),
                peer.name
            );
            greatest = greatest.max(apart);
        }
    }
    format!("the losses of the first {COMPARED} steps agree within {:.4} %", greatest * 100.)
}

/// Our side: trains on the rows of a folder.
pub fn work(arguments: &[String]) {
    let [name, folder] = arguments else { panic!("a job and a folder") };
    let jobs = [jobs(), backbones()].concat();
    let job = jobs.iter().find(|job| job.row.name == name).expect("a job");
    tch::set_num_threads(job.cores as i32);
    let mut trainer = Trainer::new(job, &PathBuf::from(folder));
    let losses: Vec<f64> = (0..COMPARED).map(|batch| trainer.first(batch)).collect();
    trainer.steps(job.steps);
    serve(&json!({ "losses": losses }), || {
        let begun = Instant::now();
        trainer.steps(job.steps);
        json!({ "step_ms": begun.elapsed().as_secs_f64() * 1e3 / job.steps as f64 })
    });
}

/// A training loop like that of `cresset train`, without the work around its steps.
struct Trainer {
    network: Network,
    learner: Learner,
    feed: Rc<MemoryLoader>,
    part: TensorDataset,
    running: Running,
    pass: Pass,
}

impl Trainer {
    fn new(job: &Job, folder: &Path) -> Self {
        let mut network = network(job);
        let part = files::read(folder, &mut network);
        let training = TrainOptions { precision: job.precision, ..TrainOptions::default() };
        training.channels_last.lay_out(&mut network).expect("the memory format can be changed");
        let config = Config { batch_size: job.batch, lr: LEARNING_RATE, training, ..Config::default() };
        let learner = Learner::new(&config.plan(None), &network).expect("a plan");
        let copy = TensorDataset { inputs: part.inputs.shallow_clone(), labels: part.labels.shallow_clone() };
        Trainer {
            network,
            learner,
            feed: Rc::new(MemoryLoader::new(MemoryExamples::ready(copy), Sampling::Shuffled, None)),
            part,
            running: Running::new(Device::Cpu),
            pass: Pass::new(1, job.batch, 0),
        }
    }

    /// Runs a step on a batch in file order, and returns its loss.
    fn first(&mut self, batch: i64) -> f64 {
        let size = i64::from(self.pass.batch_size);
        let of = |tensor: &Tensor| tensor.narrow(0, batch * size, size);
        self.step(&Batch::new(of(&self.part.inputs), of(&self.part.labels)))
    }

    fn step(&mut self, batch: &Batch) -> f64 {
        let outcome = self.learner.step(&self.network, batch, LEARNING_RATE).expect("a step");
        let StepOutcome::Learned { loss, logits } = outcome else { panic!("the loss is not finite") };
        self.running.add(&loss, &logits, &batch.labels);
        loss.double_value(&[])
    }

    /// Runs `count` steps through shuffled epochs.
    fn steps(&mut self, count: usize) {
        let mut left = count;
        while left > 0 {
            let feed = Rc::clone(&self.feed);
            for batch in feed.epoch(self.pass).take(left) {
                let batch = batch.expect("a batch");
                self.pass.start += batch.labels.size()[0] as usize;
                left -= 1;
                self.step(&batch);
            }
            if self.pass.start >= feed.rows() {
                assert!(self.running.score() >= 0.);
                self.running = Running::new(Device::Cpu);
                self.pass = Pass::new(self.pass.epoch + 1, self.pass.batch_size, 0);
            }
        }
    }
}
