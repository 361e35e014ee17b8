//! The default job of `cresset train` in burn, with the options and the report of `digits_job.py`.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use burn::module::Module;
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};

const BATCH: usize = 32;
const FEATURES: usize = 64;
const LEARNING_RATE: f64 = 1e-3;

#[derive(Module, Debug)]
struct Perceptron {
    hidden: Linear,
    output: Linear,
}

impl Perceptron {
    fn new(device: &Device) -> Self {
        Perceptron {
            hidden: LinearConfig::new(FEATURES, 128).init(device),
            output: LinearConfig::new(128, 10).init(device),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.output.forward(relu(self.hidden.forward(x)))
    }
}

/// The rows of the training or the validation set.
struct Part {
    pixels: Vec<f32>,
    labels: Vec<i32>,
}

impl Part {
    fn batch(&self, rows: &[usize], device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
        let pixels: Vec<f32> =
            rows.iter().flat_map(|row| &self.pixels[row * FEATURES..(row + 1) * FEATURES]).copied().collect();
        let labels: Vec<i32> = rows.iter().map(|row| self.labels[*row]).collect();
        let inputs = Tensor::from_data(TensorData::new(pixels, [rows.len(), FEATURES]), device);
        (inputs, Tensor::from_data(TensorData::new(labels, [rows.len()]), device))
    }
}

fn main() {
    let options = options();
    let number = |name: &str| options[name].parse::<usize>().expect("a number");
    let (warm_up, epochs) = (number("--warm-up-epochs"), number("--epochs"));
    let (train, validation) = read(Path::new(&options["--data"]), Path::new(&options["--split"]));
    let device = Device::flex().autodiff();
    device.seed(number("--seed") as u64);
    let mut trainer = Trainer {
        model: Some(Perceptron::new(&device)),
        optimizer: AdamConfig::new().with_epsilon(1e-8).init(),
        loss: CrossEntropyLossConfig::new().init(&device),
        device,
        state: number("--seed") as u64 + 1,
        first_step_s: None,
    };
    let (mut seconds, mut accuracy) = (0., 0.);
    for epoch in 0..warm_up + epochs {
        let begun = Instant::now();
        trainer.epoch(&train);
        if epoch >= warm_up {
            seconds += begun.elapsed().as_secs_f64();
        }
        accuracy = trainer.accuracy(&validation);
    }
    std::fs::write(&options["--export"], trainer.weights()).expect("the export can be written");
    let steps = epochs * train.labels.len().div_ceil(BATCH);
    println!(
        "{}",
        serde_json::json!({
            "peer": "burn",
            "accuracy": accuracy,
            "us_per_step": seconds / steps as f64 * 1e6,
            "steps": steps,
            "first_step_s": trainer.first_step_s,
            "peak_mb": peak_mb(),
        })
    );
}

struct Trainer {
    /// `None` during an optimizer step: weights without other owners are updated in place.
    model: Option<Perceptron>,
    optimizer: ModuleOptimizer,
    loss: CrossEntropyLoss,
    device: Device,
    state: u64,
    first_step_s: Option<f64>,
}

impl Trainer {
    /// Runs an epoch in a new order, with the running loss and accuracy.
    fn epoch(&mut self, part: &Part) -> (f64, f64) {
        let order = self.shuffled(part.labels.len());
        let mut loss_sum = Tensor::<1>::zeros([1], &self.device);
        let mut right = Tensor::<1, Int>::zeros([1], &self.device);
        for rows in order.chunks(BATCH) {
            let (inputs, labels) = part.batch(rows, &self.device);
            let model = self.model.take().expect("the model is returned after each step");
            let logits = model.forward(inputs);
            let loss = self.loss.forward(logits.clone(), labels.clone());
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            self.model = Some(self.optimizer.step(LEARNING_RATE, model, gradients));
            loss_sum = loss_sum + loss.detach() * rows.len() as f64;
            right = right + right_of(logits.detach(), labels);
            self.first_step_s.get_or_insert_with(since_start);
        }
        let rows = order.len() as f64;
        (f64::from(loss_sum.into_scalar::<f32>()) / rows, right.into_scalar::<i64>() as f64 / rows)
    }

    fn model(&self) -> &Perceptron {
        self.model.as_ref().expect("the model is returned after each step")
    }

    fn accuracy(&self, part: &Part) -> f64 {
        let rows: Vec<_> = (0..part.labels.len()).collect();
        let (inputs, labels) = part.batch(&rows, &self.device);
        let logits = self.model().forward(inputs);
        let loss: f32 = self.loss.forward(logits.clone(), labels.clone()).into_scalar();
        assert!(loss.is_finite());
        right_of(logits, labels).into_scalar::<i64>() as f64 / rows.len() as f64
    }

    /// A Fisher–Yates shuffle with a linear congruential generator.
    fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<_> = (0..count).collect();
        for last in (1..count).rev() {
            self.state =
                self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            order.swap(last, (self.state >> 33) as usize % (last + 1));
        }
        order
    }

    /// The weights as bytes, layer by layer.
    fn weights(&self) -> Vec<u8> {
        [&self.model().hidden, &self.model().output]
            .into_iter()
            .flat_map(|layer| {
                [layer.weight.val().into_data(), layer.bias.as_ref().expect("a bias").val().into_data()]
            })
            .flat_map(|data| data.iter::<f32>().flat_map(f32::to_le_bytes).collect::<Vec<_>>())
            .collect()
    }
}

fn right_of(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1, Int> {
    let found = logits.argmax(1).squeeze_dim::<1>(1);
    found.equal(labels).int().sum()
}

/// The options as pairs of name and value.
fn options() -> HashMap<String, String> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let mut options: HashMap<_, _> =
        [("--data", "data/digits.csv"), ("--seed", "0"), ("--epochs", "10"), ("--warm-up-epochs", "0")]
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .into();
    options.extend(arguments.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())));
    options
}

/// The digits, with values from 0 to 1, split as specified by a CSV file with the header row,part.
fn read(data: &Path, split: &Path) -> (Part, Part) {
    let text = std::fs::read_to_string(data).expect("data/digits.csv");
    let rows: Vec<Vec<f32>> = text
        .lines()
        .map(|line| line.split(',').map(|cell| cell.parse().expect("a number")).collect())
        .collect();
    let (mut train, mut validation) =
        (Part { pixels: vec![], labels: vec![] }, Part { pixels: vec![], labels: vec![] });
    for line in std::fs::read_to_string(split).expect("the split").lines().skip(1) {
        let (row, part) = line.split_once(',').expect("row,part");
        let into = if part == "train" { &mut train } else { &mut validation };
        let cells = &rows[row.parse::<usize>().expect("a row")];
        into.pixels.extend(cells[..FEATURES].iter().map(|pixel| pixel / 16.));
        into.labels.push(cells[FEATURES] as i32);
    }
    (train, validation)
}

/// Seconds since the start of this process, with the kernel's resolution of 10 ms.
fn since_start() -> f64 {
    let status = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = status.rsplit_once(')').expect("the name is in parentheses").1;
    let started: f64 = fields.split_whitespace().nth(19).expect("the 22nd field").parse().expect("a number");
    let uptime = std::fs::read_to_string("/proc/uptime").expect("Linux");
    uptime.split_whitespace().next().expect("seconds").parse::<f64>().expect("a number") - started / 100.
}

fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).expect("kB").parse::<f64>().expect("a number") / 1024.
}
