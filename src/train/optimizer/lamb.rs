//! LAMB: You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 Minutes", ICLR 2020.

use super::update::adam_direction;
use super::{OptimizerKind, Rule, adam};
use cresset_options::number::Options;

/// The optimizer.
pub(crate) const LAMB: OptimizerKind = OptimizerKind {
    name: "lamb",
    summary: "LAMB: AdamW with steps in proportion to the norms of the weights, for large batches",
    options: adam::OPTIONS,
    state_names: |_| &["exp_avg", "exp_avg_sq"],
    reads_lr_from_device: false,
    rule,
};

/// The paper's algorithm 2, with the identity for the scaling function. Biases and the parameters of normalization layers have no
/// trust ratio, as in the authors' code.
fn rule(options: &Options) -> Rule {
    let [beta1, beta2, eps] = ["beta1", "beta2", "eps"].map(|name| options.number(name));
    Rule::PerParameter(Box::new(move |mut update| {
        let mut direction = adam_direction(&update, [0, 1], [beta1, beta2], eps);
        if update.weight_decay != 0. {
            direction += &update.parameter * update.weight_decay;
        }
        if update.parameter.dim() > 1 {
            let (weights, length) = (update.parameter.norm(), direction.norm());
            let is_defined = weights.gt(0.).logical_and(&length.gt(0.));
            direction *=
                (weights / length).where_self(&is_defined, &is_defined.ones_like().to_kind(direction.kind()));
        }
        update.subtract(&direction, update.lr);
    }))
}
