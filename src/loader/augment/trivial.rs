//! TrivialAugment: one random operation with a random strength (S. Müller and F. Hutter, "TrivialAugment: Tuning-free Yet
//! State-of-the-Art Data Augmentation", 2021, the wide augmentation space).

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tch::Tensor;

use super::operation::{ALL, Space, any, each};
use super::{Augment, AugmentKind, BuiltAugment};

/// The augmentation.
pub(crate) const KIND: AugmentKind = AugmentKind {
    name: "trivial-augment",
    summary: "one of fourteen operations, with a random strength",
    parameters: &[],
    build: |_| BuiltAugment::Single(Box::new(TrivialAugment)),
};

#[derive(Debug)]
struct TrivialAugment;

/// The wide space.
const SPACE: Space = Space { shear: 0.99, shift: 32. / 224., degrees: 135., enhance: 0.99, bits: 6. };

impl Augment for TrivialAugment {
    fn apply(&self, images: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
        each(images, generators, |image, generator| {
            let operation = any(&ALL, generator);
            operation.apply(image, generator.random_range(-1. ..=1.), &SPACE)
        })
    }
}
