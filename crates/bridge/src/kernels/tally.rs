//! The loss and confusion matrix of logits on the CPU, computed in one pass.

use cxx::UniquePtr;
use tch::Tensor;

use super::Kernel;
use crate::Result;
use crate::ffi::{self, lend};

/// Running sums over classified rows.
pub struct Tally(UniquePtr<ffi::Tally>);

impl Tally {
    /// Creates empty sums for this number of classes; `None` if the kernel is disabled.
    pub fn new_if_enabled(classes: usize) -> Option<Self> {
        Kernel::LossAndConfusion.is_enabled().then(|| Tally::new(classes))
    }

    fn new(classes: usize) -> Self {
        Tally(ffi::new_tally(classes as i64))
    }

    /// Adds a batch: logits, float32 (N, classes), and labels, int64 (N), on the CPU.
    ///
    /// # Errors
    /// Tensors have other shapes or dtypes, or a label is out of range.
    pub fn add(&mut self, logits: &Tensor, labels: &Tensor) -> Result<()> {
        self.0.pin_mut().add(lend(logits), lend(labels))?;
        Kernel::LossAndConfusion.count_run();
        Ok(())
    }

    /// The sum of the cross-entropy over all rows.
    pub fn loss(&self) -> f64 {
        self.0.loss()
    }

    /// The confusion matrix, row-major: one row per label, one column per predicted class (the largest logit).
    pub fn pairs(&self) -> Vec<u64> {
        self.0.pairs().iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn sums_are_those_of_libtorchs_operations() {
        tch::manual_seed(1);
        for (rows, classes) in [(1, 2), (7, 10), (3000, 3)] {
            let mut tally = Tally::new(classes as usize);
            let (mut loss, mut pairs) = (0., Tensor::zeros([classes * classes], (Kind::Int64, Device::Cpu)));
            // Twice, and once from a view with non-contiguous rows.
            for columns in [classes, 2 * classes] {
                let logits =
                    (Tensor::randn([rows, columns], (Kind::Float, Device::Cpu)) * 5).narrow(1, 0, classes);
                let labels = Tensor::randint(classes, [rows], (Kind::Int64, Device::Cpu));
                tally.add(&logits, &labels).unwrap();
                loss += logits
                    .to_kind(Kind::Double)
                    .log_softmax(1, Kind::Double)
                    .gather(1, &labels.unsqueeze(1), false)
                    .sum(Kind::Double)
                    .double_value(&[]);
                pairs +=
                    (&labels * classes + logits.argmax(1, false)).bincount::<Tensor>(None, classes * classes);
            }
            assert!((tally.loss() + loss).abs() < 1e-5 * loss.abs(), "{} {loss}", tally.loss());
            let pairs: Vec<_> =
                Vec::<i64>::try_from(pairs).unwrap().iter().map(|count| *count as u64).collect();
            assert_eq!(tally.pairs(), pairs);
        }
    }

    #[test]
    fn the_number_of_threads_is_no_matter() {
        tch::manual_seed(2);
        let logits = Tensor::randn([10_000, 10], (Kind::Float, Device::Cpu));
        let labels = Tensor::randint(10, [10_000], (Kind::Int64, Device::Cpu));
        let before = tch::get_num_threads();
        let found = [1, 2, 3].map(|threads| {
            tch::set_num_threads(threads);
            let mut tally = Tally::new(10);
            tally.add(&logits, &labels).unwrap();
            (tally.loss(), tally.pairs())
        });
        tch::set_num_threads(before);
        assert!(found.iter().all(|of| *of == found[0]));
    }

    #[test]
    fn equal_infinite_and_missing_logits_go_as_in_libtorch() {
        let rows = [[1f32, 1., 0.], [0., f32::NAN, 9.], [f32::INFINITY, 0., 0.], [f32::NEG_INFINITY, 0., 0.]];
        for (row, best, is_finite) in [(0, 0, true), (1, 1, false), (2, 0, false), (3, 1, true)] {
            let mut tally = Tally::new(3);
            let logits = Tensor::from_slice(&rows[row]).view([1, 3]);
            assert_eq!(logits.argmax(1, false).int64_value(&[0]), best as i64);
            tally.add(&logits, &Tensor::from_slice(&[1i64])).unwrap();
            assert_eq!(tally.pairs()[3 + best], 1);
            assert_eq!(tally.loss().is_finite(), is_finite, "{row}");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let logits = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        let mut tally = Tally::new(3);
        assert!(tally.add(&logits, &Tensor::from_slice(&[0i64, 3])).is_err());
        assert!(tally.add(&logits, &Tensor::from_slice(&[0i64, -1])).is_err());
        assert!(tally.add(&logits, &Tensor::from_slice(&[0i64])).is_err());
        assert!(Tally::new(4).add(&logits, &Tensor::from_slice(&[0i64, 1])).is_err());
    }
}
