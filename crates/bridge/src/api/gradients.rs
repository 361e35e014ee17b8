//! Operations on the gradients of all parameters at once.

use cxx::UniquePtr;
use tch::Tensor;

use crate::Result;
use crate::ffi::{self, lend, own};

/// The gradients of a set of parameters, as far as the backward pass has set them.
pub struct Gradients(UniquePtr<ffi::Gradients>);

// SAFETY: the C++ object holds reference-counted tensors and nothing bound to a thread; only `&mut self` methods change them.
unsafe impl Send for Gradients {}

impl Gradients {
    /// Collects the gradients of these parameters.
    pub fn of<'a>(parameters: impl IntoIterator<Item = &'a Tensor>) -> Result<Self> {
        let mut gradients = ffi::new_gradients();
        for parameter in parameters {
            gradients.pin_mut().add_parameter(lend(parameter))?;
        }
        Ok(Gradients(gradients))
    }

    /// The Euclidean norm of all gradients as one vector: a float32 scalar on their device; zero without gradients.
    pub fn norm(&self) -> Result<Tensor> {
        Ok(own(self.0.norm()?))
    }

    /// Multiplies all gradients by a scalar tensor on their device.
    pub fn scale(&mut self, factor: &Tensor) -> Result<()> {
        Ok(self.0.scale(lend(factor))?)
    }

    /// Sets the gradients to none.
    pub fn clear(&mut self) -> Result<()> {
        Ok(self.0.pin_mut().clear()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn the_norm_is_that_of_all_gradients_and_scales_with_them() {
        let weights = [[3f32, 0.], [0., 4.]].map(|w| Tensor::from_slice(&w).set_requires_grad(true));
        let idle = Tensor::from_slice(&[1f32]).set_requires_grad(true);
        let mut gradients = Gradients::of(weights.iter().chain([&idle])).unwrap();
        assert_eq!(gradients.norm().unwrap().double_value(&[]), 0.);
        // The gradient of half the square is the weight itself.
        weights.iter().for_each(|weight| (weight.square().sum(Kind::Float) / 2).backward());
        assert_eq!(gradients.norm().unwrap().double_value(&[]), 5.);
        gradients.scale(&Tensor::from(0.5f32)).unwrap();
        assert_eq!(gradients.norm().unwrap().double_value(&[]), 2.5);
        gradients.clear().unwrap();
        assert!(!weights[0].grad().defined());
    }
}
