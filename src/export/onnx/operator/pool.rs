//! Pooling.

use tch::{Device, Kind, Tensor};

use super::Operator;
use super::Translation::One;
use crate::error::Result;
use crate::export::onnx::call::Call;
use crate::export::onnx::graph::Attribute::{Int, Ints};

/// The operations of this group.
pub const OPERATORS: &[Operator] = &[
    ("aten::max_pool1d", One(max_pool)),
    ("aten::max_pool2d", One(max_pool)),
    ("aten::avg_pool1d", One(avg_pool)),
    ("aten::avg_pool2d", One(avg_pool)),
    ("aten::adaptive_avg_pool1d", One(adaptive_avg_pool)),
    ("aten::adaptive_avg_pool2d", One(adaptive_avg_pool)),
];

/// A window that is moved over a picture or a sequence.
struct Window {
    kernel: Vec<i64>,
    stride: Vec<i64>,
    padding: Vec<i64>,
    /// In front of each side, then behind each.
    pads: Vec<i64>,
    dilation: Vec<i64>,
}

impl Window {
    /// The window of an operation. Where the size is rounded up, what the last window needs is added behind, so that no
    /// program's own way of rounding matters.
    fn of(call: &Call) -> Result<Self> {
        let kernel = call.ints("kernel_size")?;
        let sides = kernel.len();
        let or = |name, absent: &[i64]| match call.ints(name) {
            Ok(values) if !values.is_empty() => values,
            _ => absent.to_vec(),
        };
        let (stride, padding) = (or("stride", &kernel), call.ints("padding")?);
        let dilation = or("dilation", &vec![1; sides]);
        let mut pads = padding.repeat(2);
        if call.flag("ceil_mode")? {
            let (input, output) =
                (sizes(call, &call.info("self")?.shape, sides)?, sizes(call, &call.output(0).shape, sides)?);
            for side in 0..sides {
                let reach = (output[side] - 1) * stride[side] + dilation[side] * (kernel[side] - 1) + 1;
                pads[sides + side] = padding[side].max(reach - input[side] - padding[side]);
            }
        }
        Ok(Window { kernel, stride, padding, pads, dilation })
    }
}

/// The sizes of the last dimensions.
fn sizes(call: &Call, shape: &[crate::export::onnx::recording::Dim], sides: usize) -> Result<Vec<i64>> {
    if shape.len() != sides + 2 {
        return Err(call.refused("its input has no batch dimension"));
    }
    call.fixed_sizes(&shape[2..])
}

fn max_pool(call: &mut Call) -> Result<String> {
    let Window { kernel, stride, pads, dilation, .. } = Window::of(call)?;
    let x = call.tensor("self")?;
    let attributes = [
        ("kernel_shape", Ints(kernel)),
        ("strides", Ints(stride)),
        ("pads", Ints(pads)),
        ("dilations", Ints(dilation)),
    ];
    Ok(call.node("MaxPool", &[&x], &attributes))
}

fn avg_pool(call: &mut Call) -> Result<String> {
    let Window { kernel, stride, padding, pads, .. } = Window::of(call)?;
    let counts_padding = call.flag("count_include_pad")? && padding.iter().any(|pad| *pad > 0);
    if counts_padding && pads != padding.repeat(2) {
        return Err(call.refused("its windows count the padding and reach beyond it"));
    }
    if !call.is_none("divisor_override") {
        return Err(call.refused("it divides by a number of its own"));
    }
    let x = call.tensor("self")?;
    let attributes = [
        ("kernel_shape", Ints(kernel)),
        ("strides", Ints(stride)),
        ("pads", Ints(pads)),
        ("count_include_pad", Int(i64::from(counts_padding))),
    ];
    Ok(call.node("AveragePool", &[&x], &attributes))
}

/// To a given size. To one value a channel there is an operation; else each output is the mean of a stretch of the input,
/// which is a product with a matrix for each side.
fn adaptive_avg_pool(call: &mut Call) -> Result<String> {
    let sides = call.ints("output_size")?.len();
    let input = sizes(call, &call.info("self")?.shape, sides)?;
    let output = sizes(call, &call.output(0).shape, sides)?;
    let x = call.tensor("self")?;
    if output.iter().all(|size| *size == 1) {
        return Ok(call.node("GlobalAveragePool", &[&x], &[]));
    }
    let mut pooled = x;
    for side in 0..sides {
        if input[side] == output[side] {
            continue;
        }
        let shares = shares(input[side], output[side]);
        // The last side stands in the columns, the one before it in the rows.
        pooled = if side + 1 == sides {
            let shares = call.graph.initializer("constant", &shares.transpose(0, 1));
            call.node("MatMul", &[&pooled, &shares], &[])
        } else {
            let shares = call.graph.initializer("constant", &shares);
            call.node("MatMul", &[&shares, &pooled], &[])
        };
    }
    Ok(pooled)
}

/// The share that each input has in each output, (output, input).
fn shares(input: i64, output: i64) -> Tensor {
    let shares = Tensor::zeros([output, input], (Kind::Float, Device::Cpu));
    for row in 0..output {
        let (start, end) = (row * input / output, ((row + 1) * input + output - 1) / output);
        let _ = shares.get(row).narrow(0, start, end - start).fill_(1. / (end - start) as f64);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_pool_as_libtorch_does() {
        let x = Tensor::randn([1, 1, 7], (Kind::Float, Device::Cpu));
        for output in 1..=9 {
            let pooled = x.matmul(&shares(7, output).transpose(0, 1));
            let difference = (pooled - x.adaptive_avg_pool1d(output)).abs().max().double_value(&[]);
            assert!(difference < 1e-6, "{output}: {difference}");
        }
    }
}
