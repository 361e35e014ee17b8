//! Adam: Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.

use cresset_bridge::optimizer::Adam as Hyperparameters;

use super::{Optimizer, OptimizerKind, Slots};
use crate::error::Result;
use crate::model::Tensors;

/// The optimizer.
pub const ADAM: OptimizerKind = OptimizerKind {
    name: "adam",
    summary: "Adam (β 0.9 and 0.999), each weight with a rate of its own",
    build: |parameters| Ok(Box::new(Adam(Slots::new(parameters, "exp_avg", Some("exp_avg_sq"))?))),
};

struct Adam(Slots);

impl Optimizer for Adam {
    fn step(&mut self, lr: f64) -> Result<()> {
        Ok(self.0.group.adam_step(lr, Hyperparameters::default())?)
    }

    fn clear_gradients(&mut self) -> Result<()> {
        Ok(self.0.group.clear_gradients()?)
    }

    fn state(&self) -> &Tensors {
        &self.0.state
    }
}
