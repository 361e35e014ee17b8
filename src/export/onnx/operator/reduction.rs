//! Reductions over dimensions: mean, sum, maximum, minimum and the logarithm of the sum of exponentials.

use super::Operator;
use super::Translation::One;
use crate::error::Result;
use crate::export::onnx::call::Call;
use crate::export::onnx::graph::Attribute::{Int, Ints};

/// The operations of this group.
pub(crate) const OPERATORS: &[Operator] = &[
    ("aten::mean", One(|call| reduce(call, "ReduceMean"))),
    ("aten::sum", One(sum)),
    ("aten::amax", One(|call| reduce(call, "ReduceMax"))),
    ("aten::amin", One(|call| reduce(call, "ReduceMin"))),
    ("aten::logsumexp", One(|call| reduce(call, "ReduceLogSumExp"))),
];

fn reduce(call: &mut Call, operator: &'static str) -> Result<String> {
    let kind = call.output(0).kind;
    let (x, axes, keepdim) = (call.operand("self", kind)?, axes(call)?, call.flag("keepdim")?);
    Ok(call.node(operator, &[&x], &[("axes", Ints(axes)), ("keepdims", Int(i64::from(keepdim)))]))
}

/// Since opset 13, `ReduceSum` takes the axes as an input.
fn sum(call: &mut Call) -> Result<String> {
    let kind = call.output(0).kind;
    let (x, axes, keepdim) = (call.operand("self", kind)?, axes(call)?, call.flag("keepdim")?);
    let axes = call.graph.ints(&axes);
    Ok(call.node("ReduceSum", &[&x, &axes], &[("keepdims", Int(i64::from(keepdim)))]))
}

/// The dimensions; all if none are given.
fn axes(call: &Call) -> Result<Vec<i64>> {
    let shape = &call.info("self")?.shape;
    let axes = if call.is_none("dim") { Vec::new() } else { call.axes("dim", shape.len())? };
    Ok(if axes.is_empty() { (0..shape.len() as i64).collect() } else { axes })
}
