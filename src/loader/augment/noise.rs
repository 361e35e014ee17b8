//! Gaussian noise.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand_distr::StandardNormal;
use tch::Tensor;

use super::{Augment, AugmentKind, BuiltAugment, parameter};

/// The augmentation.
pub(crate) const KIND: AugmentKind = AugmentKind {
    name: "noise",
    summary: "Gaussian noise with the given standard deviation (white is 1)",
    parameters: &[parameter("standard deviation", 0.05, 0., 1.)],
    build: |values| BuiltAugment::Single(Box::new(Noise(values[0]))),
};

#[derive(Debug)]
struct Noise(f64);

impl Augment for Noise {
    fn apply(&self, images: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
        let values = images.size()[1..].iter().product::<i64>();
        let noise: Vec<f32> = generators
            .iter_mut()
            .flat_map(|generator| (0..values).map(|_| generator.sample(StandardNormal)).collect::<Vec<f32>>())
            .collect();
        let noise = Tensor::from_slice(&noise).view_as(images).to_device(images.device());
        (images + noise * self.0).clamp(0., 1.)
    }
}
