//! Sorting, selection by index, and one-hot encoding.

use tch::{Kind, Tensor};

use super::Operator;
use super::Translation::{Many, One};
use crate::error::Result;
use crate::export::onnx::call::Call;
use crate::export::onnx::graph::Attribute::Int;
use crate::export::recording::Dim;

/// The operations of this group.
pub(crate) const OPERATORS: &[Operator] = &[
    ("aten::topk", Many(topk)),
    ("aten::index_select", One(index_select)),
    ("aten::one_hot", One(one_hot)),
    ("aten::embedding", One(embedding)),
    ("aten::embedding_bag", One(embedding_bag)),
    ("aten::gather", One(gather)),
    ("aten::sort", Many(sorted)),
    ("aten::argsort", One(|call| Ok(sorted(call)?.remove(1)))),
];

/// The mode of an embedding bag that adds its rows.
const SUM: i64 = 0;

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

/// The sums of the rows of bags of the same number of indices. Those of padding do not count.
fn embedding_bag(call: &mut Call) -> Result<String> {
    if call.int("mode")? != SUM || !call.is_none("per_sample_weights") || call.flag("include_last_offset")? {
        return Err(call.unsupported("only sums without weights and without a last offset are supported"));
    }
    let count = match (call.info("offsets")?.step, &call.info("indices")?.shape[..]) {
        (Some(step), [Dim::Batch(count)]) if step == *count => *count,
        _ => return Err(call.unsupported("its bags have different numbers of indices")),
    };
    let kind = call.output(0).kind;
    let (weight, indices) = (call.tensor("weight")?, call.tensor("indices")?);
    let indices = call.graph.reshape(&indices, &[Dim::Batch(1), Dim::Fixed(count)])?;
    let mut rows = call.node("Gather", &[&weight, &indices], &[("axis", Int(0))]);
    if !call.is_none("padding_idx") && call.int("padding_idx")? >= 0 {
        let padding = call.graph.number(call.int("padding_idx")? as f64, Kind::Int64);
        let is_padding = call.node("Equal", &[&indices, &padding], &[]);
        let is_used = call.node("Not", &[&is_padding], &[]);
        let is_used = call.cast(&is_used, kind)?;
        let last = call.graph.ints(&[2]);
        let is_used = call.node("Unsqueeze", &[&is_used, &last], &[]);
        rows = call.node("Mul", &[&rows, &is_used], &[]);
    }
    let axis = call.graph.ints(&[1]);
    Ok(call.node("ReduceSum", &[&rows, &axis], &[("keepdims", Int(0))]))
}

fn gather(call: &mut Call) -> Result<String> {
    let axis = call.axis("dim", call.info("self")?.shape.len())?;
    let (x, index) = (call.tensor("self")?, call.tensor("index")?);
    Ok(call.node("GatherElements", &[&x, &index], &[("axis", Int(axis))]))
}

/// Sorted values and their indices; of equal values, the first comes first.
fn sorted(call: &mut Call) -> Result<Vec<String>> {
    let shape = &call.info("self")?.shape;
    let axis = call.axis("dim", shape.len())?;
    let (x, largest) = (call.tensor("self")?, i64::from(call.flag("descending")?));
    let all = call.graph.size(shape[axis as usize]);
    let attributes = [("axis", Int(axis)), ("largest", Int(largest)), ("sorted", Int(1))];
    Ok(call.graph.nodes("TopK", &[&x, &all], &attributes, 2))
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
