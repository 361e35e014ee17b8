//! Loss and confusion matrix over the batches of an evaluation.

use cresset_bridge::kernels::tally::Tally;
use tch::{Device, Kind, Tensor};

use super::{Confusion, cross_entropy};
use crate::error::Result;

/// The sums so far.
pub(super) struct Sums {
    classes: usize,
    kept: Kept,
}

enum Kept {
    /// By our own kernel, on the CPU.
    Here(Tally),
    /// By libtorch's operations, on any device, which adding never waits for.
    There {
        /// Sum over rows, float64.
        loss: Tensor,
        /// How often each pair of label and class came, int64 (classes · classes).
        pairs: Tensor,
    },
}

impl Sums {
    /// Nothing yet, of logits on `device`.
    pub fn new(classes: usize, device: Device) -> Self {
        let tally = if device == Device::Cpu { Tally::new_if_enabled(classes) } else { None };
        let kept = tally.map_or_else(
            || Kept::There {
                loss: Tensor::zeros([], (Kind::Double, device)),
                pairs: Tensor::zeros([(classes * classes) as i64], (Kind::Int64, device)),
            },
            Kept::Here,
        );
        Sums { classes, kept }
    }

    /// Takes in a batch: logits, float32 (N, classes), and labels, int64 (N).
    pub fn add(&mut self, logits: &Tensor, labels: &Tensor) -> Result<()> {
        let classes = self.classes as i64;
        match &mut self.kept {
            Kept::Here(tally) => tally.add(logits, labels)?,
            Kept::There { loss, pairs } => {
                let _ = loss.g_add_(&(cross_entropy(logits, labels) * labels.size()[0]));
                let pair = labels * classes + logits.argmax(-1, false);
                let _ = pairs.g_add_(&pair.bincount::<Tensor>(None, classes * classes));
            }
        }
        Ok(())
    }

    /// The mean loss and the confusion matrix.
    pub fn read(&self) -> Result<(f64, Confusion)> {
        let (loss, counts) = match &self.kept {
            Kept::Here(tally) => (tally.loss(), tally.pairs()),
            Kept::There { loss, pairs } => {
                let counts = Vec::<i64>::try_from(pairs)?.iter().map(|count| *count as u64).collect();
                (loss.double_value(&[]), counts)
            }
        };
        let confusion = Confusion::new(self.classes, counts);
        Ok((loss / confusion.total() as f64, confusion))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is done on a GPU is done here on the CPU, beside what is done there.
    #[test]
    fn both_ways_give_the_same() {
        tch::manual_seed(3);
        let there = Kept::There {
            loss: Tensor::zeros([], (Kind::Double, Device::Cpu)),
            pairs: Tensor::zeros([25], (Kind::Int64, Device::Cpu)),
        };
        let (mut here, mut there) = (Sums::new(5, Device::Cpu), Sums { classes: 5, kept: there });
        for rows in [40, 3] {
            let logits = Tensor::randn([rows, 5], (Kind::Float, Device::Cpu));
            let labels = Tensor::randint(5, [rows], (Kind::Int64, Device::Cpu));
            here.add(&logits, &labels).unwrap();
            there.add(&logits, &labels).unwrap();
        }
        let ((own, own_pairs), (other, other_pairs)) = (here.read().unwrap(), there.read().unwrap());
        assert!((own - other).abs() < 1e-6);
        assert_eq!(own_pairs, other_pairs);
    }
}
