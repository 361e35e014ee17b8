//! Convolutions.

use super::Operator;
use super::Translation::One;
use crate::error::Result;
use crate::export::onnx::call::Call;
use crate::export::onnx::graph::Attribute::{Int, Ints};

/// The operations of this group.
pub const OPERATORS: &[Operator] = &[
    ("aten::conv1d", One(convolution)),
    ("aten::conv2d", One(convolution)),
    ("aten::conv3d", One(convolution)),
    ("aten::conv_transpose1d", One(transposed)),
    ("aten::conv_transpose2d", One(transposed)),
    ("aten::_convolution", One(either)),
    ("aten::convolution", One(either)),
];

fn either(call: &mut Call) -> Result<String> {
    if call.flag("transposed")? { transposed(call) } else { convolution(call) }
}

fn convolution(call: &mut Call) -> Result<String> {
    let (kernel, sides) = kernel(call)?;
    let dilation = spread(call.ints("dilation")?, sides);
    let pads = match call.text("padding") {
        Some("valid") => vec![0; 2 * sides],
        Some("same") => pads_for_the_same_size(&kernel, &dilation),
        _ => spread(call.ints("padding")?, sides).repeat(2),
    };
    let attributes = [
        ("kernel_shape", Ints(kernel)),
        ("strides", Ints(spread(call.ints("stride")?, sides))),
        ("pads", Ints(pads)),
        ("dilations", Ints(dilation)),
        ("group", Int(call.int("groups")?)),
    ];
    let (x, weight, bias) = (call.tensor("input")?, call.tensor("weight")?, call.tensor_or_none("bias")?);
    Ok(call.node("Conv", &[&x, &weight, &bias], &attributes))
}

fn transposed(call: &mut Call) -> Result<String> {
    let (kernel, sides) = kernel(call)?;
    let attributes = [
        ("kernel_shape", Ints(kernel)),
        ("strides", Ints(spread(call.ints("stride")?, sides))),
        ("pads", Ints(spread(call.ints("padding")?, sides).repeat(2))),
        ("output_padding", Ints(spread(call.ints("output_padding")?, sides))),
        ("dilations", Ints(spread(call.ints("dilation")?, sides))),
        ("group", Int(call.int("groups")?)),
    ];
    let (x, weight, bias) = (call.tensor("input")?, call.tensor("weight")?, call.tensor_or_none("bias")?);
    Ok(call.node("ConvTranspose", &[&x, &weight, &bias], &attributes))
}

/// The sizes of the kernel, and how many there are.
fn kernel(call: &Call) -> Result<(Vec<i64>, usize)> {
    let weight = call.fixed_sizes(&call.info("weight")?.shape)?;
    if call.info("input")?.shape.len() != weight.len() {
        return Err(call.refused("its input has no batch dimension"));
    }
    Ok((weight[2..].to_vec(), weight.len() - 2))
}

/// One number for all sides, or one a side.
fn spread(values: Vec<i64>, sides: usize) -> Vec<i64> {
    if values.len() == 1 { values.repeat(sides) } else { values }
}

/// What keeps the size at stride 1; where it is odd, the greater half comes behind.
fn pads_for_the_same_size(kernel: &[i64], dilation: &[i64]) -> Vec<i64> {
    let total = kernel.iter().zip(dilation).map(|(kernel, dilation)| dilation * (kernel - 1));
    let (before, behind): (Vec<_>, Vec<_>) = total.map(|total| (total / 2, total - total / 2)).unzip();
    [before, behind].concat()
}
