//! The operations of AutoAugment (E. Cubuk et al., "AutoAugment: Learning Augmentation Strategies from Data", 2019), from which later
//! augmentations draw.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::affine::{Map, warp};
use super::color_jitter::LUMA;

/// An operation on one image (1, C, H, W) from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
}

use Operation::*;

/// All operations.
pub(super) const ALL: [Operation; 14] = [
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
];

/// The changes at strength 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Space {
    /// Shear, as a slope.
    pub shear: f64,
    /// Translation, as a share of the side.
    pub shift: f64,
    /// Rotation in degrees.
    pub degrees: f64,
    /// Change of the factor of brightness, color, contrast and sharpness.
    pub enhance: f64,
    /// The number of bits that posterization removes.
    pub bits: f64,
}

impl Operation {
    /// Changes an image with a strength from -1 to 1. The sign is that of the direction, if the operation has one.
    pub fn apply(self, image: &Tensor, strength: f64, space: &Space) -> Tensor {
        let factor = 1. + space.enhance * strength;
        let shift = |side: usize| space.shift * strength * image.size()[side] as f64;
        match self {
            Identity => image.shallow_clone(),
            ShearX => {
                warp(image, &[Map { matrix: [[1., space.shear * strength], [0., 1.]], shift: [0., 0.] }])
            }
            ShearY => {
                warp(image, &[Map { matrix: [[1., 0.], [space.shear * strength, 1.]], shift: [0., 0.] }])
            }
            TranslateX => warp(image, &[Map::new(0., 0., 1., [shift(3), 0.])]),
            TranslateY => warp(image, &[Map::new(0., 0., 1., [0., shift(2)])]),
            Rotate => warp(image, &[Map::new(space.degrees * strength, 0., 1., [0., 0.])]),
            Brightness => blend(&image.zeros_like(), image, factor),
            Color => blend(&gray(image), image, factor),
            Contrast => blend(&gray(image).mean(Kind::Float), image, factor),
            Sharpness => blend(&smooth(image), image, factor),
            Posterize => {
                let levels = 2f64.powi(8 - (strength.abs() * space.bits).round() as i32);
                (image * 255. * (levels / 256.)).floor() * (256. / levels / 255.)
            }
            Solarize => solarize(image, 1. - strength.abs()),
            AutoContrast => stretch(image),
            Equalize => equalize(image),
        }
    }
}

/// One of the operations, at random.
pub(super) fn any(operations: &[Operation], generator: &mut ChaCha8Rng) -> Operation {
    operations[generator.random_range(0..operations.len())]
}

/// Augments each image of a batch with its own generator.
pub(super) fn each(
    images: &Tensor,
    generators: &mut [ChaCha8Rng],
    augment: impl Fn(&Tensor, &mut ChaCha8Rng) -> Tensor,
) -> Tensor {
    let augmented =
        |(index, generator): (usize, &mut ChaCha8Rng)| augment(&images.narrow(0, index as i64, 1), generator);
    Tensor::cat(&generators.iter_mut().enumerate().map(augmented).collect::<Vec<_>>(), 0)
}

fn blend(from: &Tensor, to: &Tensor, factor: f64) -> Tensor {
    (from + (to - from) * factor).clamp(0., 1.)
}

/// The luma of a color image, (1, 1, H, W); other images are unchanged.
pub(super) fn gray(image: &Tensor) -> Tensor {
    if image.size()[1] != 3 {
        return image.shallow_clone();
    }
    let weights =
        Tensor::from_slice(&LUMA.map(|weight| weight as f32)).view([1, 3, 1, 1]).to_device(image.device());
    (image * weights).sum_dim_intlist([1].as_slice(), true, Kind::Float)
}

/// Inverts the values from `threshold`.
pub(super) fn solarize(image: &Tensor, threshold: f64) -> Tensor {
    let inverted: Tensor = 1. - image;
    inverted.where_self(&image.ge(threshold), image)
}

/// Stretches each channel to the range from 0 to 1.
fn stretch(image: &Tensor) -> Tensor {
    let (least, greatest) = (image.amin([2, 3].as_slice(), true), image.amax([2, 3].as_slice(), true));
    let span = &greatest - &least;
    let stretched: Tensor = (image - least) / span.clamp_min(1e-6);
    stretched.where_self(&span.gt(0.), image)
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
