//! Mixtures of two images and their labels.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand_distr::Beta;
use tch::Tensor;

use super::{AugmentKind, BuiltAugment, parameter};
use crate::loader::{Batch, Mixed};

/// Blends pairs of images (H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018).
pub(crate) const MIXUP: AugmentKind = AugmentKind {
    name: "mixup",
    summary: "blend of two images and their labels",
    parameters: &[parameter("alpha", 0.2, 0.01, 10.)],
    build: |values| BuiltAugment::Mixing(Mixing::Mixup(values[0])),
};

/// Pastes a rectangle of another image (S. Yun et al., "CutMix", 2019).
pub(crate) const CUTMIX: AugmentKind = AugmentKind {
    name: "cutmix",
    summary: "a rectangle of another image pasted in, with mixed labels",
    parameters: &[parameter("alpha", 1., 0.01, 10.)],
    build: |values| BuiltAugment::Mixing(Mixing::CutMix(values[0])),
};

/// A mixing augmentation, with the alpha of the Beta distribution of the mixing weight.
///
/// ```
/// use cresset::loader::Batch;
/// use cresset::loader::augment::Mixing;
/// use rand::SeedableRng;
/// use rand::rngs::ChaCha8Rng;
/// use tch::{Device, Kind, Tensor};
///
/// let images = Tensor::rand([4, 1, 8, 8], (Kind::Float, Device::Cpu));
/// let batch = Batch::new(images, Tensor::from_slice(&[0i64, 1, 2, 3]));
/// let mixed = Mixing::Mixup(0.2).apply(batch, &mut ChaCha8Rng::seed_from_u64(0));
/// assert_eq!(mixed.inputs.size(), [4, 1, 8, 8]);
/// assert_eq!(mixed.mixed.unwrap().weight.size(), [4]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mixing {
    /// Blending.
    Mixup(f64),
    /// Pasting a rectangle.
    CutMix(f64),
}

impl Mixing {
    /// Mixes each image of a batch, inputs (N, C, H, W), with another one of the batch.
    pub fn apply(self, batch: Batch, generator: &mut ChaCha8Rng) -> Batch {
        let rows = batch.labels.size()[0];
        let mut order: Vec<i64> = (0..rows).collect();
        order.shuffle(generator);
        let order = Tensor::from_slice(&order).to_device(batch.labels.device());
        let (Mixing::Mixup(alpha) | Mixing::CutMix(alpha)) = self;
        let share = generator.sample(Beta::new(alpha, alpha).expect("alpha is above 0"));
        let other = batch.inputs.index_select(0, &order);
        let (inputs, share) = match self {
            Mixing::Mixup(_) => (&batch.inputs * share + other * (1. - share), share),
            Mixing::CutMix(_) => pasted(&batch.inputs, &other, share, generator),
        };
        let weight = Tensor::full([rows], share, (tch::Kind::Float, batch.labels.device()));
        let labels = batch.labels.index_select(0, &order);
        Batch { inputs, mixed: Some(Mixed { labels, weight }), ..batch }
    }
}

/// Pastes a rectangle of `other` into the inputs. Also returns the share of the area that is unchanged.
fn pasted(inputs: &Tensor, other: &Tensor, share: f64, generator: &mut ChaCha8Rng) -> (Tensor, f64) {
    let (_, _, height, width) = inputs.size4().expect("images are (N, C, H, W)");
    let part = (1. - share).sqrt();
    // A rectangle around a random pixel, clipped to the image.
    let mut stretch = |full: i64| {
        let (middle, side) = (generator.random_range(0..full), (full as f64 * part) as i64);
        let first = (middle - side / 2).max(0);
        (first, (middle - side / 2 + side).min(full) - first)
    };
    let ((left, wide), (top, tall)) = (stretch(width), stretch(height));
    let result = inputs.copy();
    let cut = |images: &Tensor| images.narrow(2, top, tall).narrow(3, left, wide);
    cut(&result).copy_(&cut(other));
    (result, 1. - (wide * tall) as f64 / (width * height) as f64)
}
