//! Random brightness, contrast, saturation and hue.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::{Augment, AugmentKind, BuiltAugment, parameter};

/// The augmentation.
pub(crate) const KIND: AugmentKind = AugmentKind {
    name: "color-jitter",
    summary: "brightness, contrast, saturation and hue, each changed up to the given strength",
    parameters: &[parameter("strength", 0.4, 0., 1.), parameter("hue as a share of a turn", 0.05, 0., 0.5)],
    build: |values| BuiltAugment::Single(Box::new(ColorJitter { strength: values[0], hue: values[1] })),
};

#[derive(Debug)]
struct ColorJitter {
    strength: f64,
    hue: f64,
}

/// ITU-R BT.601.
pub(crate) const LUMA: [f64; 3] = [0.299, 0.587, 0.114];

/// RGB to luma and chroma (YIQ): saturation scales the chroma and hue rotates it.
const TO_YIQ: [[f64; 3]; 3] = [LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]];
const FROM_YIQ: [[f64; 3]; 3] = [[1., 0.956, 0.619], [1., -0.272, -0.647], [1., -1.106, 1.703]];

fn product(a: [[f64; 3]; 3], b: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    std::array::from_fn(|row| {
        std::array::from_fn(|column| (0..3).map(|inner| a[row][inner] * b[inner][column]).sum())
    })
}

/// The color matrix for a saturation factor and a hue rotation, as a share of a turn.
fn color_matrix(saturation: f64, hue: f64) -> [[f64; 3]; 3] {
    let (sine, cosine) = (hue * std::f64::consts::TAU).sin_cos();
    let change = [
        [1., 0., 0.],
        [0., saturation * cosine, -saturation * sine],
        [0., saturation * sine, saturation * cosine],
    ];
    product(FROM_YIQ, product(change, TO_YIQ))
}

impl Augment for ColorJitter {
    fn apply(&self, images: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
        let channels = images.size()[1];
        let (mut gains, mut contrasts, mut matrices) = (Vec::new(), Vec::new(), Vec::<f32>::new());
        for generator in generators.iter_mut() {
            let mut factor = || generator.random_range(1. - self.strength..=1. + self.strength);
            gains.push(factor() as f32);
            contrasts.push(factor() as f32);
            let saturation = factor();
            let hue = generator.random_range(-self.hue..=self.hue);
            matrices.extend(color_matrix(saturation, hue).as_flattened().iter().map(|value| *value as f32));
        }
        let factors =
            |values: &[f32]| Tensor::from_slice(values).view([-1, 1, 1, 1]).to_device(images.device());
        let bright = (images * factors(&gains)).clamp(0., 1.);
        let mean = bright.mean_dim([1, 2, 3].as_slice(), true, Kind::Float);
        let mut changed = ((bright - &mean) * factors(&contrasts) + mean).clamp(0., 1.);
        if channels == 3 {
            let matrices = Tensor::from_slice(&matrices).view([-1, 3, 3]).to_device(images.device());
            changed = matrices.bmm(&changed.flatten(2, 3)).view_as(images).clamp(0., 1.);
        }
        changed
    }
}
