//! Focal loss: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, with a softmax over the classes.

use tch::{Kind, Tensor};

use super::ObjectiveKind;
use cresset_options::number::NumberOption;

/// The objective.
pub const FOCAL: ObjectiveKind = ObjectiveKind {
    name: "focal",
    summary: "cross-entropy that counts examples less the surer they are",
    options: &[NumberOption::real("gamma", 2., (0., 100.), "how much less; with 0 it is the cross-entropy")],
    loss: |options, of| {
        let log = of.logits.log_softmax(-1, None::<Kind>);
        let unsure: Tensor = 1. - log.exp();
        let focus = unsure.pow_tensor_scalar(options.number("gamma"));
        of.reduced(&-(of.targets() * focus * log).sum_dim_intlist(1, false, None::<Kind>))
    },
};
