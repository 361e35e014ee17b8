//! Reshaping, slicing, splitting, concatenation and padding.

use super::Operator;
use super::Translation::{Many, One};
use crate::error::Result;
use crate::export::onnx::call::Call;
use crate::export::onnx::graph::Attribute::{Int, Text};
use crate::export::recording::Dim;

/// The operations of this group.
pub(crate) const OPERATORS: &[Operator] = &[
    ("aten::flatten", One(reshape)),
    ("aten::unflatten", One(reshape)),
    ("aten::reshape", One(reshape)),
    ("aten::reshape_as", One(reshape)),
    ("aten::view", One(reshape)),
    ("aten::view_as", One(reshape)),
    ("aten::_unsafe_view", One(reshape)),
    ("aten::squeeze", One(reshape)),
    ("aten::unsqueeze", One(reshape)),
    ("aten::permute", One(permute)),
    ("aten::transpose", One(transpose)),
    ("aten::t", One(transpose_matrix)),
    ("aten::expand", One(expand)),
    ("aten::expand_as", One(expand)),
    ("aten::broadcast_to", One(expand)),
    ("aten::cat", One(cat)),
    ("aten::concat", One(cat)),
    ("aten::stack", One(stack)),
    ("aten::select", One(select)),
    ("aten::slice", One(slice)),
    ("aten::narrow", One(narrow)),
    ("aten::roll", One(roll)),
    ("aten::chunk", Many(split)),
    ("aten::split", Many(split)),
    ("aten::split_with_sizes", Many(split)),
    ("aten::unbind", Many(unbind)),
    ("aten::constant_pad_nd", One(pad)),
    ("aten::pad", One(pad)),
    ("aten::reflection_pad2d", One(|call| pad_by(call, "reflect"))),
    ("aten::replication_pad2d", One(|call| pad_by(call, "edge"))),
];

/// All operations that only change the shape: the output shape is known from the trace.
fn reshape(call: &mut Call) -> Result<String> {
    let (x, to) = (call.tensor("self")?, &call.output(0).shape);
    if call.info("self")?.shape == *to { Ok(x) } else { call.graph.reshape(&x, to) }
}

fn permute(call: &mut Call) -> Result<String> {
    let (x, order) = (call.tensor("self")?, call.axes("dims", call.output(0).shape.len())?);
    Ok(call.graph.transpose(&x, &order))
}

fn transpose(call: &mut Call) -> Result<String> {
    let rank = call.output(0).shape.len();
    let (a, b) = (call.axis("dim0", rank)?, call.axis("dim1", rank)?);
    let mut order: Vec<_> = (0..rank as i64).collect();
    order.swap(a as usize, b as usize);
    let x = call.tensor("self")?;
    Ok(call.graph.transpose(&x, &order))
}

fn transpose_matrix(call: &mut Call) -> Result<String> {
    let x = call.tensor("self")?;
    let is_matrix = call.output(0).shape.len() == 2;
    Ok(if is_matrix { call.graph.transpose(&x, &[1, 0]) } else { x })
}

fn expand(call: &mut Call) -> Result<String> {
    let (x, from, to) = (call.tensor("self")?, &call.info("self")?.shape, &call.output(0).shape);
    if from == to {
        return Ok(x);
    }
    // Use 1 for unchanged sizes, so that the batch size is needed only in new dimensions.
    let added = to.len() - from.len();
    let is_unchanged = |axis: usize| axis >= added && from[axis - added] == to[axis];
    let sizes: Vec<_> = to
        .iter()
        .enumerate()
        .map(|(axis, dim)| if is_unchanged(axis) { Dim::Fixed(1) } else { *dim })
        .collect();
    Ok(call.graph.expand(&x, &sizes))
}

fn cat(call: &mut Call) -> Result<String> {
    let axis = call.axis("dim", call.output(0).shape.len())?;
    let kind = call.output(0).kind;
    if call.infos("tensors")?.iter().any(|part| part.kind != kind) {
        return Err(call.unsupported("its tensors have different dtypes"));
    }
    let parts = call.tensors("tensors")?;
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    Ok(call.node("Concat", &parts, &[("axis", Int(axis))]))
}

fn stack(call: &mut Call) -> Result<String> {
    let axis = call.axis("dim", call.output(0).shape.len())?;
    let at = call.graph.ints(&[axis]);
    let parts: Vec<_> =
        call.tensors("tensors")?.iter().map(|part| call.node("Unsqueeze", &[part, &at], &[])).collect();
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    Ok(call.node("Concat", &parts, &[("axis", Int(axis))]))
}

