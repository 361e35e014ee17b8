//! Lion: Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023.

use super::{OptimizerKind, Rule};
use cresset_options::number::{NumberOption, Options};

/// The optimizer.
pub(crate) const LION: OptimizerKind = OptimizerKind {
    name: "lion",
    summary: "Lion, by the signs of the momentum; needs a tenth to a third of AdamW's learning rate",
    options: &[
        NumberOption::real("beta1", 0.9, (0., 0.9999), "weight of the momentum in the update"),
        NumberOption::real("beta2", 0.99, (0., 0.999_999), "decay of the momentum"),
    ],
    state_names: |_| &["exp_avg"],
    reads_lr_from_device: false,
    rule,
};

fn rule(options: &Options) -> Rule {
    let [beta1, beta2] = ["beta1", "beta2"].map(|name| options.number(name));
    Rule::PerParameter(Box::new(move |mut update| {
        let mut momentum = update.state(0);
        let direction = momentum.lerp(&update.gradient, 1. - beta1).sign();
        update.decay();
        update.subtract(&direction, update.lr);
        let _ = momentum.lerp_(&update.gradient, 1. - beta2);
    }))
}
