//! TrivialAugment: one random operation with a random strength (S. Müller and F. Hutter, "TrivialAugment: Tuning-free Yet
//! State-of-the-Art Data Augmentation", 2021, the wide augmentation space).

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::affine::{Map, warp};
use super::color_jitter::LUMA;
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

/// An operation on one image (1, C, H, W) with a strength from -1 to 1.
type Operation = fn(&Tensor, f64) -> Tensor;

const OPERATIONS: [Operation; 14] = [
    |image, _| image.shallow_clone(),
    |image, strength| warp(image, &[Map { matrix: [[1., 0.99 * strength], [0., 1.]], shift: [0., 0.] }]),
    |image, strength| warp(image, &[Map { matrix: [[1., 0.], [0.99 * strength, 1.]], shift: [0., 0.] }]),
    |image, strength| {
        warp(image, &[Map::new(0., 0., 1., [32. / 224. * strength * image.size()[3] as f64, 0.])])
    },
    |image, strength| {
        warp(image, &[Map::new(0., 0., 1., [0., 32. / 224. * strength * image.size()[2] as f64])])
    },
    |image, strength| warp(image, &[Map::new(135. * strength, 0., 1., [0., 0.])]),
    |image, strength| blend(&image.zeros_like(), image, 1. + 0.99 * strength),
    |image, strength| blend(&gray(image), image, 1. + 0.99 * strength),
    |image, strength| blend(&gray(image).mean(Kind::Float), image, 1. + 0.99 * strength),
    |image, strength| blend(&smooth(image), image, 1. + 0.99 * strength),
    |image, strength| {
        let levels = 2f64.powi(8 - (strength.abs() * 6.).round() as i32);
        (image * 255. * (levels / 256.)).floor() * (256. / levels / 255.)
    },
    |image, strength| {
        let inverted: Tensor = 1. - image;
        inverted.where_self(&image.ge(1. - strength.abs()), image)
    },
    |image, _| {
        let (least, greatest) = (image.amin([2, 3].as_slice(), true), image.amax([2, 3].as_slice(), true));
        let span = &greatest - &least;
        let stretched: Tensor = (image - least) / span.clamp_min(1e-6);
        stretched.where_self(&span.gt(0.), image)
    },
    |image, _| equalize(image),
];

fn blend(from: &Tensor, to: &Tensor, factor: f64) -> Tensor {
    (from + (to - from) * factor).clamp(0., 1.)
}

fn gray(image: &Tensor) -> Tensor {
    if image.size()[1] != 3 {
        return image.shallow_clone();
    }
    let weights =
        Tensor::from_slice(&LUMA.map(|weight| weight as f32)).view([1, 3, 1, 1]).to_device(image.device());
    (image * weights).sum_dim_intlist([1].as_slice(), true, Kind::Float)
}

/// Pillow's SMOOTH filter: weight 5 for the pixel, 1 for its neighbors.
fn smooth(image: &Tensor) -> Tensor {
    let channels = image.size()[1];
    let kernel = Tensor::from_slice(&[1f32, 1., 1., 1., 5., 1., 1., 1., 1.].map(|weight| weight / 13.));
    let kernel = kernel.view([1, 1, 3, 3]).repeat([channels, 1, 1, 1]).to_device(image.device());
    image.replication_pad2d([1, 1, 1, 1]).conv2d(&kernel, None::<&Tensor>, 1, 0, 1, channels)
}

/// Histogram equalization of each channel.
fn equalize(image: &Tensor) -> Tensor {
    let levels = (image * 255.).round().to_kind(Kind::Int64);
    let channels: Vec<_> = (0..image.size()[1])
        .map(|channel| {
            let levels = levels.select(1, channel).flatten(0, -1);
            let ranks = levels.bincount::<Tensor>(None, 256).cumsum(0, Kind::Int64);
            let first = ranks.index_select(0, &levels.min().view([1]));
            let span = (ranks.select(0, 255) - &first).clamp_min(1);
            let ranks = ((ranks - first).clamp_min(0).to_kind(Kind::Float)) / span;
            ranks.index_select(0, &levels)
        })
        .collect();
    Tensor::stack(&channels, 0).view_as(image)
}

impl Augment for TrivialAugment {
    fn apply(&self, images: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
        let augmented = |(index, generator): (usize, &mut ChaCha8Rng)| {
            let operation = OPERATIONS[generator.random_range(0..OPERATIONS.len())];
            operation(&images.narrow(0, index as i64, 1), generator.random_range(-1. ..=1.))
        };
        Tensor::cat(&generators.iter_mut().enumerate().map(augmented).collect::<Vec<_>>(), 0)
    }
}
