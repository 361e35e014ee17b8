//! How training time grows with rows, width, depth and batch size, and how much memory ten gigabytes of images take:
//! `cargo bench --bench scaling`. Writes target/scaling.csv and target/scaling.svg, which has logarithmic axes.

#[path = "scaling/chart.rs"]
mod chart;
#[path = "scaling/pictures.rs"]
mod pictures;
mod support;

use std::time::Instant;

use chart::Curve;
use cresset::data::InputShape;
use cresset::loader::{MemoryExamples, MemoryLoader, Pass, Sampling, TrainLoader};
use cresset::model::preprocessing::TensorDataset;
use cresset::model::{Network, Task};
use cresset::options::Config;
use cresset::train::{Learner, Running, StepOutcome};
use tch::{Device, Kind, Tensor};

const FEATURES: i64 = 64;
const CLASSES: i64 = 10;
const ROUNDS: usize = 5;
const THREADS: i32 = 1;

/// The size of a training job.
#[derive(Clone, Copy)]
struct Size {
    rows: i64,
    width: i64,
    depth: i64,
    batch: u32,
}

/// The base size, of which each curve varies one member.
const USUAL: Size = Size { rows: 4096, width: 128, depth: 1, batch: 32 };

fn main() {
    support::enter_checkout();
    tch::set_num_threads(THREADS);
    let curve = |name, unit, values: &[i64], of: fn(i64) -> Size, per_epoch: bool| {
        let points = values.iter().map(|value| {
            let (epoch_s, steps) = epoch(of(*value));
            (*value as f64, if per_epoch { epoch_s } else { epoch_s / steps * 1e6 })
        });
        Curve { name, unit, points: points.collect() }
    };
    let grown = |from: i64, factor: i64, count: u32| -> Vec<_> {
        (0..count).map(|power| from * factor.pow(power)).collect()
    };
    let fourfold = |from, count| grown(from, 4, count);
    let curves = [
        curve("rows", "s per epoch", &fourfold(1024, 6), |rows| Size { rows, ..USUAL }, true),
        curve("width", "µs per step", &fourfold(32, 5), |width| Size { width, ..USUAL }, false),
        // Up to the maximum depth of a perceptron.
        curve("depth", "µs per step", &grown(1, 2, 6), |depth| Size { depth, ..USUAL }, false),
        curve(
            "batch",
            "µs per step",
            &fourfold(8, 6),
            |batch| Size { batch: batch as u32, rows: 32_768, ..USUAL },
            false,
        ),
    ];
    println!("| | value | time | slope |\n| --- | --- | --- | --- |");
    for curve in &curves {
        for (place, (value, time)) in curve.points.iter().enumerate() {
            let slope = place.checked_sub(1).map(|before| curve.slope(before));
            let slope = slope.map_or(String::new(), |slope| format!("{slope:.2}"));
            println!("| {} | {value} | {time:.4} {} | {slope} |", curve.name, curve.unit);
        }
    }
    std::fs::write("target/scaling.csv", chart::csv(&curves)).expect("target/scaling.csv can be written");
    std::fs::write("target/scaling.svg", chart::svg(&curves)).expect("target/scaling.svg can be written");
    println!("\nslope: how often the time doubles for each doubling of the value\n");
    pictures::measure();
}

/// The median time of an epoch in seconds, and its number of steps.
fn epoch(size: Size) -> (f64, f64) {
    tch::manual_seed(0);
    let inputs = Tensor::rand([size.rows, FEATURES], (Kind::Float, Device::Cpu));
    let labels = Tensor::randint(CLASSES, [size.rows], (Kind::Int64, Device::Cpu));
    let feed =
        MemoryLoader::new(MemoryExamples::ready(TensorDataset { inputs, labels }), Sampling::Shuffled, None);
    let task = Task::new(InputShape(vec![FEATURES]), CLASSES);
    let options = format!("width={},depth={}", size.width, size.depth);
    let network = Network::new("mlp", &options, &task, Device::Cpu, 0).expect("a perceptron");
    let config = Config { batch_size: size.batch, ..Config::default() };
    let mut learner = Learner::new(&config.plan(None), &network).expect("a plan");
    let mut through = |number| {
        let mut running = Running::new(Device::Cpu);
        let begun = Instant::now();
        for batch in feed.epoch(Pass::new(number, size.batch, 0)) {
            let batch = batch.expect("a batch");
            let outcome = learner.step(&network, &batch, 1e-3).expect("a step");
            let StepOutcome::Learned { loss, logits } = outcome else { panic!("the loss is not finite") };
            running.add(&loss, &logits, &batch.labels);
        }
        assert!(running.loss().is_finite());
        begun.elapsed().as_secs_f64()
    };
    through(1);
    let times: Vec<_> = (2..).take(ROUNDS).map(&mut through).collect();
    (support::median(&times), feed.batches(Pass::new(1, size.batch, 0)) as f64)
}
