//! The loop on a small problem: two clouds of points.

use std::time::Duration;

use tch::{Device, Kind, Tensor};

use super::callback::Callback;
use super::checkpoint::CheckpointFolder;
use super::*;
use crate::data::InputShape;
use crate::error::Result;
use crate::loader::{MemoryExamples, MemoryLoader, Sampling};
use crate::model::preprocessing::TensorDataset;
use crate::model::{Network, Task};

const ROWS: i64 = 60;

struct Bench {
    folder: tempfile::TempDir,
    inputs: Tensor,
    /// The inputs of the validation set.
    validation: Tensor,
}

impl Bench {
    fn new() -> Self {
        let place = Tensor::arange(ROWS, (Kind::Float, Device::Cpu));
        let inputs = Tensor::stack(&[&(&place * 0.7).sin(), &(&place * 1.3).cos()], 1);
        Bench { folder: tempfile::tempdir().unwrap(), validation: inputs.copy(), inputs }
    }

    /// The same problem, with NaN in this row.
    fn with_fault(row: i64) -> Self {
        let bench = Bench::new();
        let _ = bench.inputs.get(row).fill_(f64::NAN);
        bench
    }

    /// The same problem, with NaN in the validation set.
    fn with_validation_fault() -> Self {
        let bench = Bench::new();
        let _ = bench.validation.get(3).fill_(f64::NAN);
        bench
    }

    fn part(&self) -> MemoryExamples {
        let labels =
            (Tensor::arange(ROWS, (Kind::Int64, Device::Cpu)) * 0.7).sin().gt(0.).to_kind(Kind::Int64);
        MemoryExamples::ready(TensorDataset { inputs: self.inputs.shallow_clone(), labels })
    }

