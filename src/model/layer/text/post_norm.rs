//! The block of BERT and its descendants: layer normalization after each residual connection.

use tch::Tensor;
use tch::nn;

use super::adapter::Adapter;
use super::attention::{attention, attention_script};
use super::{BertSize, attribute, class_of, descend};
use crate::model::layer::{Layer, LayerNorm, Linear};
use crate::model::script::Class;

/// The names of the parts of a block, as in the library transformers.
#[derive(Debug, PartialEq, Eq)]
pub struct BertNames {
    /// The blocks, without their numbers.
    pub blocks: &'static str,
    /// The projections of the attention to queries, keys and values.
    pub projections: [&'static str; 3],
    /// The output projection of the attention.
    pub attended: &'static str,
    /// The normalization after the attention.
    pub attended_norm: &'static str,
    /// The feed-forward network: its first and second layer.
    pub feed_forward: [&'static str; 2],
    /// The normalization after the feed-forward network.
    pub output_norm: &'static str,
}

/// A block: self-attention, then a feed-forward network with GELU, each with a residual connection that is normalized.
#[derive(Debug)]
pub struct PostNormBlock {
    names: &'static BertNames,
    projections: [Linear; 3],
    /// Of the queries and of the values.
    adapters: Option<[Adapter; 2]>,
    attended: Linear,
    attended_norm: LayerNorm,
    inner: Linear,
    outer: Linear,
    output_norm: LayerNorm,
}

impl PostNormBlock {
    /// Creates the parameters in `path`, normal with standard deviation 0.02.
    pub fn new(path: &nn::Path, names: &'static BertNames, size: &BertSize) -> Self {
        let BertSize { width, hidden, eps, .. } = *size;
        let linear =
            |name: &str, inputs: i64, outputs: i64| Linear::normal(&descend(path, name), inputs, outputs);
        let norm = |name: &str| LayerNorm::with_eps(&descend(path, name), width, eps);
        let [inner, outer] = names.feed_forward;
        PostNormBlock {
            names,
            projections: names.projections.map(|name| linear(name, width, width)),
            adapters: (size.lora > 0).then(|| {
                let [queries, _, values] = names.projections;
                [queries, values].map(|name| Adapter::new(&descend(path, name), size.lora, width))
            }),
            attended: linear(names.attended, width, width),
            attended_norm: norm(names.attended_norm),
            inner: linear(inner, width, hidden),
            outer: linear(outer, hidden, width),
            output_norm: norm(names.output_norm),
        }
    }

    /// Vectors (N, tokens, width) to vectors of the same size. `bias` is added to the scores of the attention.
    pub fn forward(&self, x: &Tensor, bias: &Tensor, size: &BertSize, train: bool) -> Tensor {
        let dropout = if train { size.dropout } else { 0. };
        let [mut queries, keys, mut values] =
            self.projections.each_ref().map(|layer| layer.forward(x, train));
        if let Some([of_queries, of_values]) = &self.adapters {
            queries += of_queries.forward(x);
            values += of_values.forward(x);
        }
        let joined = attention([&queries, &keys, &values], size.heads, bias, dropout);
        let attended = self.attended.forward(&joined, train).dropout(size.dropout, train);
        let x = self.attended_norm.forward(&(x + attended), train);
        let hidden = self.inner.forward(&x, train).gelu("none");
        let output = self.outer.forward(&hidden, train).dropout(size.dropout, train);
        self.output_norm.forward(&(x + output), train)
    }

    /// The classes of the projections, with the adapters in their weights.
    fn merged(&self) -> [Class; 3] {
        let [queries, keys, values] = &self.projections;
        match &self.adapters {
            None => [queries, keys, values].map(|layer| class_of(layer)),
            Some([of_queries, of_values]) => [
                class_of(&queries.plus(&of_queries.delta())),
                class_of(keys),
                class_of(&values.plus(&of_values.delta())),
            ],
        }
    }

    /// The class, whose method `forward` is the equivalent of [`PostNormBlock::forward`].
    pub fn class(&self, size: &BertSize) -> Class {
        let BertSize { width, heads, dropout, .. } = *size;
        let names = self.names;
        let [queries, keys, values] = names.projections.map(attribute);
        let [inner, outer] = names.feed_forward.map(attribute);
        let forward = format!(
            r#"  def forward(self: {{class}}, x: Tensor, bias: Tensor) -> Tensor:
    queries = ({queries}).forward(x)
    keys = ({keys}).forward(x)
    values = ({values}).forward(x)
{attention}    attended = torch.dropout(({attended}).forward(joined), {dropout:?}, self.training)
    y = ({attended_norm}).forward(torch.add(x, attended))
    hidden = torch.gelu(({inner}).forward(y))
    output = torch.dropout(({outer}).forward(hidden), {dropout:?}, self.training)
    return ({output_norm}).forward(torch.add(y, output))
"#,
            attention = attention_script(heads, width, dropout),
            attended = attribute(names.attended),
            attended_norm = attribute(names.attended_norm),
            output_norm = attribute(names.output_norm),
        );
        let [inner, outer] = names.feed_forward;
        let class = names
            .projections
            .iter()
            .zip(self.merged())
            .fold(Class::new("EncoderBlock", forward), |class, (name, layer)| class.descendant(name, layer));
        class
            .descendant(names.attended, class_of(&self.attended))
            .descendant(names.attended_norm, class_of(&self.attended_norm))
            .descendant(inner, class_of(&self.inner))
            .descendant(outer, class_of(&self.outer))
            .descendant(names.output_norm, class_of(&self.output_norm))
    }
}
