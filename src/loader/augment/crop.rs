//! A shift by some pixels: black is put around the picture, and a part of the old size is cut out (as in K. He et al.,
//! "Deep Residual Learning for Image Recognition", 2016, for CIFAR).

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tch::Tensor;

use super::{Augment, AugmentKind, Made, parameter};

/// The augmentation.
pub const KIND: AugmentKind = AugmentKind {
    name: "crop",
    summary: "a shift by up to so many pixels, with black around",
    parameters: &[parameter("pixels", 4., 0., 64.)],
    build: |values| Made::Single(Box::new(Crop(values[0] as i64))),
};

#[derive(Debug)]
struct Crop(i64);

impl Augment for Crop {
    fn apply(&self, pictures: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
        let (_, _, height, width) = pictures.size4().expect("pictures are (N, C, H, W)");
        let Crop(by) = *self;
        let padded = pictures.constant_pad_nd([by, by, by, by]);
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
