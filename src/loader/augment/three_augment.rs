//! 3-Augment: grayscale, solarization or Gaussian blur (H. Touvron et al., "DeiT III: Revenge of the ViT", 2022).

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::operation::{each, gray, solarize};
use super::{Augment, AugmentKind, BuiltAugment, parameter};

/// The augmentation.
pub(crate) const KIND: AugmentKind = AugmentKind {
    name: "three-augment",
    summary: "grayscale, solarization or Gaussian blur; the preset `deit3` adds the rest of DeiT III",
    parameters: &[parameter("maximum blur, in pixels", 2., 0.1, 10.)],
    build: |values| BuiltAugment::Single(Box::new(ThreeAugment { max_blur: values[0] })),
};

#[derive(Debug)]
struct ThreeAugment {
    /// The maximum standard deviation of the blur, in pixels.
    max_blur: f64,
}

/// The value from which solarization inverts.
const THRESHOLD: f64 = 128. / 255.;

/// The minimum standard deviation of the blur, in pixels.
const MIN_BLUR: f64 = 0.1;

impl Augment for ThreeAugment {
    fn apply(&self, images: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
        each(images, generators, |image, generator| match generator.random_range(0..3) {
            0 => gray(image).expand_as(image),
            1 => solarize(image, THRESHOLD),
            _ => blur(image, generator.random_range(MIN_BLUR..=self.max_blur)),
        })
    }
}

/// Gaussian blur with a standard deviation in pixels; pixels beyond the border are those at the border.
fn blur(image: &Tensor, deviation: f64) -> Tensor {
    let (channels, radius) = (image.size()[1], (3. * deviation).ceil() as i64);
    let distances = Tensor::arange_start(-radius, radius + 1, (Kind::Float, image.device())) / deviation;
    let weights = (distances.square() * -0.5).exp();
    let weights = &weights / weights.sum(Kind::Float);
    let filter = |size: [i64; 2]| weights.view([1, 1, size[0], size[1]]).repeat([channels, 1, 1, 1]);
    let length = 2 * radius + 1;
    let rows = image.replication_pad2d([radius, radius, 0, 0]);
    let rows = rows.conv2d(&filter([1, length]), None::<&Tensor>, 1, 0, 1, channels);
    let columns = rows.replication_pad2d([0, 0, radius, radius]);
    columns.conv2d(&filter([length, 1]), None::<&Tensor>, 1, 0, 1, channels).clamp(0., 1.)
}
