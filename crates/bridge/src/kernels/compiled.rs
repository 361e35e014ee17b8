//! A method of a TorchScript module, compiled for repeated calls on a CPU.

use cxx::UniquePtr;
use tch::Tensor;

use super::Kernel;
use crate::Result;
use crate::ffi::{self, lend, own};
use crate::script::Module;

/// A method flattened into one list of operations, without the executor's overhead. The operations are unchanged, and so
/// are the bits of the results. (Freezing the module first saves another 0.2 µs of 5 on a perceptron, and takes 0.5 s on a ResNet-18.)
pub struct Compiled {
    code: UniquePtr<ffi::Compiled>,
    kernel: Kernel,
}

/// The batch sizes that a method is optimized for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batches {
    /// Few rows: convolution weights are in channels-last order.
    Small,
    /// Many rows: activations and convolution weights are in oneDNN's blocked layout from the first convolution to the last.
    Large,
}

impl Compiled {
    /// Compiles `method`, which takes a tensor and returns one. It shares the module's parameters. `None` if the kernel is
    /// disabled.
    ///
    /// # Errors
    /// The module has no such method.
    pub fn new(module: &Module, method: &str) -> Result<Option<Self>> {
        let kernel = Kernel::GraphInterpreter;
        if !kernel.is_enabled() {
            return Ok(None);
        }
        Ok(Some(Compiled { code: ffi::compile(module.inner(), method)?, kernel }))
    }

    /// Like [`Compiled::new`], but with batch normalization folded into convolutions, convolution weights laid out for small or
    /// large batches, and small linear layers computed by the bridge's matrix products, which round differently. `None` if the
    /// method would not become faster, because it has no float32 convolutions or linear layers, or because it has no
    /// convolutions and batches are large. Also `None` for a method that modifies the module.
    ///
    /// The module must be in evaluation mode; everything that is not folded is shared with it. The caller must check that the
    /// results equal those of the module: normalization by batch statistics is folded as well, and methods may depend on the
    /// memory format.
    ///
    /// # Errors
    /// The module has no such method.
    /// A method that the module has not.
    pub fn folded(module: &Module, method: &str, batches: Batches) -> Result<Option<Self>> {
        let kernel = Kernel::FoldedGraph;
        if !kernel.is_enabled() {
            return Ok(None);
        }
        let code = ffi::compile_folded(module.inner(), method, batches == Batches::Large)?;
        Ok((!code.is_null()).then_some(Compiled { code, kernel }))
    }

    /// Calls the method without recording gradients; the result cannot be used in autograd.
    pub fn run(&self, input: &Tensor) -> Result<Tensor> {
        let output = own(self.code.run(lend(input))?);
        self.kernel.count_run();
        Ok(output)
    }
}

