//! RandAugment: a few random operations with the same strength (E. Cubuk et al., "RandAugment: Practical Automated Data Augmentation
//! with a Reduced Search Space", 2020, in torchvision's version).

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tch::Tensor;

use super::operation::{ALL, Space, any, each};
use super::{Augment, AugmentKind, BuiltAugment, parameter};

/// The augmentation.
pub(crate) const KIND: AugmentKind = AugmentKind {
    name: "rand-augment",
    summary: "a number of operations of fourteen, with the given magnitude from 0 to 30",
    parameters: &[parameter("operations", 2., 1., 14.), parameter("magnitude", 9., 0., 30.)],
    build: |values| {
        BuiltAugment::Single(Box::new(RandAugment {
            count: values[0].round() as usize,
            strength: values[1] / 30.,
        }))
    },
};

#[derive(Debug)]
struct RandAugment {
    count: usize,
    /// From 0 to 1.
    strength: f64,
}

const SPACE: Space = Space { shear: 0.3, shift: 150. / 331., degrees: 30., enhance: 0.9, bits: 4. };

impl Augment for RandAugment {
    fn apply(&self, images: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
        each(images, generators, |image, generator| {
            (0..self.count).fold(image.shallow_clone(), |image, _| {
                let operation = any(&ALL, generator);
                let strength = if generator.random() { self.strength } else { -self.strength };
                operation.apply(&image, strength, &SPACE)
            })
        })
    }
}
