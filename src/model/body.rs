//! The three kinds of models: an architecture of the registry, one's own, and an imported one.

use cresset_bridge::script::{Module, Values};
use tch::{Kind, Tensor};

use super::imported::Imported;
use super::layer::{Layer, Sequential};
use super::script::Class;
use super::{Model, Network};
use crate::error::{Error, Result};

/// What a network computes with.
pub(super) enum Body {
    /// An architecture's layers.
    Layers(Sequential),
    /// A model that a program of the library's user made.
    Own(Box<dyn Model>),
    /// A TorchScript module.
    Imported(Imported),
}

/// The name of the exported class.
pub(super) const NAME: &str = "Classifier";

/// The method that gives the logits of preprocessed inputs.
pub(super) const LOGITS: &str = "logits";

/// The method that gives what the last layer makes them of, where the last layer is known.
const PENULTIMATE: &str = "penultimate";

impl Body {
    /// Logits (N, classes).
    pub fn forward(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        match self {
            Body::Layers(layers) => Ok(layers.forward(x, train)),
            Body::Own(model) => Ok(model.forward(x, train)),
            Body::Imported(imported) => imported.forward(x, train),
        }
    }

    /// What [`Network::script`] gives, for the network that this is the body of.
    pub fn script(&self, network: &Network, dress: &dyn Fn(Class) -> Class) -> Result<Module> {
        match self {
            Body::Layers(layers) => {
                let (source, name, values) =
                    dress(layers.class_with_features(NAME, PENULTIMATE, LOGITS)).compile()?;
                Ok(Module::from_source(&source, &name, &values)?)
            }
            Body::Own(model) => with_features(recorded(network, &**model, dress)?),
            Body::Imported(imported) => with_features(imported.wrapped(dress, NAME, LOGITS)?),
        }
    }
}

/// The module with the method for features, if its last layer can be told from its code.
fn with_features(mut module: Module) -> Result<Module> {
    module.cut_before_head(LOGITS, PENULTIMATE)?;
    Ok(module)
}

/// A module with the parameters of the network, and what the model computes as its method.
fn recorded(network: &Network, model: &dyn Model, dress: &dyn Fn(Class) -> Class) -> Result<Module> {
    let state = network.state();
    let class = Class::of_tensors(NAME, &state, &|name| network.is_parameter(name));
    let (source, name, own) = dress(class).compile()?;
    let mut module = Module::from_source(&source, &name, &own)?;
    let mut values = Values::new();
    state.iter().try_for_each(|(name, tensor)| values.put_tensor(name, tensor))?;
    let reads = module.record(LOGITS, &values, &example(network, 2), |x| model.forward(x, false))?;
    check(network, &module)?;
    if !reads.is_empty() {
        tracing::warn!(
            "the model reads values of its input while it computes ({}), and the export does what followed from those of one \
             example; compute with tensors instead, as by `Tensor::where_self`",
            reads.join(", ")
        );
    }
    Ok(module)
}

/// Random inputs of so many rows, uniform from 0 to 1.
fn example(network: &Network, rows: i64) -> Tensor {
    let shape = network.task().input.0.iter().copied();
    let size: Vec<i64> = std::iter::once(rows).chain(shape).collect();
    Tensor::rand(size, (Kind::Float, network.device()))
}

/// Other numbers of rows than that of the recording, which tell a model that depends on it, and how far their values go: to
/// both sides of zero, as standardized ones do, for a model that depends on values.
const ROWS: [(i64, f64); 2] = [(1, 1.), (5, 8.)];

fn check(network: &Network, module: &Module) -> Result<()> {
    for (rows, reach) in ROWS {
        let x = (example(network, rows) * 2 - 1) * reach;
        let own = tch::no_grad(|| network.forward(&x, false))?.to_device(tch::Device::Cpu);
        let called = tch::no_grad(|| module.call(LOGITS, &x.to_device(tch::Device::Cpu)));
        let is_same = called
            .is_ok_and(|found| found[0].size() == own.size() && found[0].allclose(&own, 1e-4, 1e-5, true));
        if !is_same {
            let problem = format!(
                "the model cannot be exported: recorded with 2 rows, it computes something else with {rows}. It reads a \
                 size that depends on the number of rows (write `x.flatten(1, -1)`, not `x.view([x.size()[0], -1])`) or \
                 values of its input, or draws random numbers in evaluation"
            );
            return Err(Error::Usage(problem));
        }
    }
    Ok(())
}
