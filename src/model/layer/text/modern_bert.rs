//! ModernBERT, without the last layers.

use tch::nn::{self, Init};
use tch::{Kind, Tensor};

use super::attention::{PADDING_BIAS, Turns, padding_bias, rotations};
use super::modern_block::GatedBlock;
use super::sequence::{PairFrame, Sequence, TextSequence};
use super::{Pooling, attribute, class_of, descend};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{Constant, Layer, LayerNorm, Parameters, Recomputation, product};
use crate::model::script::{Class, Script};

/// Sizes of a [`ModernBertEncoder`].
#[derive(Debug, Clone, PartialEq)]
pub struct ModernBertSize {
    /// The number of ids of the tokenizer.
    pub vocabulary: i64,
    /// Values of a vector, a multiple of twice the number of heads.
    pub width: i64,
    /// Number of blocks.
    pub depth: i64,
    /// Attention heads.
    pub heads: i64,
    /// Values of a vector inside the feed-forward network.
    pub hidden: i64,
    /// The maximum number of tokens of a pair.
    pub length: i64,
    /// Every so many blocks, from the first one, attend to the whole text; the others to a window.
    pub global_every: i64,
    /// The tokens of a window, half of them on each side.
    pub window: i64,
    /// The bases of the rotary positions of the blocks that attend to the whole text, and of the others.
    pub bases: [f64; 2],
    /// Added to the variance in layer normalization.
    pub eps: f64,
    /// Probability of dropping a value in training.
    pub dropout: f64,
    /// Rank of adapters of the queries and values; 0 without.
    pub lora: i64,
    /// How the vectors of tokens become that of the text.
    pub pooling: Pooling,
}

impl ModernBertSize {
    /// Whether a block attends to the whole text.
    fn is_global(&self, block: i64) -> bool {
        block % self.global_every == 0
    }
}

/// A pre-norm transformer encoder with rotary positions, gated feed-forward networks, attention to a window in most blocks and no biases
/// (Warner et al., "Smarter, Better, Faster, Longer", 2024): token ids (N, features) to (N, width). The parameters have the names of the
/// library transformers. Padding is masked.
#[derive(Debug)]
pub struct ModernBertEncoder {
    size: ModernBertSize,
    sequence: TextSequence,
    words: Tensor,
    norm: LayerNorm,
    blocks: Vec<GatedBlock>,
    final_norm: LayerNorm,
    /// Cosines and sines of the angles of the positions, (positions, width of a head), of blocks that attend to the whole text and of
    /// the others.
    turns: [[Constant; 2]; 2],
    recomputation: Recomputation,
}

/// Standard deviation of random weights.
const DEVIATION: f64 = 0.02;

/// The names of the tables of cosines and sines.
const TURNS: [[&str; 2]; 2] = [["global_cosines", "global_sines"], ["local_cosines", "local_sines"]];

impl ModernBertEncoder {
    /// Creates the parameters in `path`.
    pub fn new(path: &nn::Path, task: &Task, size: ModernBertSize) -> Self {
        let embeddings = path / "embeddings";
        let sequence = TextSequence::new(task, PairFrame::OneSeparator, size.vocabulary, size.length);
        let longest = sequence.longest().max(1);
        let init = Init::Randn { mean: 0., stdev: DEVIATION };
        let norm = |path: &nn::Path| LayerNorm::without_bias(path, size.width, size.eps);
        let block =
            |index: i64| GatedBlock::new(&descend(path, &format!("layers.{index}")), index > 0, &size);
        ModernBertEncoder {
            sequence,
            words: (&embeddings / "tok_embeddings").parameter("weight", &[size.vocabulary, size.width], init),
            norm: norm(&(&embeddings / "norm")),
            blocks: (0..size.depth).map(block).collect(),
            final_norm: norm(&(path / "final_norm")),
            turns: size
                .bases
                .map(|base| rotations(longest, size.width / size.heads, base).map(Constant::new)),
            recomputation: Recomputation::default(),
            size,
        }
    }

    /// The vectors of the tokens, and their mask.
    fn encode(&self, x: &Tensor, train: bool) -> (Tensor, Tensor) {
        let Sequence { ids, mask, .. } = self.sequence.forward(x);
        let x = self.norm.forward(&Tensor::embedding(&self.words, &ids, -1, false, false), train);
        let x = x.dropout(self.size.dropout, train);
        let length = ids.size()[1];
        let tables = self.turns.as_flattened().iter().map(|table| table.like(&x).narrow(0, 0, length));
        let biases = [padding_bias(&mask, x.kind()), self.window_bias(&mask, x.kind())];
        let shared = biases.into_iter().chain(tables).collect();
        let block = |index: usize, x: &Tensor, shared: &[Tensor]| self.block(index, x, shared, train);
        let x = self.recomputation.forward(x, shared, self.blocks.len(), train, &block);
        (self.final_norm.forward(&x, train), mask)
    }

