//! Random horizontal flip.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tch::Tensor;

use super::{Augment, AugmentKind, BuiltAugment, Pixels, parameter};

/// The augmentation.
pub(crate) const KIND: AugmentKind = AugmentKind {
    name: "flip",
    summary: "horizontal flip",
    parameters: &[parameter("probability", 0.5, 0., 1.)],
    build: |values| BuiltAugment::Single(Box::new(Flip(values[0]))),
};

#[derive(Debug)]
struct Flip(f64);

impl Augment for Flip {
    fn apply(&self, images: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
        let flipped: Vec<bool> =
            generators.iter_mut().map(|generator| generator.random_bool(self.0)).collect();
        if let [flipped] = flipped[..] {
            return if flipped { images.flip([3]) } else { images.shallow_clone() };
        }
        let flipped = Tensor::from_slice(&flipped).to_device(images.device()).view([-1, 1, 1, 1]);
        images.flip([3]).where_self(&flipped, images)
    }

    fn takes_bytes(&self) -> bool {
        true
    }

    fn change_pixels(&self, pixels: &mut Pixels, generator: &mut ChaCha8Rng) -> bool {
        if generator.random_bool(self.0) {
            let Pixels { values, width, channels } = pixels;
            for row in values.chunks_exact_mut(*width * *channels) {
                match channels {
                    3 => row.as_chunks_mut::<3>().0.reverse(),
                    _ => row.reverse(),
                }
            }
        }
        true
    }
}
