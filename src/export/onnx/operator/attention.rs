//! Attention.

use tch::{Device, Kind, Tensor};

use super::Operator;
use super::Translation::One;
use crate::error::Result;
use crate::export::onnx::call::Call;
use crate::export::onnx::graph::Attribute::Int;
use crate::export::recording::Dim;

/// The operations of this group.
pub(crate) const OPERATORS: &[Operator] = &[
    ("aten::scaled_dot_product_attention", One(attention)),
    ("aten::_native_multi_head_attention", One(multi_head_attention)),
];

/// The inputs of scaled dot-product attention.
struct Attention {
    queries: String,
    keys: String,
    values: String,
    /// The number of dimensions of each.
    rank: usize,
    scale: f64,
    /// The additive mask; empty for none.
    mask: String,
    kind: Kind,
}

impl Attention {
    /// softmax(queries · keysᵀ · scale + mask) · values. ONNX has an attention operator only since opset 23.
    fn write(&self, call: &mut Call) -> String {
        let scale = call.graph.number(self.scale, self.kind);
        let queries = call.node("Mul", &[&self.queries, &scale], &[]);
        let mut order: Vec<_> = (0..self.rank as i64).collect();
        order.swap(self.rank - 2, self.rank - 1);
        let keys = call.graph.transpose(&self.keys, &order);
        let mut scores = call.node("MatMul", &[&queries, &keys], &[]);
        if !self.mask.is_empty() {
            scores = call.node("Add", &[&scores, &self.mask], &[]);
        }
        let weights = call.node("Softmax", &[&scores], &[("axis", Int(-1))]);
        call.node("MatMul", &[&weights, &self.values], &[])
    }
}

fn attention(call: &mut Call) -> Result<String> {
    if call.number("dropout_p")? != 0. {
        return Err(call.unsupported("it applies dropout"));
    }
    if call.flag("enable_gqa")? {
        return Err(call.unsupported("it uses grouped-query attention"));
    }
    let (query_shape, key_shape) = (&call.info("query")?.shape, &call.info("key")?.shape);
    let (kind, rank) = (call.output(0).kind, query_shape.len());
    let width = call.fixed_sizes(&query_shape[rank - 1..])?[0];
    let mask = if call.flag("is_causal")? {
        let length = call.fixed_sizes(&[query_shape[rank - 2], key_shape[rank - 2]])?;
        call.graph.initializer("constant", &causal_mask(length[0], length[1], kind))
    } else {
        mask(call, kind)?
    };
    let scale = call.number_or("scale", scale_for(width))?;
    let (queries, keys, values) = (call.tensor("query")?, call.tensor("key")?, call.tensor("value")?);
    Ok(Attention { queries, keys, values, rank, scale, mask, kind }.write(call))
}

/// PyTorch's fused multi-head attention, which `torch.nn.MultiheadAttention` calls in evaluation mode: projection to queries,
/// keys and values, attention per head, and output projection.
fn multi_head_attention(call: &mut Call) -> Result<String> {
    let x = call.tensor("query")?;
    if [call.tensor("key")?, call.tensor("value")?].iter().any(|other| *other != x) {
        return Err(call.unsupported("it is cross-attention: its queries, keys and values differ"));
    }
    if !call.is_none("mask") || call.flag("need_weights")? {
        return Err(call.unsupported("it has a mask or returns the attention weights"));
    }
    let (heads, shape, kind) = (call.int("num_head")?, &call.output(0).shape, call.output(0).kind);
    let width = call.int("embed_dim")? / heads.max(1);
    let qkv = project(call, &x, "qkv")?;
    let head_shape = [shape[0], shape[1], Dim::Fixed(3), Dim::Fixed(heads), Dim::Fixed(width)];
    let qkv = call.graph.reshape(&qkv, &head_shape)?;
    // (3, N, heads, length, head width)
    let qkv = call.graph.transpose(&qkv, &[2, 0, 3, 1, 4]);
    let [queries, keys, values] = [0., 1., 2.].map(|part| {
        let index = call.graph.number(part, Kind::Int64);
        call.node("Gather", &[&qkv, &index], &[("axis", Int(0))])
    });
    let scale = scale_for(width);
    let attended = Attention { queries, keys, values, rank: 4, scale, mask: String::new(), kind }.write(call);
    let joined = call.graph.transpose(&attended, &[0, 2, 1, 3]);
    let joined = call.graph.reshape(&joined, shape)?;
    project(call, &joined, "proj")
}

/// x · weightᵀ + bias.
fn project(call: &mut Call, x: &str, name: &str) -> Result<String> {
    let (weight, bias) = (call.tensor(&format!("{name}_weight"))?, call.tensor(&format!("{name}_bias"))?);
    let weight = call.graph.transpose(&weight, &[1, 0]);
    let product = call.node("MatMul", &[x, &weight], &[]);
    Ok(call.node("Add", &[&product, &bias], &[]))
}

/// The default scale, 1 / √width (Vaswani et al., 2017).
fn scale_for(width: i64) -> f64 {
    1. / (width as f64).sqrt()
}

/// The additive mask: the mask itself, or for a boolean mask, 0 where it is true and −∞ elsewhere.
fn mask(call: &mut Call, kind: Kind) -> Result<String> {
    if call.is_none("attn_mask") || call.info("attn_mask")?.kind != Kind::Bool {
        return call.tensor_or_none("attn_mask");
    }
    let mask = call.tensor("attn_mask")?;
    let (zero, infinity) = (call.graph.number(0., kind), call.graph.number(f64::NEG_INFINITY, kind));
    Ok(call.node("Where", &[&mask, &zero, &infinity], &[]))
}

/// The causal mask: −∞ where the key is after the query.
fn causal_mask(queries: i64, keys: i64, kind: Kind) -> Tensor {
    Tensor::full([queries, keys], f64::NEG_INFINITY, (kind, Device::Cpu)).triu(1)
}
