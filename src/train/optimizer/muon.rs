//! Muon: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. The scale of the steps is that of Liu et al.,
//! "Muon is Scalable for LLM Training", 2025, so that the learning rate and the weight decay of AdamW can be used.

use tch::{Kind, Tensor};

use super::update::{Update, adam_direction};
use super::{OptimizerKind, Parameter, Rule};
use cresset_options::number::{NumberOption, Options};

/// The optimizer.
pub(crate) const MUON: OptimizerKind = OptimizerKind {
    name: "muon",
    summary: "Muon: orthogonalized momentum for the matrices of hidden layers, AdamW for the other parameters",
    options: &[
        NumberOption::real("momentum", 0.95, (0., 0.9999), "decay of the momentum"),
        NumberOption::whole("nesterov", 1, (0, 1), "1 uses Nesterov momentum"),
        NumberOption::whole("iterations", 5, (1, 99), "Newton-Schulz iterations"),
        NumberOption::real("beta1", 0.9, (0., 0.9999), "AdamW: decay of the running mean of gradients"),
        NumberOption::real(
            "beta2",
            0.999,
            (0., 0.999_999),
            "AdamW: decay of the running mean of squared gradients",
        ),
        NumberOption::real("eps", 1e-8, (0., 1.), "AdamW: added to the denominator"),
    ],
    state_names: |parameter| match is_orthogonalized(parameter) {
        true => &["momentum_buffer"],
        false => &["exp_avg", "exp_avg_sq"],
    },
    reads_lr_from_device: false,
    rule,
};

/// The coefficients of the Newton-Schulz iteration.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.7750, 2.0315];

/// The minimum of the norm by which a matrix is divided.
const MIN_NORM: f64 = 1e-7;

/// The ratio of the root mean square of AdamW's steps to the learning rate.
const ADAMW_RMS: f64 = 0.2;

/// Whether a parameter is a matrix of a hidden layer. The filters of a convolution are the rows of a matrix.
fn is_orthogonalized(parameter: &Parameter) -> bool {
    parameter.tensor.dim() > 1 && !parameter.is_head
}

fn rule(options: &Options) -> Rule {
    let [momentum, nesterov, iterations, beta1, beta2, eps] =
        ["momentum", "nesterov", "iterations", "beta1", "beta2", "eps"].map(|name| options.number(name));
    Rule::PerParameter(Box::new(move |mut update: Update| {
        update.decay();
        if update.state.len() == 2 {
            let direction = adam_direction(&update, [0, 1], [beta1, beta2], eps);
            return update.subtract(&direction, update.lr);
        }
        let mut buffer = update.state(0);
        let _ = buffer.lerp_(&update.gradient, 1. - momentum);
        let ahead = match nesterov > 0. {
            true => update.gradient.lerp(&buffer, momentum),
            false => buffer,
        };
        let rows = ahead.size()[0];
        let matrix = ahead.reshape([rows, -1]);
        let longer = rows.max(matrix.size()[1]) as f64;
        let direction = orthogonalized(&matrix, iterations as u32).view_as(&update.parameter);
        update.subtract(&direction, update.lr * ADAMW_RMS * longer.sqrt());
    }))
}

/// A matrix with the singular vectors of `matrix` and singular values near 1, by the Newton-Schulz iteration: in bfloat16 on a GPU.
fn orthogonalized(matrix: &Tensor, iterations: u32) -> Tensor {
    let [a, b, c] = COEFFICIENTS;
    let is_tall = matrix.size()[0] > matrix.size()[1];
    let kind = if matrix.device().is_cuda() { Kind::BFloat16 } else { matrix.kind() };
    let mut x = if is_tall { matrix.tr() } else { matrix.shallow_clone() }.to_kind(kind);
    x = &x / x.norm().clamp_min(MIN_NORM);
    for _ in 0..iterations {
        let gram = x.matmul(&x.tr());
        let polynomial = &gram * b + gram.matmul(&gram) * c;
        x = &x * a + polynomial.matmul(&x);
    }
    if is_tall { x.tr() } else { x }.to_kind(matrix.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn singular_values_become_about_one() {
        tch::manual_seed(3);
        for size in [[5, 12], [12, 5], [7, 7]] {
            let matrix = Tensor::randn(size, (Kind::Float, Device::Cpu));
            let (left, before, right) = matrix.svd(true, true);
            let found = orthogonalized(&matrix, 5);
            // In the basis of the singular vectors of the matrix, it is diagonal.
            let values = left.tr().matmul(&found).matmul(&right);
            let diagonal = values.diag(0);
            assert!((&values - diagonal.diag(0)).abs().max().double_value(&[]) < 1e-3, "{values}");
            // A value below a tenth of the largest takes more iterations.
            let is_large = before.gt_tensor(&(before.max() * 0.1));
            let large = diagonal.masked_select(&is_large);
            assert!(large.min().double_value(&[]) > 0.5 && large.max().double_value(&[]) < 1.3, "{diagonal}");
        }
    }
}
