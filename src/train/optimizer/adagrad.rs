//! Adagrad: Duchi, Hazan and Singer, "Adaptive Subgradient Methods", JMLR 12, 2011.

use super::{OptimizerKind, Rule};
use cresset_options::number::{NumberOption, Options};

/// The optimizer.
pub(crate) const ADAGRAD: OptimizerKind = OptimizerKind {
    name: "adagrad",
    summary: "Adagrad",
    options: &[
        NumberOption::real("lr_decay", 0., (0., 1.), "learning rate decay"),
        NumberOption::real("eps", 1e-10, (0., 1.), "added to the denominator"),
    ],
    state_names: |_| &["sum"],
    reads_lr_from_device: true,
    rule,
};

fn rule(options: &Options) -> Rule {
    let (lr_decay, eps) = (options.number("lr_decay"), options.number("eps"));
    Rule::Fused(Box::new(move |group, lr, weight_decay| group.adagrad_step(lr, lr_decay, eps, weight_decay)))
}
