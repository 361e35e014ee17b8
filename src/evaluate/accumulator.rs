//! Accumulates the loss and the confusion matrix over batches.

use cresset_bridge::kernels::tally::Tally;
use tch::{Device, Kind, Tensor};

use super::{ConfusionMatrix, cross_entropy};
use crate::error::Result;

/// The loss and the confusion matrix so far.
pub(super) struct MetricAccumulator {
    classes: usize,
    sums: AccumulatedSums,
}

enum AccumulatedSums {
    /// Computed by the kernel for the CPU.
    Cpu(Tally),
    /// Computed by libtorch, on any device. Adding a batch does not synchronize with the device.
    Device {
        /// The summed loss, float64 scalar.
        loss: Tensor,
        /// The flattened confusion matrix, int64 (classes · classes).
        pairs: Tensor,
    },
}

impl MetricAccumulator {
    /// Creates an empty accumulator for logits on `device`.
    pub fn new(classes: usize, device: Device) -> Self {
        let tally = if device == Device::Cpu { Tally::new_if_enabled(classes) } else { None };
        let sums = tally.map_or_else(
            || AccumulatedSums::Device {
                loss: Tensor::zeros([], (Kind::Double, device)),
                pairs: Tensor::zeros([(classes * classes) as i64], (Kind::Int64, device)),
            },
            AccumulatedSums::Cpu,
        );
        MetricAccumulator { classes, sums }
    }

    /// Adds a batch: logits, float32 (N, classes), and labels, int64 (N).
    pub fn add(&mut self, logits: &Tensor, labels: &Tensor) -> Result<()> {
        let classes = self.classes as i64;
        match &mut self.sums {
            AccumulatedSums::Cpu(tally) => tally.add(logits, labels)?,
            AccumulatedSums::Device { loss, pairs } => {
                let _ = loss.g_add_(&(cross_entropy(logits, labels) * labels.size()[0]));
                let pair = labels * classes + logits.argmax(-1, false);
                let _ = pairs.g_add_(&pair.bincount::<Tensor>(None, classes * classes));
            }
        }
        Ok(())
    }

    /// The mean loss and the confusion matrix.
    pub fn result(&self) -> Result<(f64, ConfusionMatrix)> {
        let (loss, counts) = match &self.sums {
            AccumulatedSums::Cpu(tally) => (tally.loss(), tally.pairs()),
            AccumulatedSums::Device { loss, pairs } => {
                let counts = Vec::<i64>::try_from(pairs)?.iter().map(|count| *count as u64).collect();
                (loss.double_value(&[]), counts)
            }
        };
        let confusion = ConfusionMatrix::new(self.classes, counts);
        Ok((loss / confusion.total() as f64, confusion))
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
        let (mut cpu, mut device) =
            (MetricAccumulator::new(5, Device::Cpu), MetricAccumulator { classes: 5, sums: on_device });
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
