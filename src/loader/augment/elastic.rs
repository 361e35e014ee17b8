//! Elastic deformation (P. Simard et al., "Best Practices for Convolutional Neural Networks Applied to Visual Document
//! Analysis", 2003).

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::{Augment, AugmentKind, BuiltAugment, parameter};

/// The augmentation.
pub(crate) const KIND: AugmentKind = AugmentKind {
    name: "elastic",
    summary: "elastic deformation",
    parameters: &[
        parameter("strength as a share of the side", 0.03, 0., 0.5),
        parameter("smoothness as a share of the side", 0.15, 0.01, 1.),
    ],
    build: |values| BuiltAugment::Single(Box::new(Elastic { strength: values[0], smoothness: values[1] })),
};

#[derive(Debug)]
struct Elastic {
    strength: f64,
    smoothness: f64,
}

impl Augment for Elastic {
    fn apply(&self, images: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
        let (_, _, height, width) = images.size4().expect("images are (N, C, H, W)");
        // Displacements are drawn on a coarse grid and interpolated.
        let points = ((1. / self.smoothness).ceil() as i64 + 1).clamp(2, height.min(width).max(2));
        let count = 2 * points * points;
        // The strength is a share of the side, which has the length 2 in libtorch coordinates.
        let most = 2. * self.strength;
        let displacements: Vec<f32> = generators
            .iter_mut()
            .flat_map(|generator| {
                let displacement = |_| generator.random_range(-most..=most) as f32;
                (0..count).map(displacement).collect::<Vec<_>>()
            })
            .collect();
        let displacements =
            Tensor::from_slice(&displacements).view([-1, 2, points, points]).to_device(images.device());
        let displacements =
            displacements.upsample_bicubic2d([height, width], true, None, None).permute([0, 2, 3, 1]);
        let identity =
            Tensor::from_slice(&[1f32, 0., 0., 0., 1., 0.]).view([1, 2, 3]).to_device(images.device());
        let grid =
            Tensor::affine_grid_generator(&identity, [1, 1, height, width], false).to_kind(Kind::Float);
        images.grid_sampler(&(grid + displacements), 0, 0, false)
    }
}