fn select(call: &mut Call) -> Result<String> {
    let axis = call.axis("dim", call.info("self")?.shape.len())?;
    let (x, index) = (call.tensor("self")?, call.int("index")?);
    let index = call.graph.number(index as f64, tch::Kind::Int64);
    Ok(call.node("Gather", &[&x, &index], &[("axis", Int(axis))]))
}

fn slice(call: &mut Call) -> Result<String> {
    let (from, to) = (&call.info("self")?.shape, &call.output(0).shape);
    if from == to {
        return call.tensor("self");
    }
    let axis = call.axis("dim", to.len())?;
    let (start, end) = (call.number_or("start", 0.)? as i64, call.number_or("end", i64::MAX as f64)? as i64);
    slice_self(call, axis, start, end, call.int("step")?)
}

fn narrow(call: &mut Call) -> Result<String> {
    let (axis, start) = (call.axis("dim", call.output(0).shape.len())?, call.int("start")?);
    slice_self(call, axis, start, start + call.int("length")?, 1)
}

/// Slices `self` from `start` to `end` (exclusive).
fn slice_self(call: &mut Call, axis: i64, start: i64, end: i64, step: i64) -> Result<String> {
    let x = call.tensor("self")?;
    slice_tensor(call, &x, axis, start, end, step)
}

fn slice_tensor(call: &mut Call, x: &str, axis: i64, start: i64, end: i64, step: i64) -> Result<String> {
    let [start, end, axis, step] = [start, end, axis, step].map(|number| call.graph.ints(&[number]));
    Ok(call.node("Slice", &[x, &start, &end, &axis, &step], &[]))
}

/// Slices and concatenates; elements that move past the end of a dimension reappear at its start.
fn roll(call: &mut Call) -> Result<String> {
    let shape = &call.output(0).shape;
    let (shifts, axes) = (call.ints("shifts")?, call.axes("dims", shape.len())?);
    let mut x = call.tensor("self")?;
    for (shift, axis) in shifts.into_iter().zip(axes) {
        let size = call.fixed_sizes(&shape[axis as usize..=axis as usize])?[0];
        let cut = (size - shift).rem_euclid(size.max(1));
        let (front, back) =
            (slice_tensor(call, &x, axis, 0, cut, 1)?, slice_tensor(call, &x, axis, cut, size, 1)?);
        x = call.node("Concat", &[&back, &front], &[("axis", Int(axis))]);
    }
    Ok(x)
}

/// Splits into parts whose sizes are known from the trace.
fn split(call: &mut Call) -> Result<Vec<String>> {
    let axis = call.axis("dim", call.output(0).shape.len())?;
    let mut sizes = Vec::new();
    for index in 0..call.output_count() {
        sizes.extend(call.fixed_sizes(&call.output(index).shape[axis as usize..=axis as usize])?);
    }
    let (x, count) = (call.tensor("self")?, sizes.len());
    let sizes = call.graph.ints(&sizes);
    Ok(call.graph.nodes("Split", &[&x, &sizes], &[("axis", Int(axis))], count))
}

fn unbind(call: &mut Call) -> Result<Vec<String>> {
    let (rank, count) = (call.info("self")?.shape.len(), call.output_count());
    let (x, axis) = (call.tensor("self")?, call.axis("dim", rank)?);
    let element = |index: usize| {
        let index = call.graph.number(index as f64, tch::Kind::Int64);
        call.node("Gather", &[&x, &index], &[("axis", Int(axis))])
    };
    Ok((0..count).map(element).collect())
}

fn pad(call: &mut Call) -> Result<String> {
    match call.text("mode") {
        None | Some("constant") => pad_by(call, "constant"),
        Some("reflect") => pad_by(call, "reflect"),
        Some("replicate") => pad_by(call, "edge"),
        Some(mode) => Err(call.unsupported(&format!("its padding mode is `{mode}`"))),
    }
}

/// PyTorch lists (begin, end) pairs from the last dimension; ONNX lists all begins, then all ends.
fn pad_by(call: &mut Call, mode: &'static str) -> Result<String> {
    let (rank, given, kind) = (
        call.output(0).shape.len(),
        call.ints("pad").or_else(|_| call.ints("padding"))?,
        call.output(0).kind,
    );
    let mut pads = vec![0; 2 * rank];
    for (index, pair) in given.chunks_exact(2).enumerate().take(rank) {
        (pads[rank - 1 - index], pads[2 * rank - 1 - index]) = (pair[0], pair[1]);
    }
    let (x, pads) = (call.tensor("self")?, call.graph.ints(&pads));
    let mut inputs = vec![x, pads];
    if mode == "constant" {
        let value = call.number_or("value", 0.)?;
        inputs.push(call.graph.number(value, kind));
    }
    let inputs: Vec<_> = inputs.iter().map(String::as_str).collect();
    Ok(call.node("Pad", &inputs, &[("mode", Text(mode.to_string()))]))
}
