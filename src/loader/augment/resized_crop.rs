//! Random crop of random area and aspect ratio, resized to the size of the image (C. Szegedy et al., "Going Deeper with
//! Convolutions", 2015, in torchvision's version).

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tch::Tensor;

use super::affine::{Map, warp};
use super::{Augment, AugmentKind, BuiltAugment, parameter};
use crate::data::image::Region;

/// The augmentation.
pub(crate) const KIND: AugmentKind = AugmentKind {
    name: "random-resized-crop",
    summary: "random crop with at least the given share of the area, resized to the size of the image",
    parameters: &[
        parameter("minimum area", 0.08, 0.01, 1.),
        parameter("maximum area", 1., 0.01, 1.),
        parameter("minimum aspect ratio", 3. / 4., 0.1, 1.),
        parameter("maximum aspect ratio", 4. / 3., 1., 10.),
    ],
    build: |values| {
        let areas = (values[0].min(values[1]), values[1]);
        BuiltAugment::Single(Box::new(ResizedCrop { areas, proportions: (values[2], values[3]) }))
    },
};

#[derive(Debug)]
struct ResizedCrop {
    /// Minimum and maximum share of the area.
    areas: (f64, f64),
    /// Minimum and maximum aspect ratio (width over height).
    proportions: (f64, f64),
}

/// Attempts to draw a region before falling back to the center.
const ATTEMPTS: u32 = 10;

impl ResizedCrop {
    fn draw(&self, (width, height): (u32, u32), generator: &mut ChaCha8Rng) -> Region {
        let (full_width, full_height) = (f64::from(width), f64::from(height));
        for _ in 0..ATTEMPTS {
            let area = full_width * full_height * generator.random_range(self.areas.0..=self.areas.1);
            let proportions = generator.random_range(self.proportions.0.ln()..=self.proportions.1.ln()).exp();
            let (width, height) = ((area * proportions).sqrt().round(), (area / proportions).sqrt().round());
            if (1. ..=full_width).contains(&width) && (1. ..=full_height).contains(&height) {
                let left = generator.random_range(0..=(full_width - width) as u32);
                let top = generator.random_range(0..=(full_height - height) as u32);
                return Region { left: left.into(), top: top.into(), width, height };
            }
        }
        let side = |full: f64, most: f64| full.min(most);
        let (width, height) = (
            side(full_width, full_height * self.proportions.1),
            side(full_height, full_width / self.proportions.0),
        );
        Region { left: (full_width - width) / 2., top: (full_height - height) / 2., width, height }
    }
}

impl Augment for ResizedCrop {
    fn apply(&self, images: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
        let (_, _, height, width) = images.size4().expect("images are (N, C, H, W)");
        let (full_width, full_height) = (width as f64, height as f64);
        let maps: Vec<_> = generators
            .iter_mut()
            .map(|generator| {
                let region = self.draw((width as u32, height as u32), generator);
                Map {
                    matrix: [[region.width / full_width, 0.], [0., region.height / full_height]],
                    shift: [
                        region.left + region.width / 2. - full_width / 2.,
                        region.top + region.height / 2. - full_height / 2.,
                    ],
                }
            })
            .collect();
        warp(images, &maps)
    }

    fn draws_region(&self) -> bool {
        true
    }

    fn region(&self, size: (u32, u32), generator: &mut ChaCha8Rng) -> Option<Region> {
        Some(self.draw(size, generator))
    }
}
