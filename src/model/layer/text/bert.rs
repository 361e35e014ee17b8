//! BERT and its descendants, without the last layers.

use tch::nn::{self, Init};
use tch::{Kind, Tensor};

use super::attention::{PADDING_BIAS, padding_bias};
use super::post_norm::PostNormBlock;
use super::sequence::{PairFrame, Sequence, TextSequence};
use super::{BertNames, Pooling, attribute, class_of, descend};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{Layer, LayerNorm, Linear, Parameters, Recomputation, product};
use crate::model::script::{Class, Script};

/// Sizes of a [`BertEncoder`], and in what members of the family differ.
#[derive(Debug, Clone, PartialEq)]
pub struct BertSize {
    /// The number of ids of the tokenizer.
    pub vocabulary: i64,
    /// Values of a vector, a multiple of the number of heads.
    pub width: i64,
    /// Number of blocks.
    pub depth: i64,
    /// Attention heads.
    pub heads: i64,
    /// Values of a vector inside the feed-forward network.
    pub hidden: i64,
    /// Rows of the position embeddings.
    pub positions: i64,
    /// The row of the first position.
    pub first_position: i64,
    /// The number of token types; 0 without their embeddings.
    pub types: i64,
    /// The maximum number of tokens of a pair.
    pub length: i64,
    /// How the two texts of a pair are joined.
    pub frame: PairFrame,
    /// Added to the variance in layer normalization.
    pub eps: f64,
    /// Probability of dropping a value in training.
    pub dropout: f64,
    /// Rank of adapters of the queries and values; 0 without.
    pub lora: i64,
    /// How the vectors of tokens become that of the text.
    pub pooling: Pooling,
    /// Whether a fully connected layer with tanh, `pooler.dense`, follows.
    pub has_pooler: bool,
}

/// A post-norm transformer encoder with learned positions (Devlin et al., "BERT", 2018): token ids (N, features) to (N, width). The
/// parameters have the names of the library transformers. Padding is masked.
///
/// ```
/// use cresset::model::{Network, Task};
/// use tch::{Device, Tensor};
///
/// let task = Task::of_texts(4, 2);
/// let options = "vocabulary=100,width=16,heads=2,hidden=32,positions=8";
/// let network = Network::new("bert", options, &task, Device::Cpu, 0)?;
/// let texts = Tensor::from_slice2(&[[3f32, 9., 4., 0.], [3., 9., 12., 4.]]);
/// assert_eq!(network.token_vectors(&texts).unwrap().size(), [2, 4, 16]);
/// assert!(network.state().contains_key("bert.encoder.layer.1.attention.self.query.weight"));
/// // Padding changes nothing.
/// let first = tch::no_grad(|| network.forward(&texts.narrow(0, 0, 1).narrow(1, 0, 3), false))?;
/// let both = tch::no_grad(|| network.forward(&texts, false))?;
/// assert!(first.allclose(&both.narrow(0, 0, 1), 1e-5, 1e-6, false));
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct BertEncoder {
    size: BertSize,
    names: &'static BertNames,
    sequence: TextSequence,
    words: Tensor,
    positions: Tensor,
    types: Option<Tensor>,
    norm: LayerNorm,
    blocks: Vec<PostNormBlock>,
    pooler: Option<Linear>,
    recomputation: Recomputation,
}

/// Standard deviation of random weights.
const DEVIATION: f64 = 0.02;

impl BertEncoder {
    /// Creates the parameters in `path`, with these names.
    pub fn new(path: &nn::Path, task: &Task, names: &'static BertNames, size: BertSize) -> Self {
        let embeddings = path / "embeddings";
        let table = |name: &str, rows: i64| {
            let init = Init::Randn { mean: 0., stdev: DEVIATION };
            (&embeddings / name).parameter("weight", &[rows, size.width], init)
        };
        let block = |index: i64| {
            let name = format!("{}.{index}", names.blocks);
            PostNormBlock::new(&descend(path, &name), names, &size)
        };
        BertEncoder {
            names,
            sequence: TextSequence::new(task, size.frame, size.vocabulary, size.length),
            words: table("word_embeddings", size.vocabulary),
            positions: table("position_embeddings", size.positions),
            types: (size.types > 0).then(|| table("token_type_embeddings", size.types)),
            norm: LayerNorm::with_eps(&(&embeddings / "LayerNorm"), size.width, size.eps),
            blocks: (0..size.depth).map(block).collect(),
            pooler: size
                .has_pooler
                .then(|| Linear::normal(&descend(path, "pooler.dense"), size.width, size.width)),
            recomputation: Recomputation::default(),
            size,
        }
    }

