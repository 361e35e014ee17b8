//! The three kinds of models: a built-in architecture, a custom model, and an imported TorchScript module.

use cresset_bridge::script::{Module, Values};
use tch::{Kind, Tensor};

use super::imported::Imported;
use super::layer::{Layer, PENULTIMATE, Sequential};
use super::script::Class;
use super::{Model, Network};
use crate::error::{Error, Result};

/// The computation of a network.
pub(super) enum Body {
    /// An architecture's layers.
    Layers(Sequential),
    /// A custom model.
    Custom(Box<dyn Model>),
    /// A TorchScript module.
    Imported(Imported),
}

/// The name of the exported class.
pub(super) const NAME: &str = "Classifier";

/// The method that returns the logits of preprocessed inputs.
pub(super) const LOGITS: &str = "logits";

/// The method that returns the logits of the members of a bag, (N, members, outputs), of preprocessed inputs.
pub(crate) const MEMBER_LOGITS: &str = "member_logits";

/// Its source, and that of `penultimate`. The only layer of a bag is `bag`.
const BAG_METHODS: &str = "  def member_logits(self: {class}, x: Tensor) -> Tensor:\n    return (self.bag).members(x)\n  \
                           def penultimate(self: {class}, x: Tensor) -> Tensor:\n    return (self.bag).penultimate(x)\n";

impl Body {
    /// Logits (N, classes).
    pub fn forward(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        match self {
            Body::Layers(layers) => Ok(layers.forward(x, train)),
            Body::Custom(model) => Ok(model.forward(x, train)),
            Body::Imported(imported) => imported.forward(x, train),
        }
    }

    /// Implements [`Network::script`] for the network that owns this body.
    pub fn script(&self, network: &Network, extend: &dyn Fn(Class) -> Class) -> Result<Module> {
        match self {
            Body::Layers(layers) => {
                let class = match network.members() {
                    [] => layers.class_with_features(NAME, PENULTIMATE, LOGITS),
                    _ => layers.class(NAME, LOGITS).method(BAG_METHODS),
                };
                let (source, name, values) = extend(class).compile()?;
                Ok(Module::from_source(&source, &name, &values)?)
            }
            Body::Custom(model) => with_features(recorded(network, &**model, extend)?),
            Body::Imported(imported) => with_features(imported.wrapped(extend, NAME, LOGITS)?),
        }
    }
}

/// Adds the method `penultimate`, if the last layer can be identified in the code of the module.
fn with_features(mut module: Module) -> Result<Module> {
    module.cut_before_head(LOGITS, PENULTIMATE)?;
    Ok(module)
}

/// Exports a custom model by recording (tracing) it: a module with the parameters of the network.
fn recorded(network: &Network, model: &dyn Model, extend: &dyn Fn(Class) -> Class) -> Result<Module> {
    let state = network.state();
    let class = Class::of_tensors(NAME, &state, &|name| network.is_parameter(name));
    let (source, name, own) = extend(class).compile()?;
    let mut module = Module::from_source(&source, &name, &own)?;
    let mut values = Values::new();
    state.iter().try_for_each(|(name, tensor)| values.put_tensor(name, tensor))?;
    let reads = module.record(LOGITS, &values, &example(network, 2), |x| model.forward(x, false))?;
    check(network, &module)?;
    if !reads.is_empty() {
        tracing::warn!(
            "the model reads values of its input while it computes ({}), and the export keeps the values of one example; use \
             tensor operations instead, such as `Tensor::where_self`",
            reads.join(", ")
        );
    }
    Ok(module)
}

/// Random inputs with the batch size `rows`, uniform from 0 to 1.
fn example(network: &Network, rows: i64) -> Tensor {
    let shape = network.task().input.0.iter().copied();
    let size: Vec<i64> = std::iter::once(rows).chain(shape).collect();
    Tensor::rand(size, (Kind::Float, network.device()))
}

/// Batch sizes other than that of the recording, to find models that depend on it, each with the maximum of the absolute
/// values. The values have both signs, like standardized ones, to find models that depend on values.
const CHECKS: [(i64, f64); 2] = [(1, 1.), (5, 8.)];

fn check(network: &Network, module: &Module) -> Result<()> {
    for (rows, reach) in CHECKS {
        let x = (example(network, rows) * 2 - 1) * reach;
        let own = tch::no_grad(|| network.forward(&x, false))?.to_device(tch::Device::Cpu);
        let called = tch::no_grad(|| module.call(LOGITS, &x.to_device(tch::Device::Cpu)));
        let is_same = called
            .is_ok_and(|found| found[0].size() == own.size() && found[0].allclose(&own, 1e-4, 1e-5, true));
        if !is_same {
            let problem = format!(
                "the model cannot be exported: recorded with batch size 2, it gives different results with batch size {rows}. \
                 It reads a size that depends on the batch size (write `x.flatten(1, -1)`, not \
                 `x.view([x.size()[0], -1])`) or values of its input, or draws random numbers in evaluation"
            );
            return Err(Error::Usage(problem));
        }
    }
    Ok(())
}