    /// The output of a block. The blocks share the biases and then the turns, each for the whole text and for windows.
    fn block(&self, index: usize, x: &Tensor, shared: &[Tensor], train: bool) -> Tensor {
        let kind = usize::from(!self.size.is_global(index as i64));
        let (biases, turns) = shared.split_at(2);
        let turns = Turns { cosines: &turns[2 * kind], sines: &turns[2 * kind + 1] };
        self.blocks[index].forward(x, &biases[kind], &turns, &self.size, train)
    }

    /// What is added to the scores of keys (N, 1, tokens, tokens): 0 for tokens in the window of the query, -∞ for others. Padding sees
    /// itself, since attention to nothing is not a number.
    fn window_bias(&self, mask: &Tensor, kind: Kind) -> Tensor {
        let places = Tensor::arange(mask.size()[1], (Kind::Int64, mask.device()));
        let distances = (places.unsqueeze(0) - places.unsqueeze(1)).abs();
        let seen = distances.le(self.size.window / 2).logical_and(&mask.unsqueeze(1));
        seen.logical_or(&distances.eq(0)).to_kind(kind).log().unsqueeze(1)
    }

    fn block_names(&self) -> impl Iterator<Item = String> {
        (0..self.size.depth).map(|index| format!("layers.{index}"))
    }

    fn forward_script(&self) -> String {
        let mut tables = String::new();
        for name in TURNS.as_flattened() {
            tables += &format!("    {name} = torch.narrow(torch.type_as(self.{name}, x), 0, 0, length)\n");
        }
        let mut blocks = String::new();
        for (index, name) in (0..).zip(self.block_names()) {
            let kind = usize::from(!self.size.is_global(index));
            let ([cosines, sines], bias) = (TURNS[kind], ["bias", "local"][kind]);
            blocks += &format!("    x = ({}).forward(x, {bias}, {cosines}, {sines})\n", attribute(&name));
        }
        format!(
            r#"{sequence}  def forward(self: {{class}}, features: Tensor) -> Tensor:
    ids, mask, types = self.sequence(features)
    length = torch.size(ids, 1)
    x = (self.embeddings.norm).forward(torch.embedding(self.embeddings.tok_embeddings.weight, ids))
    x = torch.dropout(x, {dropout:?}, self.training)
{tables}    bias = {PADDING_BIAS}
    places = torch.cumsum(torch.ones_like(torch.select(ids, 0, 0)), 0)
    distances = torch.abs(torch.sub(torch.unsqueeze(places, 0), torch.unsqueeze(places, 1)))
    seen = torch.logical_and(torch.le(distances, {half}), torch.unsqueeze(mask, 1))
    seen = torch.logical_or(seen, torch.eq(distances, 0))
    local = torch.unsqueeze(torch.log(seen.to(ops.prim.dtype(x))), 1)
{blocks}    x = (self.final_norm).forward(x)
    return {pooled}
"#,
            sequence = self.sequence.script(),
            dropout = self.size.dropout,
            half = self.size.window / 2,
            pooled = self.size.pooling.script(),
        )
    }
}

impl Layer for ModernBertEncoder {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let (vectors, mask) = self.encode(x, train);
        self.size.pooling.forward(&vectors, &mask)
    }

    fn token_vectors(&self, x: &Tensor) -> Option<Tensor> {
        Some(tch::no_grad(|| self.encode(x, false).0))
    }

    fn encodes_texts(&self) -> bool {
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
        let table = Class::new("Embedding", "").parameter("weight", &self.words);
        let class = Class::new("ModernBertEncoder", self.forward_script())
            .descendant("embeddings.tok_embeddings", table)
            .descendant("embeddings.norm", class_of(&self.norm));
        let blocks = self.block_names().zip(&self.blocks);
        let class =
            blocks.fold(class, |class, (name, block)| class.descendant(&name, block.class(&self.size)));
        let class = class.child("final_norm", class_of(&self.final_norm));
        let tables = TURNS.as_flattened().iter().zip(self.turns.as_flattened());
        Script::Class(tables.fold(class, |class, (name, table)| class.constant(*name, table.value())))
    }

    fn parts(&self) -> Vec<String> {
        let first = std::iter::once("embeddings".to_string());
        first.chain(self.block_names()).chain(std::iter::once("final_norm".to_string())).collect()
    }

    fn describe(&self) -> String {
        let ModernBertSize { width, depth, heads, window, pooling, .. } = &self.size;
        let pooling = pooling.describe();
        format!(
            "transformer encoder, {depth} blocks of {width}, {heads} heads, windows of {window}; {pooling}"
        )
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        let (length, ModernBertSize { width, hidden, depth, .. }) = (input[1], &self.size);
        product(&[input[0], length, *depth, *width, 4 * width + 3 * hidden + 2 * length])
    }
}
