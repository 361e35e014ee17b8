//! Loss and accuracy over the steps of an epoch so far.

use tch::{Device, Kind, Tensor};

use crate::model::Tensors;

/// Sums that stay on the device: adding to them never waits for it, reading them does.
#[derive(Debug)]
pub struct Running {
    /// Sum of the loss over rows, float64.
    loss: Tensor,
    /// Rows classified rightly, int64.
    correct: Tensor,
    /// Rows, int64; on the CPU, where it costs no wait.
    rows: i64,
}

impl Running {
    /// Nothing yet.
    pub fn new(device: Device) -> Self {
        Running {
            loss: Tensor::zeros([], (Kind::Double, device)),
            correct: Tensor::zeros([], (Kind::Int64, device)),
            rows: 0,
        }
    }

    /// Adds a step: its mean loss, logits (N, classes) and labels (N).
    pub fn add(&mut self, loss: &Tensor, logits: &Tensor, labels: &Tensor) {
        tch::no_grad(|| {
            let rows = labels.size()[0];
            let _ = self.loss.g_add_(&(loss * rows));
            let _ = self.correct.g_add_(&logits.argmax(-1, false).eq_tensor(labels).sum(Kind::Int64));
            self.rows += rows;
        })
    }

    /// The mean loss; NaN before the first step.
    pub fn loss(&self) -> f64 {
        self.loss.double_value(&[]) / self.rows as f64
    }

    /// The share of rows classified rightly; NaN before the first step.
    pub fn accuracy(&self) -> f64 {
        self.correct.int64_value(&[]) as f64 / self.rows as f64
    }

    /// What a checkpoint keeps.
    pub fn state(&self) -> Tensors {
        let state =
            [("loss", self.loss.copy()), ("correct", self.correct.copy()), ("rows", Tensor::from(self.rows))];
        state.into_iter().map(|(name, tensor)| (name.to_string(), tensor)).collect()
    }

    /// Goes on from what a checkpoint kept.
    pub fn load_state(&mut self, state: &Tensors) -> Result<(), String> {
        let get = |name: &str| {
            state.get(name).ok_or_else(|| format!("the tensor `{name}` of the running sums is missing"))
        };
        self.loss.copy_(get("loss")?);
        self.correct.copy_(get("correct")?);
        self.rows = get("rows")?.int64_value(&[]);
        Ok(())
    }
}
