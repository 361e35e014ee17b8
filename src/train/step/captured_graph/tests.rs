//! Captured steps on the CPU, with a fake recorder: recording runs the step, and a replay does nothing. Everything but the graph
//! itself is as on a GPU.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tch::Device;

use super::*;
use crate::data::InputShape;
use crate::model::Task;
use crate::train::step::Step;
use crate::train::{AverageKind, Learner, Plan, TrainOptions};

/// Number of calls of aside, record and replay.
type Counts = Arc<[AtomicUsize; 3]>;

struct Running(Counts);

impl Recorder for Running {
    fn aside(&mut self, work: &mut dyn FnMut()) -> Result<()> {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        work();
        Ok(())
    }

    fn record(&mut self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.0[1].fetch_add(1, Ordering::Relaxed);
        work()
    }

    fn replay(&mut self) -> Result<()> {
        self.0[2].fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Refuses to record, as a model does that reads a value of the device.
struct Refusing;

impl Recorder for Refusing {
    fn aside(&mut self, work: &mut dyn FnMut()) -> Result<()> {
        work();
        Ok(())
    }

    fn record(&mut self, _: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        Err(Error::Usage("operation not permitted when stream is capturing".into()))
    }

    fn replay(&mut self) -> Result<()> {
        unreachable!("nothing was recorded")
    }
}

const BATCH: i64 = 8;

struct Bench {
    network: Network,
    learner: Learner,
}

impl Bench {
    /// A learner with dropout, a moving average and this optimizer.
    fn new(optimizer: &str) -> Self {
        let training =
            TrainOptions { average: AverageKind::Ema, weight_decay: 0.01, ..TrainOptions::default() };
        let plan = Plan {
            optimizer: optimizer.to_string(),
            options: training,
            ..Plan::new(10, BATCH as u32, 0.001)
        };
        let task = Task::new(InputShape(vec![1, 8, 8]), 3);
        let network = Network::new("cnn", "width=2", &task, Device::Cpu, 1).unwrap();
        let learner = Learner::new(&plan, &network).unwrap();
        Bench { network, learner }
    }

    fn recorded_by(mut self, recorder: impl Recorder + 'static) -> Self {
        let optimizer = &mut self.learner.context.optimizer;
        let capture = Capture::new(Box::new(recorder), optimizer, Device::Cpu).unwrap();
        self.learner.step = Some(Step::CapturedGraph(capture));
        self
    }

    /// One step; the next one is recorded anew.
    fn step(&mut self, batch: &Batch, lr: f64) -> Result<(Tensor, Tensor)> {
        let outcome = self.learner.step(&self.network, batch, lr)?;
        if let Some(Step::CapturedGraph(capture)) = &mut self.learner.step {
            capture.captured = None;
        }
        let StepOutcome::Learned { loss, logits } = outcome else { panic!("the loss is no number") };
        Ok((loss.detach(), logits.detach()))
    }

    fn state(&self) -> Vec<Tensor> {
        let optimizer = self.learner.context.optimizer.state().values().map(Tensor::copy);
        let average = self.learner.context.average.state().into_values();
        self.network
            .state()
            .into_values()
            .map(|tensor| tensor.detach().copy())
            .chain(optimizer)
            .chain(average)
            .collect()
    }
}

fn batch(number: i64, rows: i64) -> Batch {
    let inputs =
        (Tensor::arange(rows * 64, (Kind::Float, Device::Cpu)) * (number + 1)).sin().view([rows, 1, 8, 8]);
    let labels = (Tensor::arange(rows, (Kind::Int64, Device::Cpu)) + number).remainder(3);
    Batch::new(inputs, labels)
}

/// Ten steps, the seventh of them of a smaller batch, at rates that float32 holds exactly.
fn train(mut bench: Bench) -> (Vec<(Tensor, Tensor)>, Vec<Tensor>) {
    tch::manual_seed(3);
    let step = |number: i64| {
        let rows = if number == 6 { 5 } else { BATCH };
        bench.step(&batch(number, rows), [0.0625, 0.03125][number as usize % 2]).unwrap()
    };
    let outcomes = (0..10).map(step).collect();
    (outcomes, bench.state())
}

#[test]
fn captured_steps_are_bit_identical_for_every_optimizer_that_supports_capture() {
    for optimizer in ["adam", "adamw", "sgd", "adagrad"] {
        let counts = Counts::default();
        let recorded = train(Bench::new(optimizer).recorded_by(Running(Arc::clone(&counts))));
        assert!(recorded == train(Bench::new(optimizer)), "{optimizer}");
        let counts = counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counts, [3, 6, 6], "{optimizer}: aside, record, replay");
    }
    assert!(!Bench::new("rmsprop").learner.context.optimizer.can_read_lr_from_device());
}

#[test]
fn a_step_that_cannot_be_captured_and_all_later_ones_run_eagerly() {
    let mut bench = Bench::new("adam").recorded_by(Refusing);
    tch::manual_seed(3);
    for number in 0..5 {
        drop(bench.step(&batch(number, BATCH), 0.0625).unwrap());
    }
    assert!(matches!(bench.learner.step, Some(Step::Eager)));
    let mut other = Bench::new("adam");
    tch::manual_seed(3);
    for number in 0..5 {
        drop(other.step(&batch(number, BATCH), 0.0625).unwrap());
    }
    assert!(bench.state() == other.state());
}

#[test]
fn a_nan_loss_updates_nothing_and_is_reported_by_the_next_check() {
    let mut bench = Bench::new("adam").recorded_by(Running(Counts::default()));
    for number in 0..4 {
        drop(bench.step(&batch(number, BATCH), 0.0625).unwrap());
    }
    bench.learner.check().unwrap();
    let before = bench.network.parameters().into_values().map(|tensor| tensor.detach().copy());
    let before: Vec<_> = before.collect();
    let fault = batch(4, BATCH);
    let _ = fault.inputs.get(2).fill_(f64::NAN);
    assert!(bench.step(&fault, 0.0625).unwrap().0.double_value(&[]).is_nan());
    let after: Vec<_> = bench.network.parameters().into_values().map(|tensor| tensor.detach()).collect();
    assert!(before == after, "the weights changed");
    assert!(
        bench.learner.context.optimizer.state()["step.0"].double_value(&[]) == 4.,
        "the step was counted"
    );
    for problem in [bench.learner.check(), bench.learner.update(&bench.network, 0.0625)] {
        let problem = problem.unwrap_err().to_string();
        assert!(problem.contains("1 of the last 2 batches was NaN or infinite"), "{problem}");
    }
    // Without a question, the host looks by itself after a while.
    let later =
        (5..5 + i64::from(CHECK_EVERY)).find_map(|number| bench.step(&batch(number, BATCH), 0.0625).err());
    assert!(matches!(later, Some(Error::Diverged(_))));
}

#[test]
fn newly_trained_parameters_are_captured_after_warm_up_steps() {
    let counts = Counts::default();
    let mut bench = Bench::new("sgd").recorded_by(Running(Arc::clone(&counts)));
    bench.network.train_only_head(true);
    let inner = |bench: &Bench| bench.network.parameters()["fc1.weight"].detach().copy();
    let first = inner(&bench);
    // Not by `Bench::step`, which forgets each recording.
    let step = |bench: &mut Bench, number| {
        bench.learner.step(&bench.network, &batch(number, BATCH), 0.0625).unwrap()
    };
    (0..4).for_each(|number| drop(step(&mut bench, number)));
    let read_if_exists = || counts.each_ref().map(|count| count.load(Ordering::Relaxed));
    assert_eq!(read_if_exists(), [3, 1, 1]);
    assert_eq!(inner(&bench), first);
    bench.network.train_only_head(false);
    (4..8).for_each(|number| drop(step(&mut bench, number)));
    assert_eq!(read_if_exists(), [6, 2, 2]);
    assert_ne!(inner(&bench), first);
}

#[test]
fn the_cpu_never_captures() {
    for choice in [CudaGraph::Auto, CudaGraph::Yes, CudaGraph::No] {
        let mut bench = Bench::new("adam");
        bench.learner.context.options.cuda_graph = choice;
        drop(bench.step(&batch(0, BATCH), 0.0625).unwrap());
        assert!(matches!(bench.learner.step, Some(Step::Eager)), "{choice:?}");
    }
}
