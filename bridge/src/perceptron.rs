//! A training step of a multilayer perceptron by its formulas, without autograd's record of it.

use cxx::UniquePtr;
use tch::Tensor;

use crate::Result;
use crate::ffi::{self, lend, own};

/// Linear layers with a rectifier between each two, and the mean cross-entropy of what the last one gives: float32, on the CPU.
/// Losses and gradients have the bits that autograd gives them, in half the time or less where the layers are small.
pub struct Perceptron(UniquePtr<ffi::Perceptron>);

// SAFETY: the C++ object holds reference-counted tensors and nothing bound to a thread; what changes them is `&mut self`.
unsafe impl Send for Perceptron {}

/// What came of a forward pass.
#[derive(Debug)]
pub struct Forward {
    /// The mean loss.
    pub value: f64,
    /// The same, float32, a scalar.
    pub loss: Tensor,
    /// Float32 (N, classes).
    pub logits: Tensor,
}

impl Perceptron {
    /// Layers with these weights (outputs, inputs) and biases (outputs), from the input to the output.
    ///
    /// # Errors
    /// Parameters that are not float32 on the CPU.
    pub fn of<'a>(layers: impl IntoIterator<Item = (&'a Tensor, &'a Tensor)>) -> Result<Self> {
        let mut perceptron = ffi::new_perceptron();
        for (weight, bias) in layers {
            perceptron.pin_mut().add_layer(lend(weight), lend(bias))?;
        }
        Ok(Perceptron(perceptron))
    }

    /// The mean loss of inputs, float32 (N, …), with labels, int64 (N). Nothing is changed by it.
    ///
    /// # Errors
    /// Inputs of other sizes than the layers'; labels that are no classes.
    pub fn forward(&mut self, inputs: &Tensor, labels: &Tensor) -> Result<Forward> {
        let value = self.0.pin_mut().forward(lend(inputs), lend(labels))?;
        Ok(Forward { value, loss: own(self.0.loss()), logits: own(self.0.logits()) })
    }

    /// Puts the gradients of the last forward pass beside the parameters, which must have none yet. The next call overwrites
    /// them.
    pub fn backward(&mut self) -> Result<()> {
        Ok(self.0.pin_mut().backward()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn drawn(sizes: &[i64]) -> Tensor {
        Tensor::randn(sizes, (Kind::Float, Device::Cpu)).set_requires_grad(true)
    }

    #[test]
    fn losses_and_gradients_have_the_bits_of_autograd() {
        tch::manual_seed(1);
        for widths in [&[6, 3][..], &[64, 128, 10], &[6, 5, 4, 3]] {
            let layers: Vec<_> =
                widths.windows(2).map(|pair| (drawn(&[pair[1], pair[0]]), drawn(&[pair[1]]))).collect();
            let mut perceptron = Perceptron::of(layers.iter().map(|(weight, bias)| (weight, bias))).unwrap();
            // Twice, with another number of rows.
            for rows in [32, 7] {
                let x = Tensor::randn([rows, 2, widths[0] / 2], (Kind::Float, Device::Cpu));
                let labels = Tensor::randint(*widths.last().unwrap(), [rows], (Kind::Int64, Device::Cpu));
                let found = perceptron.forward(&x, &labels).unwrap();
                perceptron.backward().unwrap();
                let own: Vec<_> =
                    layers.iter().flat_map(|(w, b)| [w.grad().copy(), b.grad().copy()]).collect();

                let logits =
                    layers.iter().enumerate().fold(x.flatten(1, -1), |x, (place, (weight, bias))| {
                        let x = if place > 0 { x.relu() } else { x };
                        x.linear(weight, Some(bias))
                    });
                let loss = logits.cross_entropy_for_logits(&labels);
                assert_eq!((&found.loss, &found.logits), (&loss, &logits));
                assert_eq!(found.value, loss.double_value(&[]));
                let parameters = layers.iter().flat_map(|(weight, bias)| [weight, bias]);
                let gradients = Tensor::run_backward(&[loss], &parameters.collect::<Vec<_>>(), false, false);
                assert_eq!(own, gradients);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let (weight, bias) = (drawn(&[3, 4]), drawn(&[3]));
        let mut perceptron = Perceptron::of([(&weight, &bias)]).unwrap();
        let x = Tensor::zeros([2, 4], (Kind::Float, Device::Cpu));
        assert!(perceptron.forward(&x, &Tensor::from_slice(&[0i64, 3])).is_err());
        assert!(perceptron.forward(&x.tr(), &Tensor::from_slice(&[0i64, 1])).is_err());
        assert!(Perceptron::of([(&bias, &bias)]).is_err());
    }
}
