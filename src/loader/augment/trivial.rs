//! One change out of many, at a strength that is drawn too (S. Müller and F. Hutter, "TrivialAugment: Tuning-free Yet
//! State-of-the-Art Data Augmentation", 2021, the wide space of strengths).

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::affine::{Map, warp};
use super::color_jitter::LUMA;
use super::{Augment, AugmentKind, Made};

/// The augmentation.
pub const KIND: AugmentKind = AugmentKind {
    name: "trivial-augment",
    summary: "one change out of fourteen, of any strength",
    parameters: &[],
    build: |_| Made::Single(Box::new(TrivialAugment)),
};

#[derive(Debug)]
struct TrivialAugment;

/// A change of one picture (1, C, H, W) by a strength from -1 to 1.
type Change = fn(&Tensor, f64) -> Tensor;

const CHANGES: [Change; 14] = [
    |picture, _| picture.shallow_clone(),
    |picture, strength| warp(picture, &[Map { matrix: [[1., 0.99 * strength], [0., 1.]], shift: [0., 0.] }]),
    |picture, strength| warp(picture, &[Map { matrix: [[1., 0.], [0.99 * strength, 1.]], shift: [0., 0.] }]),
    |picture, strength| {
        warp(picture, &[Map::new(0., 0., 1., [32. / 224. * strength * picture.size()[3] as f64, 0.])])
    },
    |picture, strength| {
        warp(picture, &[Map::new(0., 0., 1., [0., 32. / 224. * strength * picture.size()[2] as f64])])
    },
    |picture, strength| warp(picture, &[Map::new(135. * strength, 0., 1., [0., 0.])]),
    |picture, strength| blend(&picture.zeros_like(), picture, 1. + 0.99 * strength),
    |picture, strength| blend(&grey(picture), picture, 1. + 0.99 * strength),
    |picture, strength| blend(&grey(picture).mean(Kind::Float), picture, 1. + 0.99 * strength),
    |picture, strength| blend(&smooth(picture), picture, 1. + 0.99 * strength),
    |picture, strength| {
        let levels = 2f64.powi(8 - (strength.abs() * 6.).round() as i32);
        (picture * 255. * (levels / 256.)).floor() * (256. / levels / 255.)
    },
    |picture, strength| {
        let inverted: Tensor = 1. - picture;
        inverted.where_self(&picture.ge(1. - strength.abs()), picture)
    },
    |picture, _| {
        let (least, greatest) =
            (picture.amin([2, 3].as_slice(), true), picture.amax([2, 3].as_slice(), true));
        let span = &greatest - &least;
        let stretched: Tensor = (picture - least) / span.clamp_min(1e-6);
        stretched.where_self(&span.gt(0.), picture)
    },
    |picture, _| equalize(picture),
];

fn blend(from: &Tensor, to: &Tensor, factor: f64) -> Tensor {
    (from + (to - from) * factor).clamp(0., 1.)
}

fn grey(picture: &Tensor) -> Tensor {
    if picture.size()[1] != 3 {
        return picture.shallow_clone();
    }
    let weights =
        Tensor::from_slice(&LUMA.map(|weight| weight as f32)).view([1, 3, 1, 1]).to_device(picture.device());
    (picture * weights).sum_dim_intlist([1].as_slice(), true, Kind::Float)
}

/// Pillow's SMOOTH: the pixel counts 5 times, its neighbours once.
fn smooth(picture: &Tensor) -> Tensor {
    let channels = picture.size()[1];
    let kernel = Tensor::from_slice(&[1f32, 1., 1., 1., 5., 1., 1., 1., 1.].map(|weight| weight / 13.));
    let kernel = kernel.view([1, 1, 3, 3]).repeat([channels, 1, 1, 1]).to_device(picture.device());
    picture.replication_pad2d([1, 1, 1, 1]).conv2d(&kernel, None::<&Tensor>, 1, 0, 1, channels)
}

/// Each channel's values replaced by their ranks, so that all levels are equally frequent.
fn equalize(picture: &Tensor) -> Tensor {
    let levels = (picture * 255.).round().to_kind(Kind::Int64);
    let channels: Vec<_> = (0..picture.size()[1])
        .map(|channel| {
            let levels = levels.select(1, channel).flatten(0, -1);
            let ranks = levels.bincount::<Tensor>(None, 256).cumsum(0, Kind::Int64);
            let first = ranks.index_select(0, &levels.min().view([1]));
            let span = (ranks.select(0, 255) - &first).clamp_min(1);
            let ranks = ((ranks - first).clamp_min(0).to_kind(Kind::Float)) / span;
            ranks.index_select(0, &levels)
        })
        .collect();
    Tensor::stack(&channels, 0).view_as(picture)
}

impl Augment for TrivialAugment {
    fn apply(&self, pictures: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
        let change = |(index, generator): (usize, &mut ChaCha8Rng)| {
            let change = CHANGES[generator.random_range(0..CHANGES.len())];
            change(&pictures.narrow(0, index as i64, 1), generator.random_range(-1. ..=1.))
        };
        Tensor::cat(&generators.iter_mut().enumerate().map(change).collect::<Vec<_>>(), 0)
    }
}
