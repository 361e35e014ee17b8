//! RMSprop: Hinton, "Neural Networks for Machine Learning", lecture 6, 2012, in PyTorch's formulation.

use super::{OptimizerKind, Rule};
use cresset_options::number::{NumberOption, Options};

/// The optimizer.
pub(crate) const RMSPROP: OptimizerKind = OptimizerKind {
    name: "rmsprop",
    summary: "RMSprop",
    options: &[
        NumberOption::real("alpha", 0.99, (0., 0.999_999), "decay of the running mean of squared gradients"),
        NumberOption::real("momentum", 0., (0., 0.9999), "momentum factor"),
        NumberOption::real("eps", 1e-8, (0., 1.), "added to the denominator"),
    ],
    state_names: |_| &["square_avg", "momentum_buffer"],
    reads_lr_from_device: false,
    rule,
};

fn rule(options: &Options) -> Rule {
    let [alpha, momentum, eps] = ["alpha", "momentum", "eps"].map(|name| options.number(name));
    Rule::Fused(Box::new(move |group, lr, weight_decay| {
        group.rmsprop_step(lr, alpha, momentum, eps, weight_decay)
    }))
}
