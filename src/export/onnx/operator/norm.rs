//! Normalization.

use tch::{Device, Kind, Tensor};

use super::Operator;
use super::Translation::One;
use crate::error::Result;
use crate::export::onnx::call::Call;
use crate::export::onnx::graph::Attribute::{Float, Int};
use crate::export::recording::Dim;

/// The operations of this group.
pub(crate) const OPERATORS: &[Operator] = &[
    ("aten::batch_norm", One(batch_norm)),
    ("aten::layer_norm", One(layer_norm)),
    ("aten::group_norm", One(group_norm)),
];

fn batch_norm(call: &mut Call) -> Result<String> {
    if call.flag("training")? || call.is_none("running_mean") {
        return Err(call.unsupported("it uses batch statistics, as in training"));
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

/// Reshapes each group to one channel for `InstanceNormalization`, then applies the scale and bias of each channel.
fn group_norm(call: &mut Call) -> Result<String> {
    let (groups, shape) = (call.int("num_groups")?, &call.output(0).shape);
    let sizes = call.fixed_sizes(&shape[1..])?;
    let grouped_shape = [shape[0], Dim::Fixed(groups), Dim::Fixed(sizes.iter().product::<i64>() / groups)];
    let x = call.tensor("input")?;
    let grouped = call.graph.reshape(&x, &grouped_shape)?;
    let constant = |value: f64| Tensor::full([groups], value, (Kind::Float, Device::Cpu));
    let ones = call.graph.initializer("constant", &constant(1.));
    let zeros = call.graph.initializer("constant", &constant(0.));
    let eps = Float(call.number("eps")?);
    let normalized = call.node("InstanceNormalization", &[&grouped, &ones, &zeros], &[("epsilon", eps)]);
    let mut normalized = call.graph.reshape(&normalized, shape)?;
    let mut channel_shape = vec![Dim::Fixed(1); sizes.len()];
    channel_shape[0] = Dim::Fixed(sizes[0]);
    for (name, operator) in [("weight", "Mul"), ("bias", "Add")] {
        if !call.is_none(name) {
            let parameter = call.tensor(name)?;
            let parameter = call.graph.reshape(&parameter, &channel_shape)?;
            normalized = call.node(operator, &[&normalized, &parameter], &[]);
        }
    }
    Ok(normalized)
}

/// A parameter, or a constant if it is absent.
fn or_constant(call: &mut Call, name: &str, value: f64, size: &[i64]) -> Result<String> {
    if !call.is_none(name) {
        return call.tensor(name);
    }
    let values = Tensor::full(size, value, (call.output(0).kind, Device::Cpu));
    Ok(call.graph.initializer("constant", &values))
}
