//! Loss and accuracy over the steps of an epoch so far.

use std::cell::{Ref, RefCell};

use tch::{Device, Kind, Tensor};

use crate::distributed::World;
use crate::error::Result;
use crate::model::Tensors;

/// Sums that stay on the device: adding to them never waits for it, reading them does.
#[derive(Debug)]
pub struct Running(RefCell<Sums>);

#[derive(Debug)]
struct Sums {
    /// Sum of the loss over rows, float64.
    loss: Tensor,
    /// Rows classified rightly, int64.
    correct: Tensor,
    /// Rows; on the CPU, where it costs no wait.
    rows: i64,
    /// Steps that are not in the sums yet.
    pending: Vec<Step>,
    /// The steps that were summed up last.
    recent: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    rows: i64,
    /// Mean, a scalar.
    loss: Tensor,
    logits: Tensor,
    labels: Tensor,
}

/// A step whose loss was no number.
#[derive(Debug)]
pub(super) struct BadStep {
    /// How many steps it is back: 1 for the last one.
    pub back: usize,
    /// Its logits (N, classes).
    pub logits: Tensor,
    /// Its labels (N).
    pub labels: Tensor,
}

/// Steps that are summed up together. Six small operations a step took 17 µs of the digits' 140; now they are done once
/// in so many steps.
const TOGETHER: usize = 32;

/// The tensor without autograd's record of it, if it has one.
fn unrecorded(tensor: &Tensor) -> Tensor {
    if tensor.requires_grad() { tensor.detach() } else { tensor.shallow_clone() }
}

impl Running {
    /// Nothing yet.
    pub fn new(device: Device) -> Self {
        let (loss, correct) =
            (Tensor::zeros([], (Kind::Double, device)), Tensor::zeros([], (Kind::Int64, device)));
        Running(RefCell::new(Sums { loss, correct, rows: 0, pending: Vec::new(), recent: Vec::new() }))
    }

    /// Adds a step: its mean loss, logits (N, classes) and labels (N).
    pub fn add(&mut self, loss: &Tensor, logits: &Tensor, labels: &Tensor) {
        let sums = self.0.get_mut();
        sums.pending.push(Step {
            rows: labels.size()[0],
            loss: unrecorded(loss),
            logits: unrecorded(logits),
            labels: labels.shallow_clone(),
        });
        if sums.pending.len() >= TOGETHER {
            sums.sum_up();
        }
    }

    /// The mean loss; NaN before the first step.
    pub fn loss(&self) -> f64 {
        let sums = self.sums();
        sums.loss.double_value(&[]) / sums.rows as f64
    }

    /// The share of rows classified rightly; NaN before the first step.
    pub fn accuracy(&self) -> f64 {
        let sums = self.sums();
        sums.correct.int64_value(&[]) as f64 / sums.rows as f64
    }

    /// Whether the sums have just taken in all steps.
    pub(super) fn is_summed_up(&self) -> bool {
        self.0.borrow().pending.is_empty()
    }

    /// The first of the last steps whose loss was no number, if the sum is none. Waits for the device.
    pub(super) fn bad_step(&self) -> Option<BadStep> {
        let sums = self.sums();
        if sums.loss.double_value(&[]).is_finite() {
            return None;
        }
        let place = sums.recent.iter().position(|step| !step.loss.double_value(&[]).is_finite())?;
        let Step { logits, labels, .. } = &sums.recent[place];
        let back = sums.recent.len() - place;
        Some(BadStep { back, logits: logits.shallow_clone(), labels: labels.shallow_clone() })
    }

    /// The sums over all processes.
    pub fn over(&self, world: &World) -> Result<Running> {
        let sums = self.sums();
        let own = [sums.loss.double_value(&[]), sums.correct.int64_value(&[]) as f64, sums.rows as f64];
        let mut all = Tensor::from_slice(&own);
        world.sum(&mut all)?;
        let mut running = Running::new(Device::Cpu);
        let total = running.0.get_mut();
        total.loss = all.get(0);
        // Whole numbers below 2⁵³ are exact.
        total.correct = all.get(1).to_kind(Kind::Int64);
        total.rows = all.double_value(&[2]) as i64;
        drop(sums);
        Ok(running)
    }

