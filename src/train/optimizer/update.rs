//! Update rules of tensor operations, for one parameter at a time.

use tch::{Kind, Tensor};

/// A parameter to update, with its gradient and state.
pub(crate) struct Update<'a> {
    /// The parameter, which requires no gradient here.
    pub parameter: Tensor,
    /// Its gradient.
    pub gradient: Tensor,
    /// Its state tensors, by [`OptimizerKind::state_names`](super::OptimizerKind::state_names).
    pub state: &'a [Tensor],
    /// The number of this step, from 1: a float32 scalar on the device of the parameter.
    pub step: &'a Tensor,
    /// The learning rate.
    pub lr: f64,
    /// The weight decay.
    pub weight_decay: f64,
}

impl Update<'_> {
    /// A state tensor, to be changed in place.
    pub fn state(&self, index: usize) -> Tensor {
        self.state[index].shallow_clone()
    }

    /// 1 - beta^step, the bias of a running mean with this decay that starts at zero: a float64 scalar on the device.
    pub fn bias_correction(&self, beta: f64) -> Tensor {
        1. - (self.step.to_kind(Kind::Double) * beta.ln()).exp()
    }

    /// Multiplies the parameter by 1 - lr · weight decay (decoupled weight decay).
    pub fn decay(&mut self) {
        if self.weight_decay != 0. {
            let _ = self.parameter.g_mul_scalar_(1. - self.lr * self.weight_decay);
        }
    }

    /// Subtracts `direction` times `rate` from the parameter.
    pub fn subtract(&mut self, direction: &Tensor, rate: f64) {
        let _ = self.parameter.g_sub_(&(direction * rate));
    }
}

/// Updates running means of gradients and of squared gradients, and returns Adam's direction: the quotient of the first and the root
/// of the second, both without bias.
pub(super) fn adam_direction(update: &Update, means: [usize; 2], betas: [f64; 2], eps: f64) -> Tensor {
    let [mut mean, mut square] = means.map(|index| update.state(index));
    let _ = mean.lerp_(&update.gradient, 1. - betas[0]);
    let _ = square
        .g_mul_scalar_(betas[1])
        .addcmul_(&update.gradient, &update.gradient.g_mul_scalar(1. - betas[1]));
    let [first, second] = betas.map(|beta| update.bias_correction(beta));
    let root = square.sqrt() / second.sqrt() + eps;
    mean / first / root
}