/// Computes `(raw - offset) / scale`, float32 (N, sizes…), from raw values (N, …) on the CPU, in any shape with the same
/// number of values per row. `offset` and `scale` are float32, with one value or one per value of a row. `None` if the
/// kernel is disabled.
///
/// # Errors
/// The number of values does not match.
pub fn scaled(raw: &Tensor, offset: &Tensor, scale: &Tensor, sizes: &[i64]) -> Result<Option<Tensor>> {
    if !Kernel::Preprocessing.is_enabled() {
        return Ok(None);
    }
    let scaled = own(ffi::scaled(lend(raw), lend(offset), lend(scale), sizes)?);
    Kernel::Preprocessing.count_run();
    Ok(Some(scaled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Values;
    use tch::{Device, Kind};

    const LINEAR: &str = r#"
class Linear(Module):
  __parameters__ = ["weight", ]
  __buffers__ = []
  weight : Tensor
  training : bool
  def forward(self: __torch__.Linear, x: Tensor) -> Tensor:
    return torch.relu(torch.linear(x, self.weight))
  def pair(self: __torch__.Linear, x: Tensor) -> Tuple[Tensor, Tensor]:
    return (x, x)
"#;

    fn linear() -> Module {
        let mut values = Values::new();
        let weight = Tensor::randn([5, 3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        values.put_tensor("weight", &weight).unwrap();
        let mut module = Module::from_source(LINEAR, "__torch__.Linear", &values).unwrap();
        module.set_training(false).unwrap();
        module
    }

    #[test]
    fn a_compiled_method_gives_the_same_bits() {
        let module = linear();
        let compiled = Compiled::new(&module, "forward").unwrap().unwrap();
        for rows in [1, 7] {
            let x = Tensor::randn([rows, 3], (Kind::Float, Device::Cpu));
            assert_eq!(compiled.run(&x).unwrap(), module.call("forward", &x).unwrap()[0]);
        }
    }

    #[test]
    fn what_cannot_be_run_is_an_error() {
        let module = linear();
        assert!(Compiled::new(&module, "absent").is_err());
        let x = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        assert!(Compiled::new(&module, "pair").unwrap().unwrap().run(&x).is_err());
        assert!(Compiled::new(&module, "forward").unwrap().unwrap().run(&x.tr()).is_err());
    }

    const CONVOLUTION: &str = r#"
class Normalization(Module):
  __parameters__ = []
  __buffers__ = ["mean", "variance", ]
  mean : Tensor
  variance : Tensor
  training : bool
  def forward(self: __torch__.Normalization, x: Tensor) -> Tensor:
    if self.training:
      _ = torch.add_(self.mean, 1)
    return torch.batch_norm(x, None, None, self.mean, self.variance, self.training, 0.1, 1.0e-05, True)
class Convolution(Module):
  __parameters__ = ["kernel", ]
  __buffers__ = ["calls", ]
  kernel : Tensor
  calls : Tensor
  count : int
  training : bool
  normalization : __torch__.Normalization
  def forward(self: __torch__.Convolution, x: Tensor) -> Tensor:
    y = torch.conv2d(x, self.kernel, None, [1, 1], [1, 1], [1, 1], 1)
    return torch.relu_((self.normalization).forward(y))
  def flat(self: __torch__.Convolution, x: Tensor) -> Tensor:
    y = self.forward(x)
    return y.view([y.size(0), -1])
  def counted(self: __torch__.Convolution, x: Tensor) -> Tensor:
    self.count = torch.add(self.count, 1)
    return self.forward(x)
  def counted_in_place(self: __torch__.Convolution, x: Tensor) -> Tensor:
    _ = torch.add_(self.calls, 1)
    return self.forward(x)
"#;

    fn convolution() -> Module {
        let mut values = Values::new();
        let tensor = |size: &[i64]| Tensor::rand(size, (Kind::Float, Device::Cpu)) + 0.5;
        values.put_tensor("kernel", &tensor(&[5, 3, 3, 3]).set_requires_grad(true)).unwrap();
        values.put_tensor("calls", &Tensor::from(0i64)).unwrap();
        values.put_int("count", 0).unwrap();
        values.put_tensor("normalization.mean", &tensor(&[5])).unwrap();
        values.put_tensor("normalization.variance", &tensor(&[5])).unwrap();
        let mut module = Module::from_source(CONVOLUTION, "__torch__.Convolution", &values).unwrap();
        module.set_training(false).unwrap();
        module
    }

    #[test]
    fn a_folded_method_computes_the_same_and_leaves_the_module_as_it_is() {
        let module = convolution();
        let x = Tensor::randn([2, 3, 6, 4], (Kind::Float, Device::Cpu));
        let before = tch::no_grad(|| module.call("forward", &x)).unwrap().remove(0);
        for batches in [Batches::Small, Batches::Large] {
            let folded = Compiled::folded(&module, "forward", batches).unwrap().unwrap();
            for rows in [1, 2] {
                let found = folded.run(&x.narrow(0, 0, rows)).unwrap();
                assert!(found.allclose(&before.narrow(0, 0, rows), 1e-5, 1e-5, false));
                assert_eq!(
                    found.is_contiguous(),
                    batches == Batches::Large,
                    "small batches use channels-last weights"
                );
            }
        }
        assert_eq!(tch::no_grad(|| module.call("forward", &x)).unwrap()[0], before);
    }

    const PERCEPTRON: &str = r#"
class Linear(Module):
  __parameters__ = ["weight", "bias", ]
  __buffers__ = []
  weight : Tensor
  bias : Tensor
  training : bool
  def forward(self: __torch__.Linear, x: Tensor) -> Tensor:
    return torch.linear(x, self.weight, self.bias)
class Perceptron(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  one : __torch__.Linear
  two : __torch__.Linear
  three : __torch__.Linear
  def forward(self: __torch__.Perceptron, x: Tensor) -> Tensor:
    y = torch.relu((self.one).forward(x))
    z = torch.dropout(torch.relu_((self.two).forward(y)), 0.5, self.training)
    return (self.three).forward(z)
  def branched(self: __torch__.Perceptron, x: Tensor) -> Tensor:
    y = (self.one).forward(x)
    z = torch.relu((self.two).forward(torch.relu(y)))
    return torch.add(torch.sum((self.three).forward((self.two).forward(z))), torch.sum(y))
"#;

    fn perceptron(width: i64) -> Module {
        let mut values = Values::new();
        for (name, inputs, outputs) in [("one", 7, width), ("two", width, width), ("three", width, 3)] {
            let tensor = |sizes: &[i64]| Tensor::randn(sizes, (Kind::Float, Device::Cpu)) * 0.3;
            values.put_tensor(&format!("{name}.weight"), &tensor(&[outputs, inputs])).unwrap();
            values.put_tensor(&format!("{name}.bias"), &tensor(&[outputs])).unwrap();
        }
        let mut module = Module::from_source(PERCEPTRON, "__torch__.Perceptron", &values).unwrap();
        module.set_training(false).unwrap();
        module
    }

    #[test]
    fn linear_layers_of_their_own_products_are_as_exact() {
        let module = perceptron(40);
        for method in ["forward", "branched"] {
            let folded = Compiled::folded(&module, method, Batches::Small).unwrap().unwrap();
            for sizes in [&[1, 7][..], &[130, 7], &[0, 7], &[2, 3, 7]] {
                let x = Tensor::randn(sizes, (Kind::Float, Device::Cpu));
                let expected = tch::no_grad(|| module.call(method, &x)).unwrap().remove(0);
                let found = folded.run(&x).unwrap();
                assert_eq!((found.size(), found.kind()), (expected.size(), Kind::Float));
                assert!(found.allclose(&expected, 1e-4, 1e-5, false), "{method}, {sizes:?}");
            }
            assert!(folded.run(&Tensor::zeros([2, 6], (Kind::Float, Device::Cpu))).is_err());
            assert!(folded.run(&Tensor::zeros([2, 7], (Kind::Double, Device::Cpu))).is_err());
        }
    }

    #[test]
    fn a_row_has_the_same_bits_in_any_company() {
        let folded = Compiled::folded(&perceptron(40), "forward", Batches::Small).unwrap().unwrap();
        let x = Tensor::randn([70, 7], (Kind::Float, Device::Cpu));
        let all = folded.run(&x).unwrap();
        for row in [0, 5, 63, 69] {
            assert_eq!(folded.run(&x.narrow(0, row, 1)).unwrap(), all.narrow(0, row, 1));
        }
    }

    #[test]
    fn layers_in_training_and_large_ones_stay_as_they_are() {
        let mut module = perceptron(40);
        let x = Tensor::randn([3, 7], (Kind::Float, Device::Cpu));
        let folded = |module: &Module| Compiled::folded(module, "forward", Batches::Small).unwrap();
        let settled = folded(&module).unwrap().run(&x).unwrap();
        module.set_training(true).unwrap();
        // Dropout between the second and the third layer changes the result.
        assert_ne!(folded(&module).unwrap().run(&x).unwrap(), settled);
        assert!(Compiled::folded(&perceptron(40), "forward", Batches::Large).unwrap().is_none());
        // The second layer is large, the others are small.
        let module = perceptron(300);
        let expected = tch::no_grad(|| module.call("forward", &x)).unwrap().remove(0);
        assert!(folded(&module).unwrap().run(&x).unwrap().allclose(&expected, 1e-4, 1e-5, false));
    }

    #[test]
    fn only_what_has_something_to_gain_and_no_memory_is_folded() {
        assert!(Compiled::folded(&linear(), "forward", Batches::Small).unwrap().is_none());
        let module = convolution();
        for method in ["counted", "counted_in_place"] {
            assert!(Compiled::folded(&module, method, Batches::Large).unwrap().is_none(), "{method}");
        }
        let counted = module.buffers().unwrap().remove(0);
        assert_eq!((counted.0.as_str(), counted.1.int64_value(&[])), ("calls", 0));
        assert!(Compiled::folded(&module, "absent", Batches::Small).is_err());
        let flat = Compiled::folded(&module, "flat", Batches::Small).unwrap().unwrap();
        assert!(flat.run(&Tensor::zeros([2, 3, 6, 4], (Kind::Float, Device::Cpu))).is_err());
    }

    #[test]
    fn scaling_in_one_pass_gives_the_bits_of_two_operations() {
        let random = |sizes: &[i64]| Tensor::randn(sizes, (Kind::Float, Device::Cpu));
        for (offset, scale) in [([1], [1]), ([6], [6]), ([1], [6])] {
            let (offset, scale) = (random(&offset), random(&scale));
            for raw in [random(&[4, 6]), random(&[6, 4]).tr(), random(&[4, 1, 2, 3]), random(&[0, 6])] {
                let expected = (raw.reshape([-1, 6]) - &offset) / &scale;
                let found = scaled(&raw, &offset, &scale, &[2, 3]).unwrap();
                assert_eq!(found, Some(expected.view([-1, 2, 3])));
            }
        }
        let bytes = Tensor::from_slice(&[0u8, 255]).view([2, 1]);
        let (offset, scale) = (Tensor::from(1f32), Tensor::from(2f32));
        let found = scaled(&bytes, &offset, &scale, &[1]).unwrap().unwrap();
        assert_eq!(Vec::<f32>::try_from(found.view(-1)).unwrap(), [-0.5, 127.]);
        assert!(scaled(&bytes, &offset, &scale, &[2]).is_err());
    }
}
