//! Freezing modules for inference: attributes become constants of the code.

use tch::Tensor;

use crate::Result;
use crate::ffi;
use crate::script::{Module, Values};

impl Module {
    /// Returns a copy whose parameters, buffers and submodules are constants of the code. It keeps `forward` and the
    /// methods and attributes named in `methods`.
    ///
    /// # Errors
    /// The module is in training mode, or has no method or attribute of a given name.
    pub fn frozen(&self, methods: &[&str]) -> Result<Module> {
        Ok(Module(ffi::frozen(self.inner(), methods)?))
    }

    /// In a frozen module, folds normalization, sums and products into the preceding convolutions and linear layers. Results
    /// change only by rounding.
    pub fn fold_constants(&mut self) -> Result<()> {
        Ok(ffi::fold_constants(self.inner_mut())?)
    }

    /// Returns the tensor constants of the code of this module and its submodules, each once, in no particular order.
    pub fn constants(&self) -> Result<Vec<Tensor>> {
        let mut values = Values::new();
        ffi::constants(self.inner(), values.inner_mut())?;
        Ok(values.into_tensors()?.into_iter().map(|(_, tensor)| tensor).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    const SOURCE: &str = r#"
class Inner(Module):
  __parameters__ = ["weight", ]
  __buffers__ = []
  weight : Tensor
  training : bool
class M(Module):
  __parameters__ = []
  __buffers__ = ["mean", "variance", ]
  mean : Tensor
  variance : Tensor
  training : bool
  names : List[str]
  inner : __torch__.Inner
  def forward(self: __torch__.M, x: Tensor) -> Tensor:
    return torch.batch_norm(self.features(x), None, None, self.mean, self.variance, self.training, 0.1, 1.0e-05, True)
  def features(self: __torch__.M, x: Tensor) -> Tensor:
    return torch.conv2d(x, self.inner.weight, None, [1, 1], [0, 0], [1, 1], 1)
"#;

    fn module() -> Module {
        let mut values = Values::new();
        let tensor = |size: &[i64]| Tensor::rand(size, (Kind::Float, Device::Cpu)) + 0.5;
        values.put_tensor("inner.weight", &tensor(&[3, 1, 3, 3]).set_requires_grad(true)).unwrap();
        values.put_tensor("mean", &tensor(&[3])).unwrap();
        values.put_tensor("variance", &tensor(&[3])).unwrap();
        values.put_strings("names", &["a".to_string()]).unwrap();
        let mut module = Module::from_source(SOURCE, "__torch__.M", &values).unwrap();
        module.set_training(false).unwrap();
        module
    }

    #[test]
    fn a_frozen_module_computes_the_same_from_constants_also_after_the_file() {
        let module = module();
        let mut frozen = module.frozen(&["features", "names"]).unwrap();
        let x = Tensor::rand([2, 1, 5, 5], (Kind::Float, Device::Cpu));
        let call =
            |module: &Module, method: &str| tch::no_grad(|| module.call(method, &x).unwrap().remove(0));
        for method in ["forward", "features"] {
            assert_eq!(call(&frozen, method), call(&module, method), "{method}");
        }
        assert!(frozen.state().unwrap().is_empty() && module.state().unwrap().len() == 3);
        assert!(frozen.constants().unwrap().len() >= 3 && module.constants().unwrap().is_empty());

        frozen.fold_constants().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frozen.pt");
        frozen.save(&path, &[("note", "kept")]).unwrap();
        let (loaded, extra) = Module::load(&path, Device::Cpu, &["note"]).unwrap();
        assert_eq!(extra, ["kept"]);
        assert!(call(&loaded, "forward").allclose(&call(&module, "forward"), 1e-5, 1e-5, false));
        let sizes: Vec<_> = loaded.constants().unwrap().iter().map(Tensor::size).collect();
        assert!(sizes.contains(&vec![3, 1, 3, 3]), "{sizes:?}");
    }

    #[test]
    fn a_module_in_training_and_an_absent_method_are_refused_in_a_line() {
        let mut module = module();
        let absent = module.frozen(&["absent"]).err().unwrap();
        assert!(!absent.0.contains('\n') && !absent.0.is_empty(), "{absent}");
        module.set_training(true).unwrap();
        assert!(module.frozen(&[]).is_err());
    }
}
