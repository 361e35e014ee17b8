//! Adan: Xie et al., "Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models", TPAMI 2024.

use super::{OptimizerKind, Rule};
use cresset_options::number::{NumberOption, Options};

/// The optimizer.
pub(crate) const ADAN: OptimizerKind = OptimizerKind {
    name: "adan",
    summary: "Adan, with Nesterov momentum from differences of gradients; four state tensors for each parameter",
    options: &[
        NumberOption::real("beta1", 0.98, (0., 0.9999), "decay of the running mean of gradients"),
        NumberOption::real(
            "beta2",
            0.92,
            (0., 0.9999),
            "decay of the running mean of differences of gradients",
        ),
        NumberOption::real("beta3", 0.99, (0., 0.999_999), "decay of the running mean of squares"),
        NumberOption::real("eps", 1e-8, (0., 1.), "added to the denominator"),
    ],
    state_names: |_| &["exp_avg", "exp_avg_diff", "exp_avg_sq", "pre_grad"],
    reads_lr_from_device: false,
    rule,
};

fn rule(options: &Options) -> Rule {
    let [beta1, beta2, beta3, eps] = ["beta1", "beta2", "beta3", "eps"].map(|name| options.number(name));
    Rule::PerParameter(Box::new(move |mut update| {
        let [mut mean, mut difference_mean, mut square, mut previous] =
            [0, 1, 2, 3].map(|index| update.state(index));
        let gradient = &update.gradient;
        // The first step has no difference.
        let difference = (gradient - &previous) * update.step.gt(1.).to_kind(gradient.kind());
        let _ = mean.lerp_(gradient, 1. - beta1);
        let _ = difference_mean.lerp_(&difference, 1. - beta2);
        let ahead = gradient + &difference * beta2;
        let _ = square.g_mul_scalar_(beta3).addcmul_(&ahead, &ahead.g_mul_scalar(1. - beta3));
        previous.copy_(gradient);

        let root = square.sqrt() / update.bias_correction(beta3).sqrt() + eps;
        let direction =
            mean / update.bias_correction(beta1) + difference_mean * beta2 / update.bias_correction(beta2);
        update.subtract(&(direction / root), update.lr);
        let _ = update.parameter.g_div_scalar_(1. + update.lr * update.weight_decay);
    }))
}
