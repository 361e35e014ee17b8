//! The block of ModernBERT: layer normalization before each branch, a gated feed-forward network, no biases.

use tch::Tensor;
use tch::nn;

use super::adapter::Adapter;
use super::attention::Turns;
use super::modern_bert::ModernBertSize;
use super::{class_of, descend};
use crate::model::layer::{Layer, LayerNorm, Linear};
use crate::model::script::Class;

/// A block: self-attention with rotary positions, then a feed-forward network with GELU and gates, each with a residual connection.
#[derive(Debug)]
pub struct GatedBlock {
    /// None in the first block, whose input is normalized.
    attention_norm: Option<LayerNorm>,
    projection: Linear,
    /// Of the queries and of the values.
    adapters: Option<[Adapter; 2]>,
    attended: Linear,
    norm: LayerNorm,
    inner: Linear,
    outer: Linear,
}

impl GatedBlock {
    /// Creates the parameters in `path`, normal with standard deviation 0.02.
    pub fn new(path: &nn::Path, has_attention_norm: bool, size: &ModernBertSize) -> Self {
        let ModernBertSize { width, hidden, eps, .. } = *size;
        let linear = |name: &str, inputs: i64, outputs: i64| {
            Linear::without_bias(&descend(path, name), inputs, outputs)
        };
        let norm = |name: &str| LayerNorm::without_bias(&descend(path, name), width, eps);
        GatedBlock {
            attention_norm: has_attention_norm.then(|| norm("attn_norm")),
            projection: linear("attn.Wqkv", width, 3 * width),
            adapters: (size.lora > 0).then(|| {
                ["attn.Wqkv.query", "attn.Wqkv.value"]
                    .map(|name| Adapter::new(&descend(path, name), size.lora, width))
            }),
            attended: linear("attn.Wo", width, width),
            norm: norm("mlp_norm"),
            inner: linear("mlp.Wi", width, 2 * hidden),
            outer: linear("mlp.Wo", hidden, width),
        }
    }

    /// Vectors (N, tokens, width) to vectors of the same size. `bias` is added to the scores of the attention.
    pub fn forward(
        &self,
        x: &Tensor,
        bias: &Tensor,
        turns: &Turns,
        size: &ModernBertSize,
        train: bool,
    ) -> Tensor {
        let ModernBertSize { width, heads, dropout, .. } = *size;
        let length = x.size()[1];
        let normed =
            self.attention_norm.as_ref().map_or_else(|| x.shallow_clone(), |norm| norm.forward(x, train));
        let mut all = self.projection.forward(&normed, train);
        if let Some([queries, values]) = &self.adapters {
            let queries = queries.forward(&normed);
            all += Tensor::cat(&[&queries, &queries.zeros_like(), &values.forward(&normed)], -1);
        }
        let all = all.reshape([-1, length, 3, heads, width / heads]).permute([2, 0, 3, 1, 4]);
        let seen = Tensor::scaled_dot_product_attention(
            &turns.apply(&all.get(0)),
            &turns.apply(&all.get(1)),
            &all.get(2),
            Some(bias),
            if train { dropout } else { 0. },
            false,
            None,
            false,
        );
        let joined = seen.transpose(1, 2).reshape([-1, length, width]);
        let x = x + self.attended.forward(&joined, train).dropout(dropout, train);
        let halves = self.inner.forward(&self.norm.forward(&x, train), train).chunk(2, -1);
        let hidden = (halves[0].gelu("none") * &halves[1]).dropout(dropout, train);
        &x + self.outer.forward(&hidden, train)
    }

    /// The class of the projection, with the adapters in its weight.
    fn merged(&self) -> Class {
        match &self.adapters {
            None => class_of(&self.projection),
            Some([queries, values]) => {
                let queries = queries.delta();
                let delta = Tensor::cat(&[&queries, &queries.zeros_like(), &values.delta()], 0);
                class_of(&self.projection.plus(&delta))
            }
        }
    }

    /// The class, whose method `forward` is the equivalent of [`GatedBlock::forward`].
    pub fn class(&self, size: &ModernBertSize) -> Class {
        let ModernBertSize { width, heads, dropout, .. } = *size;
        let normed = if self.attention_norm.is_some() { "(self.attn_norm).forward(x)" } else { "x" };
        let forward = format!(
            r#"  def forward(self: {{class}}, x: Tensor, bias: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    length = torch.size(x, 1)
    all = torch.reshape((self.attn.Wqkv).forward({normed}), [-1, length, 3, {heads}, {head}])
    all = torch.permute(all, [2, 0, 3, 1, 4])
    q = torch.select(all, 0, 0)
    k = torch.select(all, 0, 1)
{rotate_q}{rotate_k}    seen = torch.scaled_dot_product_attention(q, k, torch.select(all, 0, 2), bias, {dropout:?} if self.training else 0.0, False)
    joined = torch.reshape(torch.transpose(seen, 1, 2), [-1, length, {width}])
    y = torch.add(x, torch.dropout((self.attn.Wo).forward(joined), {dropout:?}, self.training))
    values, gates = torch.chunk((self.mlp.Wi).forward((self.mlp_norm).forward(y)), 2, -1)
    hidden = torch.dropout(torch.mul(torch.gelu(values), gates), {dropout:?}, self.training)
    return torch.add(y, (self.mlp.Wo).forward(hidden))
"#,
            head = width / heads,
            rotate_q = Turns::script("q"),
            rotate_k = Turns::script("k"),
        );
        let class = Class::new("GatedBlock", forward);
        let class = match &self.attention_norm {
            Some(norm) => class.child("attn_norm", class_of(norm)),
            None => class,
        };
        class
            .descendant("attn.Wqkv", self.merged())
            .descendant("attn.Wo", class_of(&self.attended))
            .child("mlp_norm", class_of(&self.norm))
            .descendant("mlp.Wi", class_of(&self.inner))
            .descendant("mlp.Wo", class_of(&self.outer))
    }
}
