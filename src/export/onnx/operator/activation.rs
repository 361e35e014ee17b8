//! Activation functions and softmax.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use tch::Kind;

use super::Operator;
use super::Translation::{One, Unary};
use crate::error::Result;
use crate::export::onnx::call::Call;
use crate::export::onnx::graph::Attribute::{Float, Int};

/// The operations of this group.
pub(crate) const OPERATORS: &[Operator] = &[
    ("aten::relu", Unary("Relu")),
    ("aten::relu6", One(relu6)),
    ("aten::hardtanh", One(hardtanh)),
    ("aten::clamp", One(clamp)),
    ("aten::clamp_min", One(clamp)),
    ("aten::clamp_max", One(clamp)),
    ("aten::sigmoid", Unary("Sigmoid")),
    ("aten::tanh", Unary("Tanh")),
    ("aten::hardsigmoid", One(hardsigmoid)),
    ("aten::hardswish", Unary("HardSwish")),
    ("aten::silu", One(silu)),
    ("aten::mish", One(mish)),
    ("aten::gelu", One(gelu)),
    ("aten::glu", One(glu)),
    ("aten::leaky_relu", One(leaky_relu)),
    ("aten::elu", One(elu)),
    ("aten::prelu", One(prelu)),
    ("aten::softmax", One(softmax)),
    ("aten::log_softmax", One(log_softmax)),
];

/// Clamps to a range; `None` for an open bound.
fn clip(call: &mut Call, min: Option<f64>, max: Option<f64>) -> Result<String> {
    let (x, kind) = (call.tensor("self")?, call.output(0).kind);
    let mut bound = |value: Option<f64>| value.map_or(String::new(), |value| call.graph.number(value, kind));
    let (min, max) = (bound(min), bound(max));
    Ok(call.node("Clip", &[&x, &min, &max], &[]))
}

fn relu6(call: &mut Call) -> Result<String> {
    clip(call, Some(0.), Some(6.))
}

fn hardtanh(call: &mut Call) -> Result<String> {
    let (min, max) = (call.number("min_val")?, call.number("max_val")?);
    clip(call, Some(min), Some(max))
}

fn clamp(call: &mut Call) -> Result<String> {
    let bound = |name| if call.is_none(name) { Ok(None) } else { call.number(name).map(Some) };
    let (min, max) = (bound("min")?, bound("max")?);
    clip(call, min, max)
}

/// max(0, min(1, x / 6 + 1 / 2)).
fn hardsigmoid(call: &mut Call) -> Result<String> {
    let x = call.tensor("self")?;
    Ok(call.node("HardSigmoid", &[&x], &[("alpha", Float(1. / 6.)), ("beta", Float(0.5))]))
}

fn silu(call: &mut Call) -> Result<String> {
    let x = call.tensor("self")?;
    let gate = call.node("Sigmoid", &[&x], &[]);
    Ok(call.node("Mul", &[&x, &gate], &[]))
}

fn mish(call: &mut Call) -> Result<String> {
    let x = call.tensor("self")?;
    let soft = call.node("Softplus", &[&x], &[]);
    let gate = call.node("Tanh", &[&soft], &[]);
    Ok(call.node("Mul", &[&x, &gate], &[]))
}

/// x · Φ(x), with the error function or its tanh approximation.
fn gelu(call: &mut Call) -> Result<String> {
    let (x, kind) = (call.tensor("self")?, call.output(0).kind);
    let curve = match call.text("approximate") {
        Some("tanh") => {
            let scaled = approximate_argument(call, &x, kind);
            call.node("Tanh", &[&scaled], &[])
        }
        _ => {
            let scale = call.graph.number(FRAC_1_SQRT_2, kind);
            let scaled = call.node("Mul", &[&x, &scale], &[]);
            call.node("Erf", &[&scaled], &[])
        }
    };
    let (one, half) = (call.graph.number(1., kind), call.graph.number(0.5, kind));
    let gate = call.node("Add", &[&curve, &one], &[]);
    let product = call.node("Mul", &[&x, &gate], &[]);
    Ok(call.node("Mul", &[&product, &half], &[]))
}

/// √(2 / π) · (x + 0.044715 · x³) (Hendrycks and Gimpel, 2016).
fn approximate_argument(call: &mut Call, x: &str, kind: Kind) -> String {
    let square = call.node("Mul", &[x, x], &[]);
    let cube = call.node("Mul", &[&square, x], &[]);
    let (coefficient, scale) = (call.graph.number(0.044715, kind), call.graph.number((2. / PI).sqrt(), kind));
    let cubic = call.node("Mul", &[&cube, &coefficient], &[]);
    let sum = call.node("Add", &[x, &cubic], &[]);
    call.node("Mul", &[&sum, &scale], &[])
}

/// The first half times the sigmoid of the second.
fn glu(call: &mut Call) -> Result<String> {
    let (x, axis) = (call.tensor("self")?, call.axis("dim", call.output(0).shape.len())?);
    let halves = call.graph.nodes("Split", &[&x], &[("axis", Int(axis))], 2);
    let gate = call.node("Sigmoid", &[&halves[1]], &[]);
    Ok(call.node("Mul", &[&halves[0], &gate], &[]))
}

fn leaky_relu(call: &mut Call) -> Result<String> {
    let (x, slope) = (call.tensor("self")?, call.number("negative_slope")?);
    Ok(call.node("LeakyRelu", &[&x], &[("alpha", Float(slope))]))
}

fn elu(call: &mut Call) -> Result<String> {
    if (call.number("scale")?, call.number("input_scale")?) != (1., 1.) {
        return Err(call.unsupported("it uses scale or input_scale"));
    }
    let (x, alpha) = (call.tensor("self")?, call.number("alpha")?);
    Ok(call.node("Elu", &[&x], &[("alpha", Float(alpha))]))
}

/// A slope for each channel, reshaped to broadcast along the channel dimension.
fn prelu(call: &mut Call) -> Result<String> {
    let (x, slope, rank) = (call.tensor("self")?, call.constant("weight")?, call.output(0).shape.len());
    let mut size = vec![1; rank.saturating_sub(1).max(1)];
    size[0] = slope.numel() as i64;
    let slope = call.graph.initializer("constant", &slope.f_reshape(size)?);
    Ok(call.node("PRelu", &[&x, &slope], &[]))
}

fn softmax(call: &mut Call) -> Result<String> {
    along_axis(call, "Softmax")
}

fn log_softmax(call: &mut Call) -> Result<String> {
    along_axis(call, "LogSoftmax")
}

fn along_axis(call: &mut Call, operator: &'static str) -> Result<String> {
    let kind = call.output(0).kind;
    let (x, axis) = (call.operand("self", kind)?, call.axis("dim", call.output(0).shape.len())?);
    Ok(call.node(operator, &[&x], &[("axis", Int(axis))]))
}
