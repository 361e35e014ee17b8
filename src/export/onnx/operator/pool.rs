//! Pooling.

use tch::{Device, Kind, Tensor};

use super::Operator;
use super::Translation::One;
use crate::error::Result;
use crate::export::onnx::call::Call;
use crate::export::onnx::graph::Attribute::{Int, Ints};

/// The operations of this group.
pub(crate) const OPERATORS: &[Operator] = &[
    ("aten::max_pool1d", One(max_pool)),
    ("aten::max_pool2d", One(max_pool)),
    ("aten::avg_pool1d", One(avg_pool)),
    ("aten::avg_pool2d", One(avg_pool)),
    ("aten::adaptive_avg_pool1d", One(adaptive_avg_pool)),
    ("aten::adaptive_avg_pool2d", One(adaptive_avg_pool)),
];

/// A pooling window.
struct Window {
    kernel: Vec<i64>,
    stride: Vec<i64>,
    padding: Vec<i64>,
    /// The padding at the begin of each dimension, then at the end of each.
    pads: Vec<i64>,
    dilation: Vec<i64>,
}

impl Window {
    /// The window of an operation. With `ceil_mode`, the padding at the end is extended to the last window, since runtimes
    /// differ in rounding.
    fn of(call: &Call) -> Result<Self> {
        let kernel = call.ints("kernel_size")?;
        let dims = kernel.len();
        let or = |name, default: &[i64]| match call.ints(name) {
            Ok(values) if !values.is_empty() => values,
            _ => default.to_vec(),
        };
        let (stride, padding) = (or("stride", &kernel), call.ints("padding")?);
        let dilation = or("dilation", &vec![1; dims]);
        let mut pads = padding.repeat(2);
        if call.flag("ceil_mode")? {
            let (input, output) =
                (sizes(call, &call.info("self")?.shape, dims)?, sizes(call, &call.output(0).shape, dims)?);
            for dim in 0..dims {
                let reach = (output[dim] - 1) * stride[dim] + dilation[dim] * (kernel[dim] - 1) + 1;
                pads[dims + dim] = padding[dim].max(reach - input[dim] - padding[dim]);
            }
        }
        Ok(Window { kernel, stride, padding, pads, dilation })
    }
}

/// The sizes of the spatial dimensions.
fn sizes(call: &Call, shape: &[crate::export::recording::Dim], dims: usize) -> Result<Vec<i64>> {
    if shape.len() != dims + 2 {
        return Err(call.unsupported("its input has no batch dimension"));
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
    let includes_padding = call.flag("count_include_pad")? && padding.iter().any(|pad| *pad > 0);
    if includes_padding && pads != padding.repeat(2) {
        return Err(
            call.unsupported("it combines count_include_pad with ceil_mode windows beyond the padding")
        );
    }
    if !call.is_none("divisor_override") {
        return Err(call.unsupported("it uses divisor_override"));
    }
    let x = call.tensor("self")?;
    let attributes = [
        ("kernel_shape", Ints(kernel)),
        ("strides", Ints(stride)),
        ("pads", Ints(pads)),
        ("count_include_pad", Int(i64::from(includes_padding))),
    ];
    Ok(call.node("AveragePool", &[&x], &attributes))
}

/// Pools to a given output size. `GlobalAveragePool` covers size 1; otherwise each output is the mean of a range of the input,
/// computed as a matrix product for each dimension.
fn adaptive_avg_pool(call: &mut Call) -> Result<String> {
    let dims = call.ints("output_size")?.len();
    let input = sizes(call, &call.info("self")?.shape, dims)?;
    let output = sizes(call, &call.output(0).shape, dims)?;
    let x = call.tensor("self")?;
    if output.iter().all(|size| *size == 1) {
        return Ok(call.node("GlobalAveragePool", &[&x], &[]));
    }
    let mut pooled = x;
    for dim in 0..dims {
        if input[dim] == output[dim] {
            continue;
        }
        let weights = pooling_weights(input[dim], output[dim]);
        // Multiply the last dimension from the right and the one before it from the left.
        pooled = if dim + 1 == dims {
            let weights = call.graph.initializer("constant", &weights.transpose(0, 1));
            call.node("MatMul", &[&pooled, &weights], &[])
        } else {
            let weights = call.graph.initializer("constant", &weights);
            call.node("MatMul", &[&weights, &pooled], &[])
        };
    }
    Ok(pooled)
}

/// The weight of each input in each output, (output, input).
fn pooling_weights(input: i64, output: i64) -> Tensor {
    let weights = Tensor::zeros([output, input], (Kind::Float, Device::Cpu));
    for row in 0..output {
        let (start, end) = (row * input / output, ((row + 1) * input + output - 1) / output);
        let _ = weights.get(row).narrow(0, start, end - start).fill_(1. / (end - start) as f64);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_weights_agree_with_libtorch() {
        let x = Tensor::randn([1, 1, 7], (Kind::Float, Device::Cpu));
        for output in 1..=9 {
            let pooled = x.matmul(&pooling_weights(7, output).transpose(0, 1));
            let difference = (pooled - x.adaptive_avg_pool1d(output)).abs().max().double_value(&[]);
            assert!(difference < 1e-6, "{output}: {difference}");
        }
    }
}
