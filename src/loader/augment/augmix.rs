//! AugMix: a weighted mean of the image and of several chains of operations (D. Hendrycks et al., "AugMix: A Simple Data Processing
//! Method to Improve Robustness and Uncertainty", 2020). The consistency loss of the paper is not part of it.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Beta, Distribution, Exp1};
use tch::Tensor;

use super::operation::{Operation, Space, any, each};
use super::{Augment, AugmentKind, BuiltAugment, parameter};

/// The augmentation.
pub(crate) const KIND: AugmentKind = AugmentKind {
    name: "augmix",
    summary: "a mean of chains of mild operations, for robustness; severity from 1 to 10",
    parameters: &[parameter("severity", 3., 1., 10.), parameter("chains", 3., 1., 10.)],
    build: |values| {
        BuiltAugment::Single(Box::new(AugMix {
            severity: values[0] / 10.,
            chains: values[1].round() as usize,
        }))
    },
};

#[derive(Debug)]
struct AugMix {
    /// The maximum strength, up to 1.
    severity: f64,
    chains: usize,
}

const SPACE: Space = Space { shear: 0.3, shift: 1. / 3., degrees: 30., enhance: 0.9, bits: 4. };

/// The operations of the paper: none that the corruptions of its benchmark contain.
const OPERATIONS: [Operation; 9] = [
    Operation::AutoContrast,
    Operation::Equalize,
    Operation::Posterize,
    Operation::Rotate,
    Operation::Solarize,
    Operation::ShearX,
    Operation::ShearY,
    Operation::TranslateX,
    Operation::TranslateY,
];

/// The maximum length of a chain.
const MAX_LENGTH: usize = 3;

impl AugMix {
    fn chain(&self, image: &Tensor, generator: &mut ChaCha8Rng) -> Tensor {
        let length = generator.random_range(1..=MAX_LENGTH);
        (0..length).fold(image.shallow_clone(), |image, _| {
            let operation = any(&OPERATIONS, generator);
            operation.apply(&image, generator.random_range(-self.severity..=self.severity), &SPACE)
        })
    }
}

impl Augment for AugMix {
    fn apply(&self, images: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
        let uniform = Beta::new(1., 1.).expect("positive parameters");
        each(images, generators, |image, generator| {
            // Normalized exponential variables have the Dirichlet distribution with all parameters 1.
            let weights: Vec<f64> = (0..self.chains).map(|_| generator.sample(Exp1)).collect();
            let total: f64 = weights.iter().sum();
            let kept: f64 = uniform.sample(generator);
            weights.iter().fold(image * kept, |mixed, weight| {
                mixed + self.chain(image, generator) * ((1. - kept) * weight / total)
            })
        })
    }
}
