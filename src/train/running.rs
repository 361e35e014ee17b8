//! Running loss and score of an epoch.

use std::cell::{Ref, RefCell};

use tch::{Device, Kind, Tensor};

use super::objective::own_items;
use crate::distributed::World;
use crate::error::Result;
use crate::evaluate::ranking::TOP;
use crate::model::{Outputs, Tensors};

/// Running loss and score ([`Outputs::score_name`]), as sums on the device. Adding a step does not synchronize with the device; reading does.
///
/// ```
/// use cresset::train::Running;
/// use tch::{Device, Tensor};
///
/// let mut running = Running::new(Device::Cpu);
/// let logits = Tensor::from_slice2(&[[2f32, 0.], [2., 0.]]);
/// running.add(&Tensor::from(0.5f32), &logits, &Tensor::from_slice(&[0i64, 1]));
/// assert_eq!((running.loss(), running.score()), (0.5, 0.5));
/// ```
#[derive(Debug)]
pub struct Running(RefCell<RunningSums>);

#[derive(Debug)]
struct RunningSums {
    /// Sum of the loss over examples, float64.
    loss: Tensor,
    /// The score is the first sum over the second one, float64: correct predictions and examples; of labels, twice the true positives
    /// and all positives, predicted and true; of numbers, explained and total variance of the standardized targets.
    score: [Tensor; 2],
    outputs: Outputs,
    /// Number of examples; on the host, so that reading it does not wait.
    examples: i64,
    /// Steps not yet in the sums.
    pending: Vec<PendingStep>,
    /// The steps added to the sums last.
    recent: Vec<PendingStep>,
}

#[derive(Debug)]
struct PendingStep {
    examples: i64,
    /// Mean loss, a scalar.
    loss: Tensor,
    logits: Tensor,
    labels: Tensor,
}

/// A step with a NaN or infinite loss.
#[derive(Debug)]
pub(super) struct NonfiniteStep {
    /// How many steps ago it was: 1 for the last step.
    pub steps_back: usize,
    /// Its logits (N, classes).
    pub logits: Tensor,
    /// Its labels (N).
    pub labels: Tensor,
}

/// Number of steps that are added to the sums together. Six small operations per step took 17 µs of the 140 µs of a digits step;
/// now they run once per this many steps.
const FLUSH_EVERY: usize = 32;

/// The tensor, detached from the autograd graph if necessary.
fn detached(tensor: &Tensor) -> Tensor {
    if tensor.requires_grad() { tensor.detach() } else { tensor.shallow_clone() }
}

impl Running {
    /// Empty sums.
    pub fn new(device: Device) -> Self {
        Running::of(&Outputs::default(), device)
    }

    /// Empty sums for a network with these outputs.
    pub fn of(outputs: &Outputs, device: Device) -> Self {
        let zero = || Tensor::zeros([], (Kind::Double, device));
        Running(RefCell::new(RunningSums {
            loss: zero(),
            score: [zero(), zero()],
            outputs: outputs.clone(),
            examples: 0,
            pending: Vec::new(),
            recent: Vec::new(),
        }))
    }

    /// Adds a step: its mean loss, the outputs of the network (N, outputs) and the targets of the batch.
    pub fn add(&mut self, loss: &Tensor, logits: &Tensor, labels: &Tensor) {
        let sums = self.0.get_mut();
        sums.pending.push(PendingStep {
            examples: labels.size()[0],
            loss: detached(loss),
            logits: detached(logits),
            labels: labels.shallow_clone(),
        });
        if sums.pending.len() >= FLUSH_EVERY {
            sums.flush();
        }
    }

    /// The mean loss; NaN before the first step.
    pub fn loss(&self) -> f64 {
        let sums = self.sums();
        sums.loss.double_value(&[]) / sums.examples as f64
    }

    /// The score ([`Outputs::score_name`]); NaN before the first step.
    pub fn score(&self) -> f64 {
        let sums = self.sums();
        let [part, whole] = sums.score.each_ref().map(|sum| sum.double_value(&[]));
        // Without any positive, predicted or true, all labels are right.
        if sums.examples > 0 && whole == 0. { 1. } else { part / whole }
    }

    /// Whether the sums include all steps.
    pub(super) fn is_flushed(&self) -> bool {
        self.0.borrow().pending.is_empty()
    }

    /// The first of the last steps with a NaN or infinite loss, if the sum is NaN or infinite. Waits for the device.
    pub(super) fn nonfinite_step(&self) -> Option<NonfiniteStep> {
        let sums = self.sums();
        if sums.loss.double_value(&[]).is_finite() {
            return None;
        }
        let index = sums.recent.iter().position(|step| !step.loss.double_value(&[]).is_finite())?;
        let PendingStep { logits, labels, .. } = &sums.recent[index];
        let steps_back = sums.recent.len() - index;
        Some(NonfiniteStep { steps_back, logits: logits.shallow_clone(), labels: labels.shallow_clone() })
    }

