//! Stochastic gradient descent with momentum: Polyak 1964, in PyTorch's formulation: v ← μv + g, w ← w − ηv.

use super::{OptimizerKind, Rule};
use cresset_options::number::{NumberOption, Options};

/// The optimizer.
pub const SGD: OptimizerKind = OptimizerKind {
    name: "sgd",
    summary: "stochastic gradient descent with momentum",
    options: &[
        NumberOption::real("momentum", 0.9, (0., 0.9999), "momentum factor"),
        NumberOption::whole("nesterov", 0, (0, 1), "1: Nesterov momentum"),
    ],
    state_names: |_| &["momentum_buffer"],
    reads_lr_from_device: true,
    rule,
};

fn rule(options: &Options) -> Rule {
    let momentum = options.number("momentum");
    // Nesterov momentum requires a momentum.
    let nesterov = options.whole("nesterov") == 1 && momentum > 0.;
    Rule::Fused(Box::new(move |group, lr, weight_decay| group.sgd_step(lr, momentum, nesterov, weight_decay)))
}
