//! Adam: Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.

use cresset_bridge::optimizer::Adam;

use super::{OptimizerKind, Rule};
use cresset_options::number::{NumberOption, Options};

/// The optimizer.
pub(crate) const ADAM: OptimizerKind = OptimizerKind {
    name: "adam",
    summary: "Adam; weight decay is added to the gradient (L2 regularization)",
    options: OPTIONS,
    state_names: |_| &["exp_avg", "exp_avg_sq"],
    reads_lr_from_device: true,
    rule: |options| rule(options, false),
};

/// The options of Adam and of its variants.
pub(super) const OPTIONS: &[NumberOption] = &[
    NumberOption::real("beta1", 0.9, (0., 0.9999), "decay of the running mean of gradients"),
    NumberOption::real("beta2", 0.999, (0., 0.999_999), "decay of the running mean of squared gradients"),
    NumberOption::real("eps", 1e-8, (0., 1.), "added to the denominator"),
];

pub(super) fn rule(options: &Options, decoupled: bool) -> Rule {
    let [beta1, beta2, eps] = ["beta1", "beta2", "eps"].map(|name| options.number(name));
    Rule::Fused(Box::new(move |group, lr, weight_decay| {
        group.adam_step(lr, Adam { beta1, beta2, eps, weight_decay, decoupled })
    }))
}
