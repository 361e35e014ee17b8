//! Traces a forward pass that runs in Rust into a method of a TorchScript module.

use tch::Tensor;

use crate::ffi::{self, lend};
use crate::script::{Module, Values};
use crate::{Error, Result};

impl Module {
    /// Runs `forward` on `example` and records its operations as the method `method`. `values` are the tensors that
    /// `forward` uses, under the names of the module's attributes; the method reads those attributes.
    ///
    /// Only tensor operations are recorded: sizes that `forward` reads become constants, and only the branches taken are
    /// kept. Returns the operations that read values computed from the example, because the result may depend on them:
    /// `item`, `equal`, and others for which libtorch's tracer warns. Memory that is copied out of a tensor, for example by
    /// `Vec::try_from`, is not detected.
    ///
    /// # Errors
    /// The result does not depend on the example through operations of libtorch.
    pub fn record(
        &mut self,
        method: &str,
        values: &Values,
        example: &Tensor,
        forward: impl FnOnce(&Tensor) -> Tensor,
    ) -> Result<Vec<String>> {
        let mut recording = ffi::begin_recording(self.inner(), values.inner(), lend(example))?;
        // With gradients, the parameters would become constants. A panic in `forward` drops the recording, which ends it.
        let output = tch::no_grad(|| forward(example));
        let mut recording =
            recording.as_mut().ok_or_else(|| Error("the recording was not started".to_string()))?;
        recording.as_mut().finish(self.inner_mut(), method, lend(&output))?;
        Ok(recording.warnings())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    const LINEAR: &str = r#"
class Linear(Module):
  __parameters__ = ["weight", ]
  __buffers__ = []
  weight : Tensor
  training : bool
class Model(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  fc : __torch__.Linear
"#;

    fn model(weight: &Tensor) -> (Module, Values) {
        let mut values = Values::new();
        values.put_tensor("fc.weight", weight).unwrap();
        (Module::from_source(LINEAR, "__torch__.Model", &values).unwrap(), values)
    }

    #[test]
    fn a_recorded_method_reads_the_parameters_and_takes_any_batch() {
        let weight = Tensor::randn([3, 5], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let forward = |x: &Tensor| x.flatten(1, -1).matmul(&weight.tr()).relu();
        let (mut module, values) = model(&weight);
        let example = Tensor::randn([2, 5, 1], (Kind::Float, Device::Cpu));
        module.record("forward", &values, &example, forward).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.pt");
        module.save(&path, &[]).unwrap();
        let (module, _) = Module::load(&path, Device::Cpu, &[]).unwrap();
        let (names, _) = module.parameters().unwrap().into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        assert_eq!(names, ["fc.weight"]);
        for batch in [1, 7] {
            let x = Tensor::randn([batch, 5, 1], (Kind::Float, Device::Cpu));
            let result = tch::no_grad(|| module.call("forward", &x).unwrap().remove(0));
            assert_eq!(result, tch::no_grad(|| forward(&x)));
        }
    }

    #[test]
    fn values_of_the_example_that_are_read_are_named_and_those_of_parameters_are_not() {
        let weight = Tensor::ones([3, 5], (Kind::Float, Device::Cpu));
        let warnings = |forward: &dyn Fn(&Tensor) -> Tensor| {
            let (mut module, values) = model(&weight);
            module
                .record("forward", &values, &Tensor::ones([2, 5], (Kind::Float, Device::Cpu)), forward)
                .unwrap()
        };
        let linear = |x: &Tensor| x.matmul(&weight.tr());
        assert_eq!(warnings(&linear), [""; 0]);
        assert_eq!(warnings(&|x| linear(x) * weight.max().double_value(&[])), [""; 0]);
        let by_value =
            |x: &Tensor| if (x * 2).max().double_value(&[]) > 1. { linear(x) } else { linear(&-x) };
        assert_eq!(warnings(&by_value), ["item"]);
        assert_eq!(warnings(&|x| if x.relu().equal(x) { linear(x) } else { -linear(x) }), ["equal"]);
    }

    #[test]
    fn a_forward_pass_that_panics_ends_the_recording() {
        let weight = Tensor::zeros([3, 5], (Kind::Float, Device::Cpu));
        let (mut module, values) = model(&weight);
        let run = std::panic::AssertUnwindSafe(|| {
            module.record("forward", &values, &Tensor::from(1f32), |_| panic!("no"))
        });
        assert!(std::panic::catch_unwind(run).is_err());
        let (mut other, values) = model(&weight);
        let x = Tensor::zeros([1, 5], (Kind::Float, Device::Cpu));
        other.record("forward", &values, &x, |x| x.matmul(&weight.tr())).unwrap();
        assert_eq!(other.call("forward", &x).unwrap()[0].size(), [1, 3]);
    }
}
