//! A training step of a multilayer perceptron, without autograd.

use cxx::UniquePtr;
use tch::Tensor;

use super::Kernel;
use crate::Result;
use crate::ffi::{self, lend, own};

/// Linear layers with ReLU between them, and the mean cross-entropy of the logits: float32, on the CPU.
///
/// Small batches (up to 4 million multiplications in the forward pass) use the bridge's matrix products on one core;
/// larger ones use libtorch's, with results bit-identical to autograd's.
pub struct Perceptron(UniquePtr<ffi::Perceptron>);

// SAFETY: the C++ object holds reference-counted tensors and nothing bound to a thread; only `&mut self` methods change it.
unsafe impl Send for Perceptron {}

/// The result of a forward pass.
#[derive(Debug)]
pub struct Forward {
    /// The mean loss.
    pub value: f64,
    /// The mean loss as a float32 scalar tensor.
    pub loss: Tensor,
    /// The logits, float32 (N, classes).
    pub logits: Tensor,
}

impl Perceptron {
    /// Creates layers with these weights (outputs, inputs) and biases (outputs), from the input to the output.
    ///
    /// # Errors
    /// Parameters are not float32 on the CPU.
    pub fn of<'a>(layers: impl IntoIterator<Item = (&'a Tensor, &'a Tensor)>) -> Result<Self> {
        let mut perceptron = ffi::new_perceptron();
        for (weight, bias) in layers {
            perceptron.pin_mut().add_layer(lend(weight), lend(bias))?;
        }
        Ok(Perceptron(perceptron))
    }

    /// Like [`Perceptron::of`], for [`Perceptron::forward`] and [`Perceptron::backward`]; `None` if the kernel is disabled.
    ///
    /// # Errors
    /// Parameters are not float32 on the CPU.
    pub fn for_training<'a>(
        layers: impl IntoIterator<Item = (&'a Tensor, &'a Tensor)>,
    ) -> Result<Option<Self>> {
        Kernel::MlpTraining.is_enabled().then(|| Perceptron::of(layers)).transpose()
    }

    /// Computes the mean loss of inputs, float32 (N, …), with labels, int64 (N). Does not modify parameters or gradients.
    ///
    /// # Errors
    /// The inputs do not match the first layer, or a label is out of range.
    pub fn forward(&mut self, inputs: &Tensor, labels: &Tensor) -> Result<Forward> {
        let value = self.0.pin_mut().forward(lend(inputs), lend(labels))?;
        Kernel::MlpTraining.count_run();
        Ok(Forward { value, loss: own(self.0.loss()), logits: own(self.0.logits()) })
    }

    /// Sets the parameters' gradients from the last forward pass. The parameters must not have gradients yet. The next call
    /// overwrites them.
    pub fn backward(&mut self) -> Result<()> {
        Ok(self.0.pin_mut().backward()?)
    }

    /// Computes the logits, float32 (N, classes), of inputs, float32 (N, …). `None` if gradients are recorded or libtorch's
    /// operations are faster. The logits of a row depend on that row alone.
    pub fn infer(&self, inputs: &Tensor) -> Result<Option<Tensor>> {
        if !Kernel::MlpInference.is_enabled() {
            return Ok(None);
        }
        let logits = self.0.infer(lend(inputs))?;
        let logits = (!logits.is_null()).then(|| own(logits));
        Ok(logits.inspect(|_| Kernel::MlpInference.count_run()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_beside::error;
    use crate::processor::has_vectors;
    use tch::{Device, Kind};

    type Layers = Vec<(Tensor, Tensor)>;

    fn drawn(sizes: &[i64]) -> Tensor {
        Tensor::randn(sizes, (Kind::Float, Device::Cpu)).set_requires_grad(true)
    }

    fn layers(widths: &[i64]) -> Layers {
        widths.windows(2).map(|pair| (drawn(&[pair[1], pair[0]]), drawn(&[pair[1]]))).collect()
    }

    fn perceptron(layers: &Layers) -> Perceptron {
        Perceptron::of(layers.iter().map(|(weight, bias)| (weight, bias))).unwrap()
    }

    fn batch(layers: &Layers, rows: i64) -> (Tensor, Tensor) {
        let (features, classes) = (layers[0].0.size()[1], layers.last().unwrap().0.size()[0]);
        let x = Tensor::randn([rows, features, 1], (Kind::Float, Device::Cpu));
        (x, Tensor::randint(classes, [rows], (Kind::Int64, Device::Cpu)))
    }

    fn logits_by_autograd(layers: &Layers, x: &Tensor) -> Tensor {
        layers.iter().enumerate().fold(x.flatten(1, -1), |x, (place, (weight, bias))| {
            let x = if place > 0 { x.relu() } else { x };
            x.linear(weight, Some(bias))
        })
    }

    /// The loss, the logits and all gradients.
    fn by_autograd(layers: &Layers, x: &Tensor, labels: &Tensor) -> Vec<Tensor> {
        let logits = logits_by_autograd(layers, x);
        let loss = logits.cross_entropy_for_logits(labels);
        let parameters: Vec<_> = layers.iter().flat_map(|(weight, bias)| [weight, bias]).collect();
        let gradients = Tensor::run_backward(&[loss.shallow_clone()], &parameters, false, false);
        [loss, logits].into_iter().chain(gradients).collect()
    }

    fn by_formulas(perceptron: &mut Perceptron, layers: &Layers, x: &Tensor, labels: &Tensor) -> Vec<Tensor> {
        let found = perceptron.forward(x, labels).unwrap();
        perceptron.backward().unwrap();
        assert_eq!(found.value, found.loss.double_value(&[]));
        let gradients = layers.iter().flat_map(|(weight, bias)| [weight.grad().copy(), bias.grad().copy()]);
        [found.loss, found.logits].into_iter().chain(gradients).collect()
    }

    #[test]
    fn large_batches_have_the_bits_of_autograd() {
        tch::manual_seed(1);
        let layers = layers(&[64, 128, 96, 10]);
        let mut perceptron = perceptron(&layers);
        // Twice, with different numbers of rows.
        for rows in [300, 290] {
            let (x, labels) = batch(&layers, rows);
            let own = by_formulas(&mut perceptron, &layers, &x, &labels);
            assert_eq!(own, by_autograd(&layers, &x, &labels));
        }
    }

    #[test]
    fn small_batches_are_as_exact_as_autograd() {
        tch::manual_seed(2);
        for widths in [&[64, 128, 10][..], &[6, 3], &[65, 33, 17, 2], &[1, 1, 16]] {
            let layers = layers(widths);
            let wide: Layers = layers.iter().map(|(weight, bias)| (wide(weight), wide(bias))).collect();
            let mut perceptron = perceptron(&layers);
            for rows in [32, 7, 1, 48] {
                let (x, labels) = batch(&layers, rows);
                let right = by_autograd(&wide, &x.to_kind(Kind::Double), &labels);
                let (own, autograd) =
                    (by_formulas(&mut perceptron, &layers, &x, &labels), by_autograd(&layers, &x, &labels));
                // autograd would give the bits of libtorch's products, as for large batches.
                if widths.len() > 2 && rows == 32 && widths[0] > 1 {
                    assert_eq!(own != autograd, has_vectors(), "{widths:?}");
                }
                let (own, autograd) = (error(&own, &right), error(&autograd, &right));
                assert!(own < 2. * autograd + 1e-6, "{widths:?}, {rows} rows: {own:e} vs. {autograd:e}");
            }
        }
    }

    fn wide(parameter: &Tensor) -> Tensor {
        parameter.detach().to_kind(Kind::Double).set_requires_grad(true)
    }

    #[test]
    fn a_row_has_the_same_logits_in_any_company() {
        tch::manual_seed(3);
        for widths in [&[64, 128, 10][..], &[7, 3], &[65, 33, 17, 2]] {
            let layers = layers(widths);
            let perceptron = perceptron(&layers);
            let (x, _) = batch(&layers, 333);
            assert!(perceptron.infer(&x).unwrap().is_none(), "gradients are recorded");
            tch::no_grad(|| {
                let all = perceptron.infer(&x).unwrap().unwrap();
                let right = logits_by_autograd(&layers, &x);
                assert!(error(&[all.shallow_clone()], &[right.to_kind(Kind::Double)]) < 1e-6);
                for row in [0, 1, 63, 64, 332] {
                    assert_eq!(
                        perceptron.infer(&x.narrow(0, row, 1)).unwrap().unwrap(),
                        all.narrow(0, row, 1)
                    );
                }
            });
        }
        let layers = layers(&[512, 512, 2]);
        let (x, _) = batch(&layers, 2);
        assert!(tch::no_grad(|| perceptron(&layers).infer(&x)).unwrap().is_none(), "the layers are large");
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let layers = layers(&[4, 3]);
        let mut small = perceptron(&layers);
        let x = Tensor::zeros([2, 4], (Kind::Float, Device::Cpu));
        assert!(small.forward(&x, &Tensor::from_slice(&[0i64, 3])).is_err());
        assert!(small.forward(&x, &Tensor::from_slice(&[0i64, -1])).is_err());
        assert!(small.forward(&x, &Tensor::from_slice(&[0i64])).is_err());
        assert!(small.forward(&x, &Tensor::from_slice(&[0i32, 1])).is_err());
        assert!(small.forward(&x.tr(), &Tensor::from_slice(&[0i64, 1])).is_err());
        assert!(small.forward(&x.narrow(0, 0, 0), &Tensor::from_slice::<i64>(&[])).is_err());
        let (weight, bias) = &layers[0];
        assert!(Perceptron::of([(bias, bias)]).is_err());
        assert!(Perceptron::of([(weight, weight)]).is_err());
        assert!(Perceptron::of([(weight, bias), (weight, bias)]).is_err());
    }
}