    fn train(
        &self,
        options: TrainOptions,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<(Training, Network)> {
        self.train_as(options, callbacks, |training| training)
    }

    fn train_as(
        &self,
        options: TrainOptions,
        callbacks: &mut [&mut dyn Callback],
        change: impl Fn(Training) -> Training,
    ) -> Result<(Training, Network)> {
        let plan = Plan { options, ..Plan::new(4, 7, 0.05) };
        let task = Task::new(InputShape(vec![2]), 2);
        let mut network = Network::new("mlp", "width=8", &task, Device::Cpu, 1)?;
        let out = self.folder.path().join(format!("run-{}", self.folder.path().read_dir().unwrap().count()));
        std::fs::create_dir_all(out.join("checkpoints")).unwrap();
        let checkpoints = CheckpointFolder::new(out.join("checkpoints"));
        let mut training = change(Training::new(plan, &network, checkpoints)?);
        training.save_last(&network)?;
        let validation =
            MemoryExamples::ready(TensorDataset { inputs: self.validation.shallow_clone(), ..self.labels() });
        let (train, name) =
            (MemoryLoader::new(self.part(), Sampling::Shuffled, None), |place| format!("row {place}"));
        training.run(
            &mut network,
            &Data { train: &train, validation: &validation, name: &name },
            callbacks,
        )?;
        Ok((training, network))
    }

    fn labels(&self) -> TensorDataset {
        let labels =
            (Tensor::arange(ROWS, (Kind::Int64, Device::Cpu)) * 0.7).sin().gt(0.).to_kind(Kind::Int64);
        TensorDataset { inputs: Tensor::new(), labels }
    }
}

fn options() -> TrainOptions {
    TrainOptions::default()
}

#[test]
fn an_example_with_a_nan_loss_is_named_and_the_others_are_not() {
    let problem = Bench::with_fault(23).train(options(), &mut []).err().unwrap().to_string();
    assert!(
        problem.contains("1 of the 7 examples of the batch have a NaN or infinite loss (row 23)"),
        "{problem}"
    );
    assert!(problem.contains("in epoch 1, step ") && problem.contains("learning rate 5.000e-2"), "{problem}");
}

/// As on a GPU, where checking every loss would wait for the device.
#[test]
fn a_nan_loss_that_is_detected_late_is_named_and_never_saved() {
    let bench = Bench::with_fault(23);
    let unseen = |mut training: Training| {
        training.learner.context.checks_every_loss = false;
        training
    };
    let late = bench.train_as(options(), &mut [], unseen).err().unwrap().to_string();
    let at_once = bench.train(options(), &mut []).err().unwrap().to_string();
    assert!(late.contains("1 of the 7 examples of the batch have a NaN or infinite loss (row 23)"), "{late}");
    let step = |text: &str| text.split("step ").nth(1).unwrap().split(' ').next().unwrap().to_string();
    assert_eq!(step(&late), step(&at_once));
    let runs = bench.folder.path().read_dir().unwrap().map(|entry| entry.unwrap().path());
    for run in runs {
        let saved = Tensor::read_safetensors(run.join("checkpoints/last.safetensors")).unwrap();
        assert!(saved.iter().all(|(_, tensor)| tensor.isfinite().all().int64_value(&[]) == 1));
    }
}

#[test]
fn batches_with_a_nan_loss_can_be_skipped() {
    let skip = TrainOptions { on_nan: OnNan::Skip, ..options() };
    let (training, network) = Bench::with_fault(23).train(skip, &mut []).unwrap();
    assert_eq!(training.position().epoch, 5);
    assert!(network.state().values().all(|tensor| tensor.isfinite().all().int64_value(&[]) == 1));
    assert!(training.position().best.unwrap().validation_loss < 0.69);
}

#[test]
fn rollbacks_halve_the_learning_rate_and_are_limited() {
    let back = TrainOptions { on_nan: OnNan::Rollback, ..options() };
    let problem = Bench::with_fault(23).train(back, &mut []).err().unwrap().to_string();
    assert!(problem.contains("training rolled back 5 times before it"), "{problem}");
    // 0.05 halved five times.
    assert!(problem.contains("learning rate 1.563e-3"), "{problem}");
}

#[test]
fn a_nan_validation_loss_is_handled_like_a_nan_training_loss() {
    let with = |on_nan| {
        let bench = Bench::with_validation_fault();
        let trained = bench.train(TrainOptions { on_nan, ..options() }, &mut []);
        let best = bench.folder.path().join("run-0/checkpoints/best.safetensors");
        assert!(!best.exists());
        trained
    };
    let stopped = with(OnNan::Stop).err().unwrap().to_string();
    assert!(stopped.contains("the validation loss became NaN in epoch 1"), "{stopped}");
    assert!(stopped.contains("A lower --lr or --clip 1 often helps"), "{stopped}");
    let (training, _) = with(OnNan::Skip).unwrap();
    assert_eq!((training.position().epoch, training.position().best), (5, None));
    let back = with(OnNan::Rollback).err().unwrap().to_string();
    assert!(back.contains("training rolled back 5 times before it"), "{back}");
}

/// NaN in the weights is not the fault of a batch.
#[test]
fn weights_that_are_nan_are_named() {
    struct Poison;
    impl Callback for Poison {
        fn step_ended(&mut self, training: &Training, network: &Network) -> Result<Flow> {
            if (training.position().epoch, training.position().step) == (2, 8) {
                tch::no_grad(|| drop(network.state()["fc2.bias"].shallow_clone().fill_(f64::NAN)));
                return Ok(Flow::Finish);
            }
            Ok(Flow::Continue)
        }
    }
    for on_nan in [OnNan::Stop, OnNan::Skip] {
        let options = TrainOptions { on_nan, ..options() };
        let said = Bench::new().train(options, &mut [&mut Poison]).err().unwrap().to_string();
        assert!(said.contains("the validation loss became NaN in epoch 2"), "{said}");
        assert!(said.contains("`fc2.bias` are NaN or infinite"), "{said}");
    }
    let rollback = TrainOptions { on_nan: OnNan::Rollback, ..options() };
    let said = Bench::new().train(rollback, &mut [&mut Poison]).err().unwrap().to_string();
    assert!(said.contains("training rolled back 5 times"), "{said}");
}

#[test]
fn accumulated_small_batches_are_large_ones() {
    let bench = Bench::new();
    let train = |batch_size: u32, accumulate: u32| {
        let training = TrainOptions { accumulate, ..options() };
        let plan = Plan { options: training, ..Plan::new(10, batch_size, 0.001) };
        let task = Task::new(InputShape(vec![2]), 2);
        let network = Network::new("mlp", "width=8", &task, Device::Cpu, 1).unwrap();
        let mut learner = Learner::new(&plan, &network).unwrap();
        let feed = MemoryLoader::new(bench.part(), Sampling::Shuffled, None);
        for batch in crate::loader::TrainLoader::epoch(&feed, crate::loader::Pass::new(1, batch_size, 1)) {
            learner.step(&network, &batch.unwrap(), 0.05).unwrap();
        }
        network.state()["fc1.weight"].copy()
    };
    let difference = (train(20, 1) - train(5, 4)).abs().max().double_value(&[]);
    assert!(difference < 1e-6, "{difference}");
}

#[test]
fn clipping_bounds_the_step() {
    let bench = Bench::new();
    let task = Task::new(InputShape(vec![2]), 2);
    let length_of_step = |clip: Option<f64>| {
        let network = Network::new("mlp", "width=8", &task, Device::Cpu, 1).unwrap();
        let plan = Plan {
            optimizer: "sgd".into(),
            options: TrainOptions { clip, ..options() },
            ..Plan::new(10, 32, 0.001)
        };
        let before = network.state()["fc1.weight"].copy();
        let mut learner = Learner::new(&plan, &network).unwrap();
        let batch = crate::loader::EvaluationLoader::in_order(&bench.part()).next().unwrap().unwrap();
        learner.step(&network, &batch, 1.).unwrap();
        (network.state()["fc1.weight"].detach() - before.detach()).norm().double_value(&[])
    };
    assert!(length_of_step(None) > 0.01);
    assert!(length_of_step(Some(0.01)) <= 0.01);
}

#[test]
fn frozen_parameters_and_those_before_the_head_stay() {
    let bench = Bench::new();
    let head_only = TrainOptions { head_epochs: 4, ..options() };
    let (_, network) = bench.train(head_only, &mut []).unwrap();
    let task = Task::new(InputShape(vec![2]), 2);
    let fresh = Network::new("mlp", "width=8", &task, Device::Cpu, 1).unwrap();
    assert_eq!(network.state()["fc1.weight"], fresh.state()["fc1.weight"]);
    assert_ne!(network.state()["fc2.weight"], fresh.state()["fc2.weight"]);
    let unfrozen = TrainOptions { head_epochs: 3, ..options() };
    let (_, network) = bench.train(unfrozen, &mut []).unwrap();
    assert_ne!(network.state()["fc1.weight"], fresh.state()["fc1.weight"]);
}

#[test]
fn every_precision_learns_and_keeps_its_weights_in_float32() {
    for precision in [Precision::F32, Precision::Bf16, Precision::Fp16] {
        let (training, network) =
            Bench::new().train(TrainOptions { precision, ..options() }, &mut []).unwrap();
        assert!(training.position().best.unwrap().validation_loss < 0.6, "{precision:?}");
        assert!(network.parameters().values().all(|tensor| tensor.kind() == Kind::Float));
        assert_eq!(training.learner.context.scaler.is_some(), precision == Precision::Fp16);
    }
}

#[test]
fn training_ends_by_a_callback_or_the_time_limit() {
    let bench = Bench::new();
    struct EndAfterTwo;
    impl Callback for EndAfterTwo {
        fn epoch_ended(&mut self, training: &Training, _: &Network, _: &EpochRecord) -> Result<Flow> {
            Ok(if training.position().epoch == 3 { Flow::Finish } else { Flow::Continue })
        }
    }
    let (training, _) = bench.train(options(), &mut [&mut EndAfterTwo]).unwrap();
    assert_eq!((training.position().epoch, training.position().is_over), (3, true));

    let mut limit = TimeLimit::new(Some(1.), 60.);
    let (training, _) = bench.train(options(), &mut [&mut limit]).unwrap();
    // The time was up after one step; the epoch was measured all the same.
    assert_eq!((training.position().epoch, training.position().best.unwrap().epoch), (2, 1));
    let mut limit = TimeLimit::new(Some(1.), 0.);
    std::thread::sleep(Duration::from_millis(1));
    let (training, _) = bench.train(options(), &mut [&mut limit]).unwrap();
    assert_eq!(training.position().epoch, 5);
}

/// Everything that a checkpoint must hold, in use at once.
#[test]
fn a_paused_training_resumes_bit_identically() {
    struct PauseAt(usize);
    impl Callback for PauseAt {
        fn step_ended(&mut self, _training: &Training, _network: &Network) -> Result<Flow> {
            self.0 = self.0.saturating_sub(1);
            if self.0 > 0 {
                return Ok(Flow::Continue);
            }
            self.0 = usize::MAX;
            Ok(Flow::Pause)
        }
    }
    let bench = Bench::new();
    for (average, precision) in [
        (AverageKind::Ema, Precision::Fp16),
        (AverageKind::Swa, Precision::Bf16),
        (AverageKind::None, Precision::F32),
    ] {
        let options = TrainOptions {
            average,
            precision,
            schedule: "one-cycle".into(),
            warmup_epochs: 1.,
            accumulate: 2,
            clip: Some(1.),
            head_epochs: 1,
            weight_decay: 0.01,
            average_start: 0.3,
            ..options()
        };
        let (_, whole) = bench.train(options.clone(), &mut []).unwrap();
        for pause in [1, 5, 6, 9, 14] {
            let (paused, mut network) = bench.train(options.clone(), &mut [&mut PauseAt(pause)]).unwrap();
            let mut training =
                Training::new(paused.plan.clone(), &network, paused.checkpoints.clone()).unwrap();
            tch::manual_seed(99);
            training.resume(&mut network).unwrap();
            let validation = MemoryExamples::ready(TensorDataset {
                inputs: bench.inputs.shallow_clone(),
                ..bench.labels()
            });
            let (train, name) =
                (MemoryLoader::new(bench.part(), Sampling::Shuffled, None), |place| format!("row {place}"));
            let data = Data { train: &train, validation: &validation, name: &name };
            training.run(&mut network, &data, &mut []).unwrap();
            assert_eq!(
                network.state(),
                whole.state(),
                "{average:?} {precision:?}, paused after {pause} updates"
            );
        }
    }
}
