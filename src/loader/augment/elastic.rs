//! Pushed and pulled smoothly, as the hand does to letters (P. Simard et al., "Best Practices for Convolutional Neural
//! Networks Applied to Visual Document Analysis", 2003).

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::{Augment, AugmentKind, Made, parameter};

/// The augmentation.
pub const KIND: AugmentKind = AugmentKind {
    name: "elastic",
    summary: "pushed and pulled smoothly",
    parameters: &[
        parameter("strength as a share of the side", 0.03, 0., 0.5),
        parameter("smoothness as a share of the side", 0.15, 0.01, 1.),
    ],
    build: |values| Made::Single(Box::new(Elastic { strength: values[0], smoothness: values[1] })),
};

#[derive(Debug)]
struct Elastic {
    strength: f64,
    smoothness: f64,
}

impl Augment for Elastic {
    fn apply(&self, pictures: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
        let (_, _, height, width) = pictures.size4().expect("pictures are (N, C, H, W)");
        // Pushes are drawn at points as far apart as they are smooth, and are interpolated between.
        let points = ((1. / self.smoothness).ceil() as i64 + 1).clamp(2, height.min(width).max(2));
        let count = 2 * points * points;
        // A push is from -1 to 1 half sides; libtorch counts a side as 2.
        let most = 2. * self.strength;
        let pushes: Vec<f32> = generators
            .iter_mut()
            .flat_map(|generator| {
                let push = |_| generator.random_range(-most..=most) as f32;
                (0..count).map(push).collect::<Vec<_>>()
            })
            .collect();
        let pushes = Tensor::from_slice(&pushes).view([-1, 2, points, points]).to_device(pictures.device());
        let pushes = pushes.upsample_bicubic2d([height, width], true, None, None).permute([0, 2, 3, 1]);
        let still =
            Tensor::from_slice(&[1f32, 0., 0., 0., 1., 0.]).view([1, 2, 3]).to_device(pictures.device());
        let grid = Tensor::affine_grid_generator(&still, [1, 1, height, width], false).to_kind(Kind::Float);
        pictures.grid_sampler(&(grid + pushes), 0, 0, false)
    }
}