    /// The vectors of the tokens, and their mask.
    fn encode(&self, x: &Tensor, train: bool) -> (Tensor, Tensor) {
        let Sequence { ids, mask, types } = self.sequence.forward(x);
        let lookup = |table: &Tensor, rows: &Tensor| Tensor::embedding(table, rows, -1, false, false);
        let places = self.positions.narrow(0, self.size.first_position, ids.size()[1]);
        let sum = lookup(&self.words, &ids) + places;
        let sum = match &self.types {
            Some(table) => sum + lookup(table, &self.type_rows(&types)),
            None => sum,
        };
        let x = self.norm.forward(&sum, train).dropout(self.size.dropout, train);
        let bias = padding_bias(&mask, x.kind());
        let block = |index: usize, x: &Tensor, shared: &[Tensor]| self.block(index, x, shared, train);
        let x = self.recomputation.forward(x, vec![bias], self.blocks.len(), train, &block);
        (x, mask)
    }

    /// The output of a block. The blocks share the bias.
    fn block(&self, index: usize, x: &Tensor, shared: &[Tensor], train: bool) -> Tensor {
        self.blocks[index].forward(x, &shared[0], &self.size, train)
    }

    /// Rows of the embeddings of types: those of RoBERTa have a single one.
    fn type_rows(&self, types: &Tensor) -> Tensor {
        types.clamp_max(self.size.types - 1)
    }

    fn embeddings_class(&self) -> Class {
        let length = "torch.size(ids, 1)";
        let types = match self.size.types {
            0 => String::new(),
            count => format!(
                "    sum = torch.add(sum, torch.embedding(self.token_type_embeddings.weight, torch.clamp_max(types, {})))\n",
                count - 1
            ),
        };
        let forward = format!(
            r#"  def forward(self: {{class}}, ids: Tensor, types: Tensor) -> Tensor:
    places = torch.narrow(self.position_embeddings.weight, 0, {first}, {length})
    sum = torch.add(torch.embedding(self.word_embeddings.weight, ids), places)
{types}    return torch.dropout((self.LayerNorm).forward(sum), {dropout:?}, self.training)
"#,
            first = self.size.first_position,
            dropout = self.size.dropout,
        );
        let table = |weight: &Tensor| Class::new("Embedding", "").parameter("weight", weight);
        let class = Class::new("Embeddings", forward)
            .child("word_embeddings", table(&self.words))
            .child("position_embeddings", table(&self.positions));
        let class = match &self.types {
            Some(types) => class.child("token_type_embeddings", table(types)),
            None => class,
        };
        class.child("LayerNorm", class_of(&self.norm))
    }

    fn block_names(&self) -> impl Iterator<Item = String> {
        (0..self.size.depth).map(|index| format!("{}.{index}", self.names.blocks))
    }
}

impl Layer for BertEncoder {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let (vectors, mask) = self.encode(x, train);
        let pooled = self.size.pooling.forward(&vectors, &mask);
        match &self.pooler {
            Some(pooler) => pooler.forward(&pooled, train).tanh(),
            None => pooled,
        }
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
        let blocks: String = self
            .block_names()
            .map(|name| format!("    x = ({}).forward(x, bias)\n", attribute(&name)))
            .collect();
        let pooled = match &self.pooler {
            Some(_) => format!("torch.tanh((self.pooler.dense).forward({}))", self.size.pooling.script()),
            None => self.size.pooling.script().to_string(),
        };
        let methods = format!(
            r#"{sequence}  def forward(self: {{class}}, features: Tensor) -> Tensor:
    ids, mask, types = self.sequence(features)
    x = (self.embeddings).forward(ids, types)
    bias = {PADDING_BIAS}
{blocks}    return {pooled}
"#,
            sequence = self.sequence.script(),
        );
        let class = Class::new("BertEncoder", methods).child("embeddings", self.embeddings_class());
        let blocks = self.block_names().zip(&self.blocks);
        let class =
            blocks.fold(class, |class, (name, block)| class.descendant(&name, block.class(&self.size)));
        Script::Class(match &self.pooler {
            Some(pooler) => class.descendant("pooler.dense", class_of(pooler)),
            None => class,
        })
    }

    fn parts(&self) -> Vec<String> {
        let pooler = self.pooler.as_ref().map(|_| "pooler".to_string());
        std::iter::once("embeddings".to_string()).chain(self.block_names()).chain(pooler).collect()
    }

    fn describe(&self) -> String {
        let BertSize { width, depth, heads, pooling, .. } = &self.size;
        let pooling = pooling.describe();
        format!("transformer encoder, {depth} blocks of {width}, {heads} heads; {pooling}")
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        let (length, BertSize { width, hidden, depth, .. }) = (input[1], &self.size);
        product(&[input[0], length, *depth, *width, 4 * width + 2 * hidden + 2 * length])
    }
}
