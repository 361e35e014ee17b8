//! Stochastic gradient descent with momentum: Polyak 1964; the form is PyTorch's, v ← μv + g, w ← w − ηv.

use super::{Optimizer, OptimizerKind, Slots};
use crate::error::Result;
use crate::model::Tensors;

/// The optimizer.
pub const SGD: OptimizerKind = OptimizerKind {
    name: "sgd",
    summary: "stochastic gradient descent with momentum 0.9",
    build: |parameters| Ok(Box::new(Sgd(Slots::new(parameters, "momentum_buffer", None)?))),
};

const MOMENTUM: f64 = 0.9;

struct Sgd(Slots);

impl Optimizer for Sgd {
    fn step(&mut self, lr: f64) -> Result<()> {
        Ok(self.0.group.sgd_step(lr, MOMENTUM, 0.)?)
    }

    fn clear_gradients(&mut self) -> Result<()> {
        Ok(self.0.group.clear_gradients()?)
    }

    fn state(&self) -> &Tensors {
        &self.0.state
    }
}
