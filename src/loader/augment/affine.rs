//! Random rotation, translation, scale and shear, in one interpolation.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tch::Tensor;

use super::{Augment, AugmentKind, BuiltAugment, parameter};

/// The augmentation.
pub(crate) const KIND: AugmentKind = AugmentKind {
    name: "affine",
    summary: "rotation, translation, scale and shear, each up to the given value",
    parameters: &[
        parameter("rotation in degrees", 10., 0., 180.),
        parameter("translation as a share of the side", 0.1, 0., 1.),
        parameter("scale", 0.1, 0., 0.9),
        parameter("shear in degrees", 5., 0., 60.),
    ],
    build: |values| {
        BuiltAugment::Single(Box::new(Affine {
            degrees: values[0],
            shift: values[1],
            scale: values[2],
            slant: values[3],
        }))
    },
};

#[derive(Debug)]
struct Affine {
    degrees: f64,
    shift: f64,
    scale: f64,
    slant: f64,
}

/// The affine map from output to input coordinates, in pixels from the center: `matrix · (x, y) + shift`.
#[derive(Debug, Clone, Copy)]
pub struct Map {
    /// Rows of x and of y.
    pub matrix: [[f64; 2]; 2],
    /// In pixels.
    pub shift: [f64; 2],
}

impl Map {
    /// Rotation and shear in degrees, and a scale factor.
    pub fn new(degrees: f64, slant: f64, scale: f64, shift: [f64; 2]) -> Self {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        let slant = slant.to_radians().tan();
        let matrix = [[cosine, sine + slant * cosine], [-sine, cosine - slant * sine]];
        Map { matrix: matrix.map(|row| row.map(|value| value / scale)), shift }
    }
}

/// Warps images (N, C, H, W), each by its map. Pixels from outside the image are black.
pub(crate) fn warp(images: &Tensor, maps: &[Map]) -> Tensor {
    let (_, _, height, width) = images.size4().expect("images are (N, C, H, W)");
    let (height, width) = (height as f64, width as f64);
    // libtorch coordinates run from -1 to 1 along each side.
    let rows = maps.iter().flat_map(|Map { matrix: [[xx, xy], [yx, yy]], shift: [x, y] }| {
        [*xx, xy * height / width, 2. * x / width, yx * width / height, *yy, 2. * y / height]
    });
    let rows: Vec<f32> = rows.map(|value| value as f32).collect();
    let theta = Tensor::from_slice(&rows).view([-1, 2, 3]).to_device(images.device());
    let grid = Tensor::affine_grid_generator(&theta, images.size(), false);
    const BILINEAR: i64 = 0;
    const BLACK: i64 = 0;
    images.grid_sampler(&grid, BILINEAR, BLACK, false)
}

impl Augment for Affine {
    fn apply(&self, images: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
        let (_, _, height, width) = images.size4().expect("images are (N, C, H, W)");
        let map = |generator: &mut ChaCha8Rng| {
            let mut up_to = |most: f64| generator.random_range(-most..=most);
            let (degrees, slant, scale) = (up_to(self.degrees), up_to(self.slant), 1. + up_to(self.scale));
            let shift = [up_to(self.shift) * width as f64, up_to(self.shift) * height as f64];
            Map::new(degrees, slant, scale, shift)
        };
        let maps: Vec<_> = generators.iter_mut().map(map).collect();
        warp(images, &maps)
    }
}
