//! AdamW: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.

use super::OptimizerKind;
use super::adam::{OPTIONS, rule};

/// The optimizer.
pub(crate) const ADAMW: OptimizerKind = OptimizerKind {
    name: "adamw",
    summary: "Adam with decoupled weight decay",
    options: OPTIONS,
    state_names: |_| &["exp_avg", "exp_avg_sq"],
    reads_lr_from_device: true,
    rule: |options| rule(options, true),
};
