//! Cross-entropy, if wanted with smoothed labels (Szegedy et al., "Rethinking the Inception Architecture", 2016).

use super::ObjectiveKind;
use cresset_options::number::NumberOption;

/// The objective.
pub const CROSS_ENTROPY: ObjectiveKind = ObjectiveKind {
    name: "cross-entropy",
    summary: "cross-entropy between the softmax of the logits and the class",
    options: &[NumberOption::real(
        "smoothing",
        0.,
        (0., 0.99),
        "share of the label that is spread over all classes",
    )],
    loss: |options, of| {
        let smoothing = options.number("smoothing");
        of.logits.cross_entropy_loss(of.labels, of.weights, of.reduction, IGNORED_LABEL, smoothing)
    },
};

/// PyTorch's mark of a row without a label; no data set of ours has such rows.
const IGNORED_LABEL: i64 = -100;
