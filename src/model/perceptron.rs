//! Models that are linear layers with a rectifier between each two, which are computed by shorter ways.

use cresset_bridge::kernels::perceptron::Perceptron;
use tch::{Device, Kind, Tensor};

use super::Network;
use super::layer::{Elementary, Part};
use crate::error::Result;

/// The weights and biases of a perceptron in float32, from the input to the output; none of any other model. Dropout is passed
/// over where it does nothing, outside of training.
pub(crate) fn layers(network: &Network, train: bool) -> Option<Vec<(&Tensor, &Tensor)>> {
    let mut layers = Vec::new();
    let mut is_open = true;
    for part in network.layers()?.walk("") {
        let Part::Layer(_, layer) = part else { return None };
        match layer.elementary()? {
            Elementary::Flatten if layers.is_empty() => {}
            Elementary::Linear { weight, bias } if is_open && weight.kind() == Kind::Float => {
                layers.push((weight, bias));
                is_open = false;
            }
            Elementary::Relu if !is_open => is_open = true,
            Elementary::Dropout if !train => {}
            _ => return None,
        }
    }
    (!is_open).then_some(layers)
}

/// The logits of a perceptron on the CPU while no gradients are recorded; none of any other model, and of large layers.
pub(super) fn infer(network: &Network, inputs: &Tensor) -> Result<Option<Tensor>> {
    if network.device() != Device::Cpu {
        return Ok(None);
    }
    match layers(network, false) {
        Some(layers) => Ok(Perceptron::of(layers)?.infer(inputs)?),
        None => Ok(None),
    }
}
