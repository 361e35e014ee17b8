//! Random erasing of a rectangle (Z. Zhong et al., "Random Erasing Data Augmentation", 2020).

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tch::Tensor;

use super::{Augment, AugmentKind, BuiltAugment, parameter};

/// The augmentation.
pub(crate) const KIND: AugmentKind = AugmentKind {
    name: "erasing",
    summary: "a random rectangle set to black, with the given probability",
    parameters: &[parameter("probability", 0.25, 0., 1.)],
    build: |values| BuiltAugment::Single(Box::new(Erasing(values[0]))),
};

#[derive(Debug)]
struct Erasing(f64);

/// Minimum and maximum of the erased share of the area, and of the aspect ratio (height over width).
const AREA: (f64, f64) = (0.02, 0.33);
const PROPORTIONS: (f64, f64) = (0.3, 3.3);

impl Augment for Erasing {
    fn apply(&self, images: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
        let (_, _, height, width) = images.size4().expect("images are (N, C, H, W)");
        let result = images.copy();
        for (index, generator) in generators.iter_mut().enumerate() {
            if !generator.random_bool(self.0) {
                continue;
            }
            let area = (height * width) as f64 * generator.random_range(AREA.0..=AREA.1);
            let proportions = generator.random_range(PROPORTIONS.0.ln()..=PROPORTIONS.1.ln()).exp();
            let side = |side: f64, full: i64| (side.round() as i64).clamp(1, full);
            let (tall, wide) =
                (side((area * proportions).sqrt(), height), side((area / proportions).sqrt(), width));
            let top = generator.random_range(0..=height - tall);
            let left = generator.random_range(0..=width - wide);
            let _ = result.select(0, index as i64).narrow(1, top, tall).narrow(2, left, wide).zero_();
        }
        result
    }

    fn takes_bytes(&self) -> bool {
        true
    }
}
