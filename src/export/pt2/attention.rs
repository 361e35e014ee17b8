//! PyTorch's fused multi-head attention, which `torch.nn.MultiheadAttention` calls in evaluation mode, as the operators that
//! torch.export writes for it. The fused operator has no gradient and cannot be compiled.

use cresset_bridge::graph::Argument as Traced;
use tch::Kind;

use super::graph::{Builder, OrReason, named};
use super::schema::{Argument, POSITIONAL, SymIntArgument, TensorArgument};
use super::tensor::contiguous;
use crate::export::recording::{Argument as StepArgument, Dim, Step};

/// The name of the operation.
pub const NAME: &str = "aten::_native_multi_head_attention";

/// A tensor while the operators are added.
struct Part {
    name: String,
    shape: Vec<Dim>,
    strides: Vec<Dim>,
}

/// Adds projection to queries, keys and values, attention per head, and the output projection.
pub fn add(builder: &mut Builder, step: &Step) -> OrReason<()> {
    let tensor = |name: &str| match find(step, name) {
        Some(Traced::Tensor(value)) => Ok(*value),
        _ => Err(format!("its `{name}` is not a tensor")),
    };
    let x = tensor("query")?;
    if tensor("key")? != x || tensor("value")? != x {
        return Err("it is cross-attention: its queries, keys and values differ".to_string());
    }
    let needs_weights = matches!(find(step, "need_weights"), Some(Traced::Bool(true)));
    if needs_weights || find(step, "mask") != Some(&Traced::None) {
        return Err("it has a mask or returns the attention weights".to_string());
    }
    let Some(Traced::Int(heads)) = find(step, "num_head") else {
        return Err("its `num_head` is not a number".to_string());
    };
    let (shape, kind) = builder.shape_of(x);
    let [batch, length, Dim::Fixed(width)] = shape[..] else {
        return Err("its input is not (batch, length, width)".to_string());
    };
    let (heads, head) = (Dim::Fixed(*heads), Dim::Fixed(width / (*heads).max(1)));
    let mut adding = Adding { builder, kind };
    let x = adding.part(x, shape.clone())?;
    let [qkv_weight, qkv_bias, weight, bias] =
        ["qkv_weight", "qkv_bias", "proj_weight", "proj_bias"].map(tensor);
    let qkv = adding.linear(&x, qkv_weight?, qkv_bias?, &[batch, length, Dim::Fixed(3 * width)])?;
    let qkv = adding.reshape(&qkv, &[batch, length, Dim::Fixed(3), heads, head])?;
    // (3, batch, heads, length, width of a head)
    let qkv = adding.permute(&qkv, &[2, 0, 3, 1, 4])?;
    let [queries, keys, values] = [0, 1, 2].map(|part| adding.select(&qkv, part));
    let attended = adding.attend([&queries?, &keys?, &values?])?;
    let joined = adding.permute(&attended, &[0, 2, 1, 3])?;
    let joined = adding.reshape(&joined, &shape)?;
    let output = adding.linear(&joined, weight?, bias?, &shape)?;
    builder.alias(step.outputs[0], output.name);
    Ok(())
}

fn find<'a>(step: &'a Step, name: &str) -> Option<&'a Traced> {
    let argument = step.arguments.iter().find(|(known, _)| known == name)?;
    match &argument.1 {
        StepArgument::Fixed(value) => Some(value),
        _ => None,
    }
}

struct Adding<'a, 'b> {
    builder: &'a mut Builder<'b>,
    kind: Kind,
}

impl Adding<'_, '_> {
    fn part(&mut self, value: usize, shape: Vec<Dim>) -> OrReason<Part> {
        let strides = contiguous(&shape).map_err(|e| e.to_string())?;
        Ok(Part { name: self.builder.name_of(value)?, shape, strides })
    }

    fn call(
        &mut self,
        operator: &str,
        arguments: Vec<(&str, Argument)>,
        shape: &[Dim],
        strides: Vec<Dim>,
    ) -> OrReason<Part> {
        let inputs =
            arguments.into_iter().map(|(name, argument)| named(name, argument, POSITIONAL)).collect();
        let name = self.builder.add_call(operator, inputs, self.kind, shape, &strides)?;
        Ok(Part { name, shape: shape.to_vec(), strides })
    }

    fn linear(&mut self, x: &Part, weight: usize, bias: usize, shape: &[Dim]) -> OrReason<Part> {
        let [weight, bias] = [weight, bias].map(|value| self.builder.name_of(value));
        let inputs = vec![("input", tensor(&x.name)), ("weight", tensor(&weight?)), ("bias", tensor(&bias?))];
        let strides = contiguous(shape).map_err(|e| e.to_string())?;
        self.call("linear.default", inputs, shape, strides)
    }

    fn reshape(&mut self, x: &Part, shape: &[Dim]) -> OrReason<Part> {
        let sizes = shape.iter().map(|dim| match dim {
            Dim::Fixed(size) => SymIntArgument::AsInt(*size),
            Dim::Batch(factor) => SymIntArgument::AsName(self.builder.batch(*factor)),
        });
        let inputs = vec![("self", tensor(&x.name)), ("shape", Argument::AsSymInts(sizes.collect()))];
        let strides = contiguous(shape).map_err(|e| e.to_string())?;
        self.call("reshape.default", inputs, shape, strides)
    }

    fn permute(&mut self, x: &Part, order: &[usize]) -> OrReason<Part> {
        let dims = order.iter().map(|axis| *axis as i64).collect();
        let inputs = vec![("self", tensor(&x.name)), ("dims", Argument::AsInts(dims))];
        let ordered = |of: &[Dim]| order.iter().map(|axis| of[*axis]).collect::<Vec<_>>();
        self.call("permute.default", inputs, &ordered(&x.shape), ordered(&x.strides))
    }

    fn select(&mut self, x: &Part, index: i64) -> OrReason<Part> {
        let inputs =
            vec![("self", tensor(&x.name)), ("dim", Argument::AsInt(0)), ("index", Argument::AsInt(index))];
        self.call("select.int", inputs, &x.shape[1..], x.strides[1..].to_vec())
    }

    fn attend(&mut self, [queries, keys, values]: [&Part; 3]) -> OrReason<Part> {
        let inputs = vec![
            ("query", tensor(&queries.name)),
            ("key", tensor(&keys.name)),
            ("value", tensor(&values.name)),
        ];
        let strides = contiguous(&queries.shape).map_err(|e| e.to_string())?;
        self.call("scaled_dot_product_attention.default", inputs, &queries.shape, strides)
    }
}

fn tensor(name: &str) -> Argument {
    Argument::AsTensor(TensorArgument { name: name.to_string() })
}
