//! Convolutions.

use super::Operator;
use super::Translation::One;
use crate::error::Result;
use crate::export::onnx::call::Call;
use crate::export::onnx::graph::Attribute::{Int, Ints};

/// The operations of this group.
pub(crate) const OPERATORS: &[Operator] = &[
    ("aten::conv1d", One(convolution)),
    ("aten::conv2d", One(convolution)),
    ("aten::conv3d", One(convolution)),
    ("aten::conv_transpose1d", One(transposed)),
    ("aten::conv_transpose2d", One(transposed)),
    ("aten::_convolution", One(general)),
    ("aten::convolution", One(general)),
];

fn general(call: &mut Call) -> Result<String> {
    if call.flag("transposed")? { transposed(call) } else { convolution(call) }
}

fn convolution(call: &mut Call) -> Result<String> {
    let (kernel, dims) = kernel(call)?;
    let dilation = per_dimension(call.ints("dilation")?, dims);
    let pads = match call.text("padding") {
        Some("valid") => vec![0; 2 * dims],
        Some("same") => same_padding(&kernel, &dilation),
        _ => per_dimension(call.ints("padding")?, dims).repeat(2),
    };
    let attributes = [
        ("kernel_shape", Ints(kernel)),
        ("strides", Ints(per_dimension(call.ints("stride")?, dims))),
        ("pads", Ints(pads)),
        ("dilations", Ints(dilation)),
        ("group", Int(call.int("groups")?)),
    ];
    let (x, weight, bias) = (call.tensor("input")?, call.tensor("weight")?, call.tensor_or_none("bias")?);
    Ok(call.node("Conv", &[&x, &weight, &bias], &attributes))
}

fn transposed(call: &mut Call) -> Result<String> {
    let (kernel, dims) = kernel(call)?;
    let attributes = [
        ("kernel_shape", Ints(kernel)),
        ("strides", Ints(per_dimension(call.ints("stride")?, dims))),
        ("pads", Ints(per_dimension(call.ints("padding")?, dims).repeat(2))),
        ("output_padding", Ints(per_dimension(call.ints("output_padding")?, dims))),
        ("dilations", Ints(per_dimension(call.ints("dilation")?, dims))),
        ("group", Int(call.int("groups")?)),
    ];
    let (x, weight, bias) = (call.tensor("input")?, call.tensor("weight")?, call.tensor_or_none("bias")?);
    Ok(call.node("ConvTranspose", &[&x, &weight, &bias], &attributes))
}

/// The size of the kernel and its number of spatial dimensions.
fn kernel(call: &Call) -> Result<(Vec<i64>, usize)> {
    let weight = call.fixed_sizes(&call.info("weight")?.shape)?;
    if call.info("input")?.shape.len() != weight.len() {
        return Err(call.unsupported("its input has no batch dimension"));
    }
    Ok((weight[2..].to_vec(), weight.len() - 2))
}

/// Repeats a single value for all spatial dimensions.
fn per_dimension(values: Vec<i64>, dims: usize) -> Vec<i64> {
    if values.len() == 1 { values.repeat(dims) } else { values }
}

/// The padding that keeps the size at stride 1; if the total is odd, the end gets the larger half.
fn same_padding(kernel: &[i64], dilation: &[i64]) -> Vec<i64> {
    let total = kernel.iter().zip(dilation).map(|(kernel, dilation)| dilation * (kernel - 1));
    let (begin, end): (Vec<_>, Vec<_>) = total.map(|total| (total / 2, total - total / 2)).unzip();
    [begin, end].concat()
}