    /// What a checkpoint keeps.
    pub fn state(&self) -> Tensors {
        let sums = self.sums();
        let state =
            [("loss", sums.loss.copy()), ("correct", sums.correct.copy()), ("rows", Tensor::from(sums.rows))];
        state.into_iter().map(|(name, tensor)| (name.to_string(), tensor)).collect()
    }

    /// Goes on from what a checkpoint kept.
    pub fn load_state(&mut self, state: &Tensors) -> std::result::Result<(), String> {
        let get = |name: &str| state.get(name).ok_or_else(|| format!("the running sum `{name}` is missing"));
        let sums = self.0.get_mut();
        sums.loss.copy_(get("loss")?);
        sums.correct.copy_(get("correct")?);
        sums.rows = get("rows")?.int64_value(&[]);
        sums.pending.clear();
        sums.recent.clear();
        Ok(())
    }

    fn sums(&self) -> Ref<'_, Sums> {
        self.0.borrow_mut().sum_up();
        self.0.borrow()
    }
}

impl Sums {
    fn sum_up(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        tch::no_grad(|| {
            let pending = std::mem::take(&mut self.pending);
            let rows: Vec<_> = pending.iter().map(|step| step.rows as f64).collect();
            let losses = Tensor::stack(&pending.iter().map(|step| &step.loss).collect::<Vec<_>>(), 0);
            let logits = Tensor::cat(&pending.iter().map(|step| &step.logits).collect::<Vec<_>>(), 0);
            let labels = Tensor::cat(&pending.iter().map(|step| &step.labels).collect::<Vec<_>>(), 0);
            // In float64, where the products of a float32 and a small whole number are exact, so the order is no matter.
            let weighted =
                losses.to_kind(Kind::Double) * Tensor::from_slice(&rows).to_device(losses.device());
            let _ = self.loss.g_add_(&weighted.sum(Kind::Double));
            let _ = self.correct.g_add_(&logits.argmax(-1, false).eq_tensor(&labels).sum(Kind::Int64));
            self.rows += labels.size()[0];
            self.recent = pending;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 70 steps: two rounds of summing up, and some steps pending.
    #[test]
    fn the_sums_are_those_of_all_steps_wherever_they_are_read_or_restored() {
        tch::manual_seed(1);
        let steps: Vec<_> = (0..70i64)
            .map(|step| {
                let rows = 1 + step % 3;
                let logits = Tensor::randn([rows, 4], (Kind::Float, Device::Cpu));
                (
                    Tensor::from(step as f32 / 7.),
                    logits,
                    Tensor::randint(4, [rows], (Kind::Int64, Device::Cpu)),
                )
            })
            .collect();
        let rows: f64 = steps.iter().map(|(.., labels)| labels.size()[0] as f64).sum();
        let weighted =
            |(loss, _, labels): &(Tensor, Tensor, Tensor)| loss.double_value(&[]) * labels.size()[0] as f64;
        let loss = steps.iter().map(weighted).sum::<f64>() / rows;
        let right = steps
            .iter()
            .map(|(_, logits, labels)| logits.argmax(-1, false).eq_tensor(labels).sum(Kind::Int64));
        let accuracy = right.map(|right| right.int64_value(&[])).sum::<i64>() as f64 / rows;

        let mut running = Running::new(Device::Cpu);
        for (step, (loss, logits, labels)) in steps.iter().enumerate() {
            running.add(loss, logits, labels);
            if step == 40 {
                let mut restored = Running::new(Device::Cpu);
                restored.load_state(&running.state()).unwrap();
                running = restored;
            }
        }
        assert!((running.loss() - loss).abs() < 1e-12);
        assert_eq!(running.accuracy(), accuracy);
    }
}
