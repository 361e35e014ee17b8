//! A network without its last layer, in evaluation mode.

use cresset_bridge::kernels::compiled::{Batches, Compiled};
use cresset_bridge::script::Module;
use tch::{Device, Tensor};

use super::Network;
use super::layer::PENULTIMATE;
use crate::error::{Error, Result};

/// Computes the features of a network: the inputs of its last layer.
///
/// On a CPU, batch normalization is folded into the convolutions; features then differ by rounding
/// from those of the exported model.
pub(crate) struct Backbone<'a> {
    network: &'a Network,
    method: Method,
}

/// How the features are computed.
enum Method {
    /// The compiled method of the module, with folded normalization.
    Folded(Compiled),
    /// The layers of a built-in architecture.
    Layers,
    /// The method of a custom or imported model, on the CPU.
    Module(Module),
}

/// Examples per forward pass. Activations of a larger batch do not fit in the cache of a CPU.
const ROWS: i64 = 16;

/// The largest difference of logits that are computed from features, relative to the largest logit. Rounding errors accumulate over
/// the layers.
const TOLERANCE: f64 = 1e-3;

impl<'a> Backbone<'a> {
    /// The backbone of `network`. `example` is a batch of inputs, for which the logits that follow from the features must be those
    /// of the network.
    ///
    /// # Errors
    /// A network whose last layer is not fully connected, or cannot be found.
    pub fn new(network: &'a Network, example: &Tensor) -> Result<Self> {
        let _: (Tensor, Tensor) = network.head()?;
        let example = example.narrow(0, 0, example.size()[0].min(2));
        for method in Method::of(network)? {
            let backbone = Backbone { network, method };
            if backbone.agrees(&example)? {
                return Ok(backbone);
            }
        }
        let problem = "the features of the model (the inputs of its last layer) cannot be computed apart from its logits";
        Err(Error::Usage(problem.to_string()))
    }

    /// Features, float32 (N, width) on the CPU, of preprocessed inputs (N, …).
    pub fn features(&self, inputs: &Tensor) -> Result<Tensor> {
        let rows = inputs.size()[0];
        let parts = (0..rows).step_by(ROWS as usize);
        let parts = parts.map(|start| self.part(&inputs.narrow(0, start, ROWS.min(rows - start))));
        Ok(Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0))
    }

    fn part(&self, inputs: &Tensor) -> Result<Tensor> {
        let features = tch::no_grad(|| match (&self.method, self.network.layers()) {
            (Method::Folded(compiled), _) => Ok(compiled.run(inputs)?),
            (Method::Module(module), _) => {
                Ok(module.call(PENULTIMATE, &inputs.to_device(Device::Cpu))?.swap_remove(0))
            }
            (Method::Layers, Some(layers)) => Ok(layers.features(inputs)),
            (Method::Layers, None) => unreachable!("only architectures have layers"),
        });
        features.map(|features: Tensor| features.to_device(Device::Cpu))
    }

    /// Whether the logits that follow from the features are those of the network.
    fn agrees(&self, inputs: &Tensor) -> Result<bool> {
        let (weight, bias) = self.network.head()?;
        let expected = tch::no_grad(|| self.network.forward(inputs, false))?.to_device(Device::Cpu);
        let features = self.part(inputs)?;
        if features.dim() != 2 || features.size()[1] != weight.size()[1] {
            return Ok(false);
        }
        let [weight, bias] = [weight, bias].map(|tensor| tensor.detach().to_device(Device::Cpu));
        let largest = |tensor: Tensor| tensor.abs().max().double_value(&[]);
        let difference = largest(features.linear(&weight, Some(&bias)) - &expected);
        Ok(difference <= TOLERANCE * largest(expected).max(1.))
    }
}

impl Method {
    /// The ways to compute the features of `network`, the fastest first.
    fn of(network: &Network) -> Result<Vec<Self>> {
        let mut methods = Vec::new();
        if network.layers().is_some() && network.device() != Device::Cpu {
            return Ok(vec![Method::Layers]);
        }
        let mut module = network.script(&|class| class)?;
        module.set_training(false)?;
        if network.layers().is_some() {
            methods.extend(Compiled::folded(&module, PENULTIMATE, Batches::Small)?.map(Method::Folded));
            methods.push(Method::Layers);
        } else if module.methods()?.iter().any(|name| name == PENULTIMATE) {
            methods.push(Method::Module(module));
        }
        Ok(methods)
    }
}
