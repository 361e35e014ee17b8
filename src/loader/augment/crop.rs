//! Random crop with zero padding (as in K. He et al., "Deep Residual Learning for Image Recognition", 2016, for CIFAR).

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tch::Tensor;

use super::{Augment, AugmentKind, BuiltAugment, parameter};

/// The augmentation.
pub(crate) const KIND: AugmentKind = AugmentKind {
    name: "crop",
    summary: "random crop after zero padding by the given number of pixels",
    parameters: &[parameter("pixels", 4., 0., 64.)],
    build: |values| BuiltAugment::Single(Box::new(Crop(values[0] as i64))),
};

#[derive(Debug)]
struct Crop(i64);

impl Augment for Crop {
    fn apply(&self, images: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
        let (_, _, height, width) = images.size4().expect("images are (N, C, H, W)");
        let Crop(by) = *self;
        let padded = images.constant_pad_nd([by, by, by, by]);
        let cut = |(index, generator): (usize, &mut ChaCha8Rng)| {
            let (x, y) = (generator.random_range(0..=2 * by), generator.random_range(0..=2 * by));
            padded.select(0, index as i64).narrow(1, y, height).narrow(2, x, width)
        };
        Tensor::stack(&generators.iter_mut().enumerate().map(cut).collect::<Vec<_>>(), 0)
    }

    fn takes_bytes(&self) -> bool {
        true
    }
}
