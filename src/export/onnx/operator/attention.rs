//! Attention.

use tch::{Device, Kind, Tensor};

use super::Operator;
use super::Translation::One;
use crate::error::Result;
use crate::export::onnx::call::Call;
use crate::export::onnx::graph::Attribute::Int;
use crate::export::onnx::recording::Dim;

/// The operations of this group.
pub const OPERATORS: &[Operator] = &[
    ("aten::scaled_dot_product_attention", One(attention)),
    ("aten::_native_multi_head_attention", One(multi_head_attention)),
];

/// What the attention is computed of.
struct Attention {
    queries: String,
    keys: String,
    values: String,
    /// The number of dimensions of each.
    rank: usize,
    scale: f64,
    /// What is added to the scores; empty for nothing.
    mask: String,
    kind: Kind,
}

impl Attention {
    /// softmax(queries · keysᵀ · scale + mask) · values, in its parts: an operation of that name came with opset 23.
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
        return Err(call.refused("it leaves out a share of the attention, as in training"));
    }
    if call.flag("enable_gqa")? {
        return Err(call.refused("its heads share keys"));
    }
    let (of_queries, of_keys) = (&call.info("query")?.shape, &call.info("key")?.shape);
    let (kind, rank) = (call.output(0).kind, of_queries.len());
    let width = call.fixed_sizes(&of_queries[rank - 1..])?[0];
    let mask = if call.flag("is_causal")? {
        let length = call.fixed_sizes(&[of_queries[rank - 2], of_keys[rank - 2]])?;
        call.graph.initializer("constant", &causal_mask(length[0], length[1], kind))
    } else {
        mask(call, kind)?
    };
    let scale = call.number_or("scale", scale_for(width))?;
    let (queries, keys, values) = (call.tensor("query")?, call.tensor("key")?, call.tensor("value")?);
    Ok(Attention { queries, keys, values, rank, scale, mask, kind }.write(call))
}

/// PyTorch's fused operation: projection to queries, keys and values, attention in heads, and projection back. It is
/// what becomes of `torch.nn.MultiheadAttention` in evaluation.
fn multi_head_attention(call: &mut Call) -> Result<String> {
    let x = call.tensor("query")?;
    if [call.tensor("key")?, call.tensor("value")?].iter().any(|other| *other != x) {
        return Err(call.refused("its keys are not made of what its queries are made of"));
    }
    if !call.is_none("mask") || call.flag("need_weights")? {
        return Err(call.refused("it has a mask, or gives its weights"));
    }
    let (heads, shape, kind) = (call.int("num_head")?, &call.output(0).shape, call.output(0).kind);
    let width = call.int("embed_dim")? / heads.max(1);
    let all = project(call, &x, "qkv")?;
    let in_heads = [shape[0], shape[1], Dim::Fixed(3), Dim::Fixed(heads), Dim::Fixed(width)];
    let all = call.graph.reshape(&all, &in_heads)?;
    // (3, N, heads, length, width of a head)
    let all = call.graph.transpose(&all, &[2, 0, 3, 1, 4]);
    let [queries, keys, values] = [0., 1., 2.].map(|part| {
        let index = call.graph.number(part, Kind::Int64);
        call.node("Gather", &[&all, &index], &[("axis", Int(0))])
    });
    let scale = scale_for(width);
    let seen = Attention { queries, keys, values, rank: 4, scale, mask: String::new(), kind }.write(call);
    let joined = call.graph.transpose(&seen, &[0, 2, 1, 3]);
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

/// What keeps the deviation of the scores (Vaswani et al., 2017).
fn scale_for(width: i64) -> f64 {
    1. / (width as f64).sqrt()
}

/// What is added to the scores: the mask itself, or for one of yes and no, nothing and −∞.
fn mask(call: &mut Call, kind: Kind) -> Result<String> {
    if call.is_none("attn_mask") || call.info("attn_mask")?.kind != Kind::Bool {
        return call.tensor_or_none("attn_mask");
    }
    let mask = call.tensor("attn_mask")?;
    let (seen, unseen) = (call.graph.number(0., kind), call.graph.number(f64::NEG_INFINITY, kind));
    Ok(call.node("Where", &[&mask, &seen, &unseen], &[]))
}

/// −∞ where a key comes after the query.
fn causal_mask(queries: i64, keys: i64, kind: Kind) -> Tensor {
    Tensor::full([queries, keys], f64::NEG_INFINITY, (kind, Device::Cpu)).triu(1)
}
