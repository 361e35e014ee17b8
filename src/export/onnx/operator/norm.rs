//! Normalisation.

use tch::{Device, Kind, Tensor};

use super::Operator;
use super::Translation::One;
use crate::error::Result;
use crate::export::onnx::call::Call;
use crate::export::onnx::graph::Attribute::{Float, Int};
use crate::export::onnx::recording::Dim;

/// The operations of this group.
pub const OPERATORS: &[Operator] = &[
    ("aten::batch_norm", One(batch_norm)),
    ("aten::layer_norm", One(layer_norm)),
    ("aten::group_norm", One(group_norm)),
];

fn batch_norm(call: &mut Call) -> Result<String> {
    if call.flag("training")? || call.is_none("running_mean") {
        return Err(call.refused("it goes by the figures of the batch, as in training"));
    }
    let size = [call.constant("running_mean")?.numel() as i64];
    let (scale, bias) = (or_constant(call, "weight", 1., &size)?, or_constant(call, "bias", 0., &size)?);
    let (x, mean, variance) =
        (call.tensor("input")?, call.tensor("running_mean")?, call.tensor("running_var")?);
    let eps = Float(call.number("eps")?);
    Ok(call.node("BatchNormalization", &[&x, &scale, &bias, &mean, &variance], &[("epsilon", eps)]))
}

fn layer_norm(call: &mut Call) -> Result<String> {
    let size = call.ints("normalized_shape")?;
    let (x, scale, bias) =
        (call.tensor("input")?, or_constant(call, "weight", 1., &size)?, call.tensor_or_none("bias")?);
    let attributes = [("axis", Int(-(size.len() as i64))), ("epsilon", Float(call.number("eps")?))];
    Ok(call.node("LayerNormalization", &[&x, &scale, &bias], &attributes))
}

/// Each group of channels as one long channel, which is normalised by itself; then scale and shift of each channel.
fn group_norm(call: &mut Call) -> Result<String> {
    let (groups, shape) = (call.int("num_groups")?, &call.output(0).shape);
    let sizes = call.fixed_sizes(&shape[1..])?;
    let together = [shape[0], Dim::Fixed(groups), Dim::Fixed(sizes.iter().product::<i64>() / groups)];
    let x = call.tensor("input")?;
    let grouped = call.graph.reshape(&x, &together)?;
    let number = |value: f64| Tensor::full([groups], value, (Kind::Float, Device::Cpu));
    let ones = call.graph.initializer("constant", &number(1.));
    let zeros = call.graph.initializer("constant", &number(0.));
    let eps = Float(call.number("eps")?);
    let normal = call.node("InstanceNormalization", &[&grouped, &ones, &zeros], &[("epsilon", eps)]);
    let mut normal = call.graph.reshape(&normal, shape)?;
    let mut by_channel = vec![Dim::Fixed(1); sizes.len()];
    by_channel[0] = Dim::Fixed(sizes[0]);
    for (name, operator) in [("weight", "Mul"), ("bias", "Add")] {
        if !call.is_none(name) {
            let parameter = call.tensor(name)?;
            let parameter = call.graph.reshape(&parameter, &by_channel)?;
            normal = call.node(operator, &[&normal, &parameter], &[]);
        }
    }
    Ok(normal)
}

/// A parameter, or numbers that stand for its absence.
fn or_constant(call: &mut Call, name: &str, value: f64, size: &[i64]) -> Result<String> {
    if !call.is_none(name) {
        return call.tensor(name);
    }
    let values = Tensor::full(size, value, (call.output(0).kind, Device::Cpu));
    Ok(call.graph.initializer("constant", &values))
}