    /// All-reduces the sums over all processes.
    pub fn all_reduce(&self, world: &World) -> Result<Running> {
        let sums = self.sums();
        let [part, whole] = sums.score.each_ref().map(|sum| sum.double_value(&[]));
        let local = [sums.loss.double_value(&[]), part, whole, sums.examples as f64];
        let mut all = Tensor::from_slice(&local);
        world.all_reduce_sum(&mut all)?;
        let mut running = Running::of(&sums.outputs, Device::Cpu);
        let total = running.0.get_mut();
        total.loss = all.get(0);
        // Integers below 2⁵³ are exact in float64.
        total.score = [all.get(1), all.get(2)];
        total.examples = all.double_value(&[3]) as i64;
        drop(sums);
        Ok(running)
    }

    /// The state for a checkpoint.
    pub fn state(&self) -> Tensors {
        let sums = self.sums();
        let state = [
            ("loss", sums.loss.copy()),
            ("score", Tensor::stack(&sums.score, 0)),
            ("rows", Tensor::from(sums.examples)),
        ];
        state.into_iter().map(|(name, tensor)| (name.to_string(), tensor)).collect()
    }

    /// Restores the state of a checkpoint.
    pub fn load_state(&mut self, state: &Tensors) -> std::result::Result<(), String> {
        let get = |name: &str| state.get(name).ok_or_else(|| format!("the running sum `{name}` is missing"));
        let sums = self.0.get_mut();
        sums.loss.copy_(get("loss")?);
        sums.examples = get("rows")?.int64_value(&[]);
        let score = match get("score") {
            Ok(score) => [score.get(0), score.get(1)],
            // Of a checkpoint of an earlier version.
            Err(missing) => [
                state.get("correct").ok_or(missing)?.to_kind(Kind::Double),
                Tensor::from(sums.examples as f64),
            ],
        };
        sums.score.iter_mut().zip(&score).for_each(|(sum, value)| sum.copy_(value));
        sums.pending.clear();
        sums.recent.clear();
        Ok(())
    }

    fn sums(&self) -> Ref<'_, RunningSums> {
        self.0.borrow_mut().flush();
        self.0.borrow()
    }
}

impl RunningSums {
    fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        tch::no_grad(|| {
            let pending = std::mem::take(&mut self.pending);
            let examples: Vec<_> = pending.iter().map(|step| step.examples as f64).collect();
            let losses = Tensor::stack(&pending.iter().map(|step| &step.loss).collect::<Vec<_>>(), 0);
            let logits = match &self.outputs {
                // The last batch may have another number of columns.
                Outputs::Ranking => {
                    Tensor::cat(&pending.iter().map(|step| gains(&step.logits)).collect::<Vec<_>>(), 0)
                }
                _ => Tensor::cat(&pending.iter().map(|step| &step.logits).collect::<Vec<_>>(), 0),
            };
            let labels = Tensor::cat(&pending.iter().map(|step| &step.labels).collect::<Vec<_>>(), 0);
            // In float64, the products of a float32 and a small integer are exact, so the grouping does not matter.
            let weighted =
                losses.to_kind(Kind::Double) * Tensor::from_slice(&examples).to_device(losses.device());
            let _ = self.loss.g_add_(&weighted.sum(Kind::Double));
            for (sum, part) in self.score.iter_mut().zip(score(&self.outputs, &logits, &labels)) {
                let _ = sum.g_add_(&part);
            }
            self.examples += labels.size()[0];
            self.recent = pending;
        })
    }
}

/// The gain (NDCG@10) of the item of each example among the items of its block, (N), by their scores (N, block).
fn gains(scores: &Tensor) -> Tensor {
    let own = scores.gather(1, &own_items(scores).unsqueeze(1), false);
    let above = scores.gt_tensor(&own).sum_dim_intlist(1, false, Kind::Float);
    (&above + 2.).log2().reciprocal() * above.lt(TOP as f64)
}

/// Numerator and denominator of the score of some examples, float64 scalars.
fn score(outputs: &Outputs, logits: &Tensor, targets: &Tensor) -> [Tensor; 2] {
    match outputs {
        Outputs::Classification => {
            let correct = logits.argmax(-1, false).eq_tensor(targets).sum(Kind::Double);
            // Examples without labels have the label -1.
            [correct, targets.ge(0).sum(Kind::Double)]
        }
        Outputs::Multilabel { .. } => {
            let decisions = outputs.decisions(&outputs.probabilities(logits)).to_kind(Kind::Double);
            let targets = targets.to_kind(Kind::Double);
            [(&decisions * &targets).sum(Kind::Double) * 2., (decisions + targets).sum(Kind::Double)]
        }
        Outputs::Ranking => {
            let count = Tensor::full([], targets.size()[0] as f64, (Kind::Double, logits.device()));
            [logits.sum(Kind::Double), count]
        }
        Outputs::Regression { .. } => {
            let targets = outputs.standardized(targets).to_kind(Kind::Double);
            let errors = (logits.to_kind(Kind::Double) - &targets).square().sum(Kind::Double);
            // The mean of the standardized targets of the training set is 0.
            let total = targets.square().sum(Kind::Double);
            [&total - errors, total]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 70 steps: two flushes, and some pending steps.
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
        assert_eq!(running.score(), accuracy);
    }
}
