//! Multilayer perceptrons, for which faster kernels exist.

use cresset_bridge::kernels::perceptron::Perceptron;
use tch::{Device, Kind, Tensor};

use super::Network;
use super::layer::{FlatStep, LayerFormula};
use crate::error::Result;

/// The weights and biases of a perceptron in float32, from input to output. None for any other model. Outside of training,
/// dropout layers are ignored.
pub(crate) fn layers(network: &Network, train: bool) -> Option<Vec<(&Tensor, &Tensor)>> {
    let mut layers = Vec::new();
    let mut is_open = true;
    for part in network.layers()?.walk("") {
        let FlatStep::Layer(_, layer) = part else { return None };
        match layer.formula()? {
            LayerFormula::Flatten if layers.is_empty() => {}
            LayerFormula::Linear { weight, bias } if is_open && weight.kind() == Kind::Float => {
                layers.push((weight, bias));
                is_open = false;
            }
            LayerFormula::Relu if !is_open => is_open = true,
            LayerFormula::Dropout if !train => {}
            _ => return None,
        }
    }
    (!is_open).then_some(layers)
}

/// The logits of a perceptron on the CPU without gradients. None for any other model, and for large layers.
pub(super) fn infer(network: &Network, inputs: &Tensor) -> Result<Option<Tensor>> {
    if network.device() != Device::Cpu {
        return Ok(None);
    }
    match layers(network, false) {
        Some(layers) => Ok(Perceptron::of(layers)?.infer(inputs)?),
        None => Ok(None),
    }
}
