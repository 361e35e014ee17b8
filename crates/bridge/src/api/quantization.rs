//! Quantization: modules whose linear layers, convolutions and recurrent cells compute with 8-bit integers (Jacob et al.,
//! "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018).

use tch::Tensor;

use crate::Result;
use crate::ffi::{self, lend};
use crate::script::{Module, Values};

/// How activations are quantized. Weights are always quantized symmetrically per output channel, by their maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// By the range of each batch. Applies to linear layers; the operations between them stay in float32.
    Dynamic,
    /// By a fixed range from calibration. Applies to convolutions, linear layers and the operations between them.
    Static,
}

impl Module {
    /// Returns a copy of the module, frozen in evaluation mode on the CPU. With the static scheme, its `forward` records the
    /// ranges of all activations (calibration).
    pub fn observed(&self, scheme: Scheme) -> Result<Module> {
        Ok(Module(ffi::observed(self.inner(), scheme == Scheme::Dynamic)?))
    }

    /// Quantizes a module from [`Module::observed`] after it was called with calibration data.
    pub fn quantized(&self, scheme: Scheme) -> Result<Module> {
        Ok(Module(ffi::quantized(self.inner(), scheme == Scheme::Dynamic)?))
    }

    /// Whether `forward` uses an operation, such as `aten::conv2d`. Submodules are not searched, but a frozen module has
    /// none.
    pub fn uses(&self, operation: &str) -> Result<bool> {
        Ok(ffi::uses(self.inner(), operation)?)
    }
}

impl Values {
    /// Sets the attribute `name`, of type `__torch__.torch.classes.rnn.CellParamsBase`, to the weights of one direction of a
    /// recurrent layer: float32 in PyTorch's order (`weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`); matrices are quantized.
    pub fn put_quantized_cell(&mut self, name: &str, weights: [&Tensor; 4]) -> Result<()> {
        let [weight_ih, weight_hh, bias_ih, bias_hh] = weights.map(lend);
        Ok(ffi::put_quantized_cell(self.inner_mut(), name, weight_ih, weight_hh, bias_ih, bias_hh)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    const SOURCE: &str = r#"
class Model(Module):
  __parameters__ = ["kernel", "weight", "bias", ]
  __buffers__ = []
  kernel : Tensor
  weight : Tensor
  bias : Tensor
  training : bool
  def forward(self: __torch__.Model, x: Tensor) -> Tensor:
    seen = torch.relu(torch.conv2d(x, self.kernel, None, [1, 1], [1, 1], [1, 1], 1))
    return torch.linear(torch.flatten(seen, 1, -1), self.weight, self.bias)
"#;

    fn random(size: &[i64]) -> Tensor {
        Tensor::randn(size, (Kind::Float, Device::Cpu))
    }

    fn model() -> Module {
        tch::manual_seed(0);
        let mut values = Values::new();
        values.put_tensor("kernel", &random(&[8, 3, 3, 3])).unwrap();
        values.put_tensor("weight", &random(&[5, 128])).unwrap();
        values.put_tensor("bias", &random(&[5])).unwrap();
        let mut model = Module::from_source(SOURCE, "__torch__.Model", &values).unwrap();
        model.set_training(false).unwrap();
        model
    }

    /// The largest absolute error relative to the largest value.
    fn error(model: &Module, float: &Module, x: &Tensor) -> f64 {
        let (found, expected) =
            (model.call("forward", x).unwrap().remove(0), float.call("forward", x).unwrap().remove(0));
        ((found - &expected).abs().max() / expected.abs().max()).double_value(&[])
    }

    #[test]
    fn a_quantized_model_computes_nearly_the_same_also_from_its_file() {
        let float = model();
        for (scheme, operations) in [
            (Scheme::Static, ["quantized::conv2d_relu", "quantized::linear"]),
            (Scheme::Dynamic, ["aten::conv2d", "quantized::linear_dynamic"]),
        ] {
            let observed = float.observed(scheme).unwrap();
            let x = random(&[64, 3, 4, 4]);
            observed.call("forward", &x).unwrap();
            let quantized = observed.quantized(scheme).unwrap();
            for operation in operations {
                assert!(quantized.uses(operation).unwrap(), "{scheme:?} {operation}");
            }
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("m.pt");
            quantized.save(&path, &[]).unwrap();
            let (loaded, _) = Module::load(&path, Device::Cpu, &[]).unwrap();
            let error = error(&loaded, &float, &x);
            assert!(error > 0. && error < 0.05, "{scheme:?}: {error}");
        }
    }

    #[test]
    fn a_recurrent_cell_of_integers_computes_nearly_the_same() {
        const LSTM: &str = r#"
class Model(Module):
  __parameters__ = []
  __buffers__ = []
  cell : __torch__.torch.classes.rnn.CellParamsBase
  training : bool
  def forward(self: __torch__.Model, x: Tensor) -> Tensor:
    state = torch.zeros([1, torch.size(x, 0), 16])
    _0, _1, _2 = torch.quantized_lstm(x, [state, state], [self.cell], True, 1, 0.0, False, False, True, dtype=12, use_dynamic=True)
    return _0
"#;
        tch::manual_seed(0);
        let weights = [random(&[64, 6]), random(&[64, 16]), random(&[64]), random(&[64])].map(|w| w * 0.2);
        let mut values = Values::new();
        values.put_quantized_cell("cell", weights.each_ref()).unwrap();
        let model = Module::from_source(LSTM, "__torch__.Model", &values).unwrap();
        let x = random(&[3, 5, 6]);
        let state = Tensor::zeros([1, 3, 16], (Kind::Float, Device::Cpu));
        let expected = x.lstm(&[&state, &state], &weights.each_ref(), true, 1, 0., false, false, true).0;
        let found = model.call("forward", &x).unwrap().remove(0);
        let error = (found - expected).abs().max().double_value(&[]);
        assert!(error > 0. && error < 0.01, "{error}");
    }
}
