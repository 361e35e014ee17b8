//! Batch normalization of images in training, with fewer passes over memory than libtorch's.

use tch::Tensor;

use super::Kernel;
use crate::Result;
use crate::ffi::{self, bridge, lend, own};

/// The parameters, running statistics and options of a batch normalization; each tensor is (channels).
#[derive(Debug)]
pub struct BatchNorm<'a> {
    /// The scale applied after normalization.
    pub weight: &'a Tensor,
    /// The shift applied after scaling.
    pub bias: &'a Tensor,
    /// The running mean, updated in place.
    pub running_mean: &'a Tensor,
    /// The running variance, updated in place.
    pub running_variance: &'a Tensor,
    /// The weight of the current batch in the running statistics.
    pub momentum: f64,
    /// Added to the variance for numerical stability.
    pub epsilon: f64,
}

impl BatchNorm<'_> {
    /// Normalizes images, (N, channels, height, width), by the statistics of the batch, followed by a ReLU if `is_rectified`;
    /// supports one backward pass. `None`, with nothing changed, where libtorch's operations must be used: on other devices,
    /// for dtypes other than float32 and bfloat16, and for inputs that are not in channels-last format or whose number of
    /// channels is not a multiple of 16. Parameters and running statistics are float32.
    pub fn normalise(&self, pictures: &Tensor, is_rectified: bool) -> Result<Option<Tensor>> {
        if !Kernel::BatchNorm.is_enabled() {
            return Ok(None);
        }
        let norm = bridge::BatchNorm {
            weight: lend(self.weight),
            bias: lend(self.bias),
            running_mean: lend(self.running_mean),
            running_variance: lend(self.running_variance),
            momentum: self.momentum,
            epsilon: self.epsilon,
            is_rectified,
        };
        let normalised = ffi::batch_norm(lend(pictures), &norm)?;
        let normalised = (!normalised.is_null()).then(|| own(normalised));
        Ok(normalised.inspect(|_| Kernel::BatchNorm.count_run()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_beside::error;
    use crate::memory::channels_last;
    use crate::processor::has_vectors;
    use tch::{Device, Kind};

    /// Images, weights, biases and running statistics.
    fn tensors(sizes: [i64; 4], kind: Kind) -> Vec<Tensor> {
        let options = (kind, Device::Cpu);
        let pictures = channels_last(&(Tensor::randn(sizes, options) * 3 + 50)).unwrap();
        let channels = sizes[1];
        let learned = [Tensor::randn([channels], options), Tensor::randn([channels], options)];
        let followed = [Tensor::randn([channels], options), Tensor::rand([channels], options)];
        let learned = learned.into_iter().map(|tensor| tensor.set_requires_grad(true));
        [pictures.set_requires_grad(true)].into_iter().chain(learned).chain(followed).collect()
    }

    fn ours(tensors: &[Tensor], is_rectified: bool) -> Option<Tensor> {
        let [pictures, weight, bias, running_mean, running_variance] = tensors else {
            panic!("five tensors")
        };
        let norm = BatchNorm { weight, bias, running_mean, running_variance, momentum: 0.1, epsilon: 1e-5 };
        norm.normalise(pictures, is_rectified).unwrap()
    }

    fn libtorchs(tensors: &[Tensor], is_rectified: bool) -> Tensor {
        let [x, weight, bias, mean, variance] = tensors else { panic!("five tensors") };
        let y = x.batch_norm(Some(weight), Some(bias), Some(mean), Some(variance), true, 0.1, 1e-5, false);
        if is_rectified { y.relu() } else { y }
    }

    /// The error relative to float64 is about the same as that of libtorch's float32, or smaller.
    #[test]
    fn values_and_gradients_are_as_exact_as_libtorchs() {
        tch::manual_seed(3);
        for (kind, least) in [(Kind::Float, 1e-5), (Kind::BFloat16, 3e-3)] {
            for sizes in [[2, 16, 1, 1], [3, 32, 5, 7], [64, 32, 8, 8], [9, 48, 16, 16]] {
                for is_rectified in [false, true] {
                    compare(sizes, is_rectified, kind, least);
                }
            }
        }
    }

    /// Compares results for images of dtype `kind`; `least` is the relative error that rounding alone explains.
    fn compare(sizes: [i64; 4], is_rectified: bool, kind: Kind, least: f64) {
        let mut exact = tensors(sizes, Kind::Double);
        // All implementations normalize the same values, rounded to `kind`.
        exact[0] = exact[0].detach().to_kind(kind).to_kind(Kind::Double).set_requires_grad(true);
        let copied = || -> Vec<Tensor> {
            let copy = |(index, tensor): (usize, &Tensor)| {
                let kind = if index == 0 { kind } else { Kind::Float };
                let copy = channels_last(&tensor.detach().to_kind(kind)).unwrap().copy();
                copy.set_requires_grad(tensor.requires_grad())
            };
            exact.iter().enumerate().map(copy).collect()
        };
        let (own, theirs) = (copied(), copied());
        let y = ours(&own, is_rectified);
        assert_eq!(y.is_some(), has_vectors(), "{kind:?}, {sizes:?}");
        let Some(y) = y else { return };
        assert_eq!((y.kind(), y.stride()), (kind, own[0].stride()));
        let (of_theirs, of_exact) = (libtorchs(&theirs, is_rectified), libtorchs(&exact, is_rectified));
        let direction = Tensor::randn(sizes, (kind, Device::Cpu));
        for result in [&y, &of_theirs, &of_exact] {
            (result.to_kind(Kind::Double) * &direction).sum(Kind::Double).backward();
        }
        let all = |result: &Tensor, tensors: &[Tensor]| -> Vec<Tensor> {
            let gradients = tensors[..3].iter().map(Tensor::grad);
            let followed = tensors[3..].iter().map(Tensor::shallow_clone);
            [result.detach()].into_iter().chain(gradients).chain(followed).collect()
        };
        let (own, theirs) = (all(&y, &own), all(&of_theirs, &theirs));
        for (index, exact) in all(&of_exact, &exact).chunks(1).enumerate() {
            let [ours, theirs] = [&own, &theirs].map(|found| error(&found[index..=index], exact));
            assert!(ours <= 2. * theirs + least, "{kind:?}, {sizes:?}, {index}: {ours} vs. {theirs}");
        }
    }

    #[test]
    fn what_others_do_better_is_left_to_them() {
        let suits = |tensors: &[Tensor]| ours(tensors, true).is_some();
        let good = tensors([2, 16, 3, 3], Kind::Float);
        assert_eq!(suits(&good), has_vectors());
        assert!(!suits(&tensors([2, 16, 3, 3], Kind::Double)));
        assert!(!suits(&tensors([2, 20, 3, 3], Kind::Float)));
        assert!(!suits(&tensors([1, 16, 1, 1], Kind::Float)));
        let other = |at: usize, tensor: Tensor| {
            let mut tensors: Vec<_> = good.iter().map(Tensor::shallow_clone).collect();
            tensors[at] = tensor;
            tensors
        };
        assert!(!suits(&other(0, good[0].contiguous())));
        assert_eq!(suits(&other(0, good[0].to_kind(Kind::BFloat16))), has_vectors());
        assert!(!suits(&other(0, good[0].to_kind(Kind::Half))));
        assert!(!suits(&other(1, Tensor::ones([17], (Kind::Float, Device::Cpu)))));
        assert!(!suits(&other(3, Tensor::ones([16], (Kind::Double, Device::Cpu)))));
    }
}
