//! Focal loss: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, with a softmax over the classes.

use tch::{Kind, Tensor};

use super::ObjectiveKind;
use crate::data::TaskKind;
use cresset_options::number::NumberOption;

/// The loss function.
pub(crate) const FOCAL: ObjectiveKind = ObjectiveKind {
    name: "focal",
    summary: "focal loss: cross-entropy with less weight on confident predictions",
    options: &[NumberOption::real("gamma", 2., (0., 100.), "focusing parameter; 0 is cross-entropy")],
    tasks: &[TaskKind::Classification],
    loss: |options, input| {
        let log = input.logits.log_softmax(-1, None::<Kind>);
        let complement: Tensor = 1. - log.exp();
        let focus = complement.pow_tensor_scalar(options.number("gamma"));
        input.reduce(&-(input.targets() * focus * log).sum_dim_intlist(1, false, None::<Kind>))
    },
};
