//! A transformer encoder over the tokens of a text.

use tch::nn::{self, Init};
use tch::{Kind, Tensor};

use super::attention::{Turns, rotations};
use super::word_vectors::{MASKED_MEAN, masked_mean};
use super::{WordVectors, class_of};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{Constant, LayerNorm, Linear, Parameters, Recomputation};
use crate::model::layer::{Layer, product};
use crate::model::script::{Class, Script};

/// Sizes of a [`TextEncoder`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EncoderSize {
    /// Vectors of tokens.
    pub rows: i64,
    /// Values of a vector, a multiple of twice the number of heads.
    pub width: i64,
    /// Number of blocks.
    pub depth: i64,
    /// Attention heads.
    pub heads: i64,
    /// Probability of dropping a value of a branch in training.
    pub dropout: f64,
}

/// A pre-norm transformer encoder (Vaswani et al., 2017; Xiong et al., 2020) with rotary position embeddings (Su et al., 2021) and the
/// mean over the tokens: token ids (N, features) to (N, width). Padding is masked.
///
/// ```
/// use cresset::data::column::FeatureGroup;
/// use cresset::model::Task;
/// use cresset::model::layer::{EncoderSize, Layer, TextEncoder};
/// use cresset::prelude::*;
/// use tch::{Device, Tensor, nn};
///
/// let groups = vec![FeatureGroup::Tokens { length: 4, vocabulary: 100 }];
/// let task = Task { groups, ..Task::new(InputShape(vec![4]), 2) };
/// let variables = nn::VarStore::new(Device::Cpu);
/// let size = EncoderSize { rows: 64, width: 16, depth: 2, heads: 4, dropout: 0. };
/// let encoder = TextEncoder::new(&variables.root(), &task, size);
/// let texts = Tensor::from_slice2(&[[7f32, 9., 3., 0.], [5., 0., 0., 0.]]);
/// let padded = Tensor::from_slice2(&[[5f32, 0., 0.]]);
/// let output = encoder.forward(&texts, false);
/// assert_eq!(output.size(), [2, 16]);
/// assert!(encoder.forward(&padded, false).allclose(&output.narrow(0, 1, 1), 1e-5, 1e-6, false));
/// ```
#[derive(Debug)]
pub struct TextEncoder {
    size: EncoderSize,
    vectors: WordVectors,
    blocks: Vec<Block>,
    norm: LayerNorm,
    /// Cosines and sines of the angles of all positions, (positions, width of a head).
    cosines: Constant,
    sines: Constant,
    recomputation: Recomputation,
}

#[derive(Debug)]
struct Block {
    norm1: LayerNorm,
    in_weight: Tensor,
    in_bias: Tensor,
    out: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

/// Added to the variance in layer normalization, as in PyTorch.
const EPS: f64 = 1e-5;

/// The base of the periods of rotary position embeddings.
const BASE: f64 = 10_000.;

/// Standard deviation of the vectors of tokens.
const DEVIATION: f64 = 0.02;

impl TextEncoder {
    /// Creates `embedding.weight`, `block0`, `block1`, … and `norm` in `path`.
    pub fn new(path: &nn::Path, task: &Task, size: EncoderSize) -> Self {
        let EncoderSize { rows, width, depth, heads, .. } = size;
        let [cosines, sines] = rotations(task.input.features() + 1, width / heads, BASE);
        TextEncoder {
            size,
            vectors: WordVectors::new(&(path / "embedding"), task, rows, width, DEVIATION),
            blocks: (0..depth).map(|index| Block::new(&(path / format!("block{index}")), width)).collect(),
            norm: LayerNorm::with_eps(&(path / "norm"), width, EPS),
            cosines: Constant::new(cosines),
            sines: Constant::new(sines),
            recomputation: Recomputation::default(),
        }
    }
}

impl TextEncoder {
    /// The output of a block. The blocks share the bias, the cosines and the sines.
    fn block(&self, index: usize, x: &Tensor, shared: &[Tensor], train: bool) -> Tensor {
        let turns = Turns { cosines: &shared[1], sines: &shared[2] };
        self.blocks[index].forward(x, &shared[0], &turns, self.size, train)
    }
}

impl Block {
    fn new(path: &nn::Path, width: i64) -> Self {
        let bound = (6. / (4 * width) as f64).sqrt();
        let attention = path / "attention";
        let init = Init::Uniform { lo: -bound, up: bound };
        Block {
            norm1: LayerNorm::with_eps(&(path / "norm1"), width, EPS),
            in_weight: attention.parameter("in_proj_weight", &[3 * width, width], init),
            in_bias: attention.parameter("in_proj_bias", &[3 * width], Init::Const(0.)),
            out: Linear::new(&(&attention / "out_proj"), width, width),
            norm2: LayerNorm::with_eps(&(path / "norm2"), width, EPS),
            fc1: Linear::new(&(path / "fc1"), width, 4 * width),
            fc2: Linear::new(&(path / "fc2"), 4 * width, width),
        }
    }

    /// `x` is (N, tokens, width), `bias` (N, 1, 1, tokens) 0 for tokens and -∞ for padding.
    fn forward(&self, x: &Tensor, bias: &Tensor, turns: &Turns, size: EncoderSize, train: bool) -> Tensor {
        let EncoderSize { width, heads, dropout, .. } = size;
        let length = x.size()[1];
        let all = self.norm1.forward(x, train).linear(&self.in_weight, Some(&self.in_bias));
        let all = all.reshape([-1, length, 3, heads, width / heads]).permute([2, 0, 3, 1, 4]);
        let rate = if train { dropout } else { 0. };
        let seen = Tensor::scaled_dot_product_attention(
            &turns.apply(&all.get(0)),
            &turns.apply(&all.get(1)),
            &all.get(2),
            Some(bias),
            rate,
            false,
            None,
            false,
        );
        let joined = seen.permute([0, 2, 1, 3]).reshape([-1, length, width]);
        let x = x + self.out.forward(&joined, train).dropout(dropout, train);
        let hidden = self.fc1.forward(&self.norm2.forward(&x, train), train).gelu("none");
        &x + self.fc2.forward(&hidden, train).dropout(dropout, train)
    }

