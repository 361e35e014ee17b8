//! Sorting, selection by index, and one-hot encoding.

use tch::Tensor;

use super::Operator;
use super::Translation::{Many, One};
use crate::error::Result;
use crate::export::onnx::call::Call;
use crate::export::onnx::graph::Attribute::Int;

/// The operations of this group.
pub(crate) const OPERATORS: &[Operator] = &[
    ("aten::topk", Many(topk)),
    ("aten::index_select", One(index_select)),
    ("aten::one_hot", One(one_hot)),
    ("aten::embedding", One(embedding)),
];

/// Values and indices.
fn topk(call: &mut Call) -> Result<Vec<String>> {
    let axis = call.axis("dim", call.output(0).shape.len())?;
    let (largest, sorted) = (call.flag("largest")?, call.flag("sorted")?);
    let (x, k) = (call.tensor("self")?, call.int("k")?);
    let k = call.graph.ints(&[k]);
    let attributes =
        [("axis", Int(axis)), ("largest", Int(i64::from(largest))), ("sorted", Int(i64::from(sorted)))];
    Ok(call.graph.nodes("TopK", &[&x, &k], &attributes, 2))
}

fn index_select(call: &mut Call) -> Result<String> {
    let axis = call.axis("dim", call.info("self")?.shape.len())?;
    let (x, index) = (call.tensor("self")?, call.tensor("index")?);
    Ok(call.node("Gather", &[&x, &index], &[("axis", Int(axis))]))
}

fn embedding(call: &mut Call) -> Result<String> {
    let (weight, indices) = (call.tensor("weight")?, call.tensor("indices")?);
    Ok(call.node("Gather", &[&weight, &indices], &[("axis", Int(0))]))
}

/// The new last dimension has the size of the classes, which is known from the trace.
fn one_hot(call: &mut Call) -> Result<String> {
    let classes = call.int("num_classes")?;
    if classes < 0 {
        return Err(call.unsupported("its number of classes depends on the values of its input"));
    }
    let x = call.tensor("self")?;
    let depth = call.graph.number(classes as f64, tch::Kind::Int64);
    let values = call.graph.initializer("constant", &Tensor::from_slice(&[0i64, 1]));
    Ok(call.node("OneHot", &[&x, &depth, &values], &[("axis", Int(-1))]))
}
