//! Accumulates the loss and the sums of an evaluation over batches.

use cresset_bridge::kernels::tally::Tally;
use tch::{Device, Kind, Tensor};

use super::multilabel::LabelCounts;
use super::regression::ErrorSums;
use super::{ConfusionMatrix, Sums, cross_entropy, mean_loss};
use crate::error::Result;
use crate::model::Outputs;

/// The loss and the sums so far.
pub(super) struct MetricAccumulator {
    classes: usize,
    outputs: Outputs,
    sums: AccumulatedSums,
}

enum AccumulatedSums {
    /// Of classes, computed by the kernel for the CPU.
    Cpu(Tally),
    /// Of classes, computed by libtorch, on any device. Adding a batch does not synchronize with the device.
    Device {
        /// The summed loss, float64 scalar.
        loss: Tensor,
        /// The flattened confusion matrix, int64 (classes · classes).
        pairs: Tensor,
    },
    /// Of labels: the summed loss, and the decisions.
    Labels(f64, LabelCounts),
    /// Of numbers: the summed loss, and the errors.
    Values(f64, ErrorSums),
}

impl MetricAccumulator {
    /// Creates an empty accumulator for outputs on `device`.
    pub fn new(outputs: &Outputs, classes: usize, device: Device) -> Self {
        let sums = match outputs {
            Outputs::Classification => AccumulatedSums::of_classes(classes, device),
            Outputs::Multilabel { .. } => AccumulatedSums::Labels(0., LabelCounts::empty(classes)),
            Outputs::Regression { .. } => AccumulatedSums::Values(0., ErrorSums::default()),
            Outputs::Ranking => unreachable!("a ranking is evaluated by its RankingSet"),
        };
        MetricAccumulator { classes, outputs: outputs.clone(), sums }
    }

    /// Adds a batch: logits or numbers, float32 (N, outputs), and classes, int64 (N), or targets, float32 (N, outputs).
    pub fn add(&mut self, logits: &Tensor, labels: &Tensor) -> Result<()> {
        let (classes, outputs) = (self.classes as i64, &self.outputs);
        let loss_of_batch = || mean_loss(logits, labels, outputs).double_value(&[]) * logits.size()[0] as f64;
        match &mut self.sums {
            AccumulatedSums::Cpu(tally) => tally.add(logits, labels)?,
            AccumulatedSums::Device { loss, pairs } => {
                let _ = loss.g_add_(&(cross_entropy(logits, labels) * labels.size()[0]));
                let pair = labels * classes + logits.argmax(-1, false);
                let _ = pairs.g_add_(&pair.bincount::<Tensor>(None, classes * classes));
            }
            AccumulatedSums::Labels(loss, counts) => {
                *loss += loss_of_batch();
                counts.add(&LabelCounts::of(&outputs.decisions(&outputs.probabilities(logits)), labels));
            }
            AccumulatedSums::Values(loss, errors) => {
                *loss += loss_of_batch();
                errors.add(&ErrorSums::of(logits, labels));
            }
        }
        Ok(())
    }

    /// The mean loss and the sums.
    pub fn result(self) -> Result<(f64, Sums)> {
        let (loss, counts) = match self.sums {
            AccumulatedSums::Cpu(tally) => (tally.loss(), tally.pairs()),
            AccumulatedSums::Device { loss, pairs } => {
                let counts = Vec::<i64>::try_from(&pairs)?.iter().map(|count| *count as u64).collect();
                (loss.double_value(&[]), counts)
            }
            AccumulatedSums::Labels(loss, counts) => {
                return Ok((loss / counts.examples() as f64, Sums::Labels(counts)));
            }
            AccumulatedSums::Values(loss, errors) => {
                return Ok((loss / errors.examples() as f64, Sums::Values(errors)));
            }
        };
        let confusion = ConfusionMatrix::new(self.classes, counts);
        Ok((loss / confusion.total() as f64, Sums::Classes(confusion)))
    }
}

impl AccumulatedSums {
    fn of_classes(classes: usize, device: Device) -> Self {
        let tally = if device == Device::Cpu { Tally::new_if_enabled(classes) } else { None };
        tally.map_or_else(
            || AccumulatedSums::Device {
                loss: Tensor::zeros([], (Kind::Double, device)),
                pairs: Tensor::zeros([(classes * classes) as i64], (Kind::Int64, device)),
            },
            AccumulatedSums::Cpu,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the GPU code on the CPU and compares it with the CPU code.
    #[test]
    fn the_cpu_and_the_gpu_code_agree() {
        tch::manual_seed(3);
        let on_device = AccumulatedSums::Device {
            loss: Tensor::zeros([], (Kind::Double, Device::Cpu)),
            pairs: Tensor::zeros([25], (Kind::Int64, Device::Cpu)),
        };
        let (mut cpu, mut device) = (
            MetricAccumulator::new(&Outputs::Classification, 5, Device::Cpu),
            MetricAccumulator { classes: 5, outputs: Outputs::Classification, sums: on_device },
        );
        for rows in [40, 3] {
            let logits = Tensor::randn([rows, 5], (Kind::Float, Device::Cpu));
            let labels = Tensor::randint(5, [rows], (Kind::Int64, Device::Cpu));
            cpu.add(&logits, &labels).unwrap();
            device.add(&logits, &labels).unwrap();
        }
        let ((cpu_loss, cpu_pairs), (device_loss, device_pairs)) =
            (cpu.result().unwrap(), device.result().unwrap());
        assert!((cpu_loss - device_loss).abs() < 1e-6);
        assert_eq!(cpu_pairs, device_pairs);
    }
}