    fn class(&self, EncoderSize { width, heads, dropout, .. }: EncoderSize) -> Class {
        let forward = format!(
            r#"  def forward(self: {{class}}, x: Tensor, bias: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    length = torch.size(x, 1)
    all = torch.linear((self.norm1).forward(x), self.attention.in_proj_weight, self.attention.in_proj_bias)
    all = torch.permute(torch.reshape(all, [-1, length, 3, {heads}, {head}]), [2, 0, 3, 1, 4])
    q = torch.select(all, 0, 0)
    k = torch.select(all, 0, 1)
{rotate_q}{rotate_k}    seen = torch.scaled_dot_product_attention(q, k, torch.select(all, 0, 2), bias, {dropout:?} if self.training else 0.0, False)
    joined = torch.reshape(torch.permute(seen, [0, 2, 1, 3]), [-1, length, {width}])
    y = torch.add(x, torch.dropout((self.attention.out_proj).forward(joined), {dropout:?}, self.training))
    hidden = torch.gelu((self.fc1).forward((self.norm2).forward(y)))
    return torch.add(y, torch.dropout((self.fc2).forward(hidden), {dropout:?}, self.training))
"#,
            head = width / heads,
            rotate_q = Turns::script("q"),
            rotate_k = Turns::script("k"),
        );
        let attention = Class::new("Attention", "")
            .parameter("in_proj_weight", &self.in_weight)
            .parameter("in_proj_bias", &self.in_bias)
            .child("out_proj", class_of(&self.out));
        Class::new("EncoderBlock", forward)
            .child("norm1", class_of(&self.norm1))
            .child("attention", attention)
            .child("norm2", class_of(&self.norm2))
            .child("fc1", class_of(&self.fc1))
            .child("fc2", class_of(&self.fc2))
    }
}

impl Layer for TextEncoder {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let (vectors, mask) = self.vectors.forward(x, train);
        let length = mask.size()[1];
        let [cosines, sines] =
            [&self.cosines, &self.sines].map(|table| table.like(&vectors).narrow(0, 0, length));
        let bias = mask.log().unsqueeze(1).unsqueeze(1);
        // A text without tokens attends to its padding.
        let is_empty = mask.sum_dim_intlist(1, true, mask.kind()).eq(0.).unsqueeze(1).unsqueeze(1);
        let bias = bias.masked_fill(&is_empty, 0.);
        let x = vectors.dropout(self.size.dropout, train);
        let block = |index: usize, x: &Tensor, shared: &[Tensor]| self.block(index, x, shared, train);
        let x = self.recomputation.forward(x, vec![bias, cosines, sines], self.blocks.len(), train, &block);
        masked_mean(&self.norm.forward(&x, train), &mask)
    }

    fn computes_padding(&self) -> bool {
        true
    }

    fn recompute_blocks(&self) -> bool {
        self.recomputation.turn_on();
        true
    }

    fn backward_blocks(&self, precision: Option<Kind>) -> Result<()> {
        self.recomputation.backward(precision, &|index, x, shared| self.block(index, x, shared, true))
    }

    fn script(&self) -> Script {
        let mut lines = String::new();
        for index in 0..self.blocks.len() {
            lines += &format!("    x = (self.block{index}).forward(x, bias, cosines, sines)\n");
        }
        let forward = format!(
            r#"  def forward(self: {{class}}, ids: Tensor) -> Tensor:
    vectors0, mask = (self.embedding).forward(ids)
    cosines = torch.narrow(torch.type_as(self.cosines, vectors0), 0, 0, torch.size(mask, 1))
    sines = torch.narrow(torch.type_as(self.sines, vectors0), 0, 0, torch.size(mask, 1))
    empty = torch.eq(torch.sum(mask, [1], True), 0)
    bias = torch.masked_fill(torch.unsqueeze(torch.unsqueeze(torch.log(mask), 1), 1), torch.unsqueeze(torch.unsqueeze(empty, 1), 1), 0)
    x = torch.dropout(vectors0, {dropout:?}, self.training)
{lines}    vectors = (self.norm).forward(x)
    return {MASKED_MEAN}
"#,
            dropout = self.size.dropout,
        );
        let class = Class::new("TextEncoder", forward).child("embedding", self.vectors.class());
        let blocks = self.blocks.iter().enumerate();
        let class = blocks.fold(class, |class, (index, block)| {
            class.child(format!("block{index}"), block.class(self.size))
        });
        let class = class.child("norm", class_of(&self.norm));
        Script::Class(class.constant("cosines", self.cosines.value()).constant("sines", self.sines.value()))
    }

    fn sparse_parameters(&self) -> Vec<String> {
        vec!["embedding.weight".to_string()]
    }

    fn describe(&self) -> String {
        let EncoderSize { width, depth, heads, .. } = self.size;
        format!("transformer encoder, {depth} blocks of {width}, {heads} heads, rotary positions")
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        let (length, width) = (input[1], self.size.width);
        // The projections, the feed-forward network, and the two token-by-token matrix products.
        product(&[input[0], length, self.size.depth, width, 12 * width + 2 * length])
    }
}
