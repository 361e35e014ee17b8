//! Metrics of multi-label classification, where an example has any number of labels.
//!
//! Each label is a binary decision of its own: its probability is the sigmoid of its logit, and the label is assigned if the
//! probability reaches the threshold of the label.

mod average_precision;
mod counts;
#[cfg(test)]
mod tests;
mod thresholds;

use tch::{Device, Kind, Tensor};

pub use average_precision::{average_precision, average_precisions, mean_average_precision};
pub use counts::LabelCounts;
pub use thresholds::tune;

/// The values (N, labels) of each label, and whether each example has the label (multi-hot targets, (N, labels)).
fn columns(values: &Tensor, targets: &Tensor) -> Vec<(Vec<f64>, Vec<bool>)> {
    let by_label = |tensor: &Tensor| tensor.to_device(Device::Cpu).transpose(0, 1).contiguous();
    let (values, targets) = (by_label(&values.to_kind(Kind::Double)), by_label(&targets.gt(0.5)));
    let column = |label| {
        let values = Vec::try_from(values.get(label)).expect("a column has one dimension");
        (values, Vec::try_from(targets.get(label)).expect("a column has one dimension"))
    };
    (0..values.size()[0]).map(column).collect()
}
