//! Common code of the vision transformers (Dosovitskiy et al., "An Image is Worth 16×16 Words", 2021) with timm's names, shapes
//! and initialization.

use tch::nn;

use super::{NumberOption, Options, image, rates};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{
    Convolution, Dropout, Gelu, Grid, LayerNorm, LayerScale, Linear, PositionEmbedding, PrefixTokens,
    Rotation, SelectElement, SelfAttention, SequenceMean, Sequential, SkipElements, StochasticDepth, Tokens,
    ZeroPad,
};

/// The option that selects the input of the classifier.
pub const fn mean_option(default: i64) -> NumberOption {
    let help = "1: the classifier uses the mean of the patches; 0: the class token";
    NumberOption::whole("mean", default, (0, 1), help)
}

/// The sizes of a vision transformer, and its variant.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    pub name: &'static str,
    /// The side of a patch in pixels.
    pub patch: i64,
    /// The size of a token.
    pub width: i64,
    pub depth: usize,
    pub heads: i64,
    /// Registers: learned tokens between the class token and the patches.
    pub registers: i64,
    pub positions: Positions,
    /// The names of the parameters of layer scale, if there is any.
    pub scale: Scale,
    /// Whether queries, keys and values have a bias.
    pub has_bias: bool,
    /// Added to the variance in layer normalization.
    pub eps: f64,
    /// Whether tokens are normalized before their mean is taken, and not after it.
    pub normalizes_tokens: bool,
}

/// How a token knows its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// Learned embeddings of the class token and the patches.
    All,
    /// Learned embeddings of the patches.
    Patches,
    /// Rotation of queries and keys.
    Rotary,
}

/// Layer scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    None,
    /// `ls1.gamma` and `ls2.gamma`.
    Modules,
    /// `gamma_1` and `gamma_2`.
    Parameters,
}

/// The initial layer scale.
const INITIAL_SCALE: f64 = 1e-5;

impl Form {
    /// The network. An image whose sides are not multiples of the patch size is padded with zeros at the bottom and right.
    pub fn network(&self, path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
        let [channels, height, width] = image(task, self.name)?;
        let patches = |side: i64| (side + self.patch - 1) / self.patch;
        let (rows, columns) = (patches(height), patches(width));
        let padding = ZeroPad {
            bottom: rows * self.patch - height,
            right: columns * self.patch - width,
            ..ZeroPad::default()
        };
        let mut layers = Sequential::default();
        if padding != ZeroPad::default() {
            layers = layers.then("pad", padding);
        }
        let at = path / "patch_embed";
        let convolution = Convolution::new(channels, self.width, self.patch).patches().bias();
        let embed = Sequential::default().then("proj", convolution.make_normal(&(&at / "proj")));
        layers = layers.then("patch_embed", embed).then("tokens", Tokens);
        layers = layers.then_all(self.tokens(path, rows, columns));
        let grid = Grid { rows, columns, prefix: 1 + self.registers };
        layers = layers.then("blocks", self.blocks(&(path / "blocks"), grid, options.number("drop_path")));
        let pooled = self.pool(path, options.whole("mean") == 1);
        Ok(layers
            .then_all(pooled)
            .then("head_drop", Dropout(options.number("dropout")))
            .then("head", Linear::normal(&(path / "head"), self.width, task.classes)))
    }

    /// The learned tokens and position embeddings.
    fn tokens(&self, path: &nn::Path, rows: i64, columns: i64) -> Sequential {
        let position = |prefix: i64| {
            PositionEmbedding::new(path, "pos_embed", Grid { rows, columns, prefix }, self.width)
        };
        let mut layers = Sequential::default();
        if self.positions == Positions::Patches {
            layers = layers.then("pos_embed", position(0));
        }
        if self.registers > 0 {
            let registers = PrefixTokens::normal(path, "reg_token", self.registers, self.width);
            layers = layers.then("reg_token", registers);
        }
        layers = layers.then("cls_token", PrefixTokens::normal(path, "cls_token", 1, self.width));
        if self.positions == Positions::All {
            layers = layers.then("pos_embed", position(1));
        }
        layers
    }

    fn blocks(&self, path: &nn::Path, grid: Grid, drop_path: f64) -> Sequential {
        let mut layers = Sequential::default();
        for (index, rate) in rates(drop_path, self.depth).into_iter().enumerate() {
            layers = layers.then(index.to_string(), self.block(&(path / index), grid, rate));
        }
        layers
    }

    fn block(&self, path: &nn::Path, grid: Grid, rate: f64) -> Sequential {
        let mut attention = SelfAttention::timm(&(path / "attn"), self.width, self.heads, self.has_bias);
        if self.positions == Positions::Rotary {
            attention = attention.rotating(Rotation::new(grid, self.width / self.heads));
        }
        let attend = Sequential::default()
            .then("norm1", LayerNorm::with_eps(&(path / "norm1"), self.width, self.eps))
            .then("attn", attention);
        let at = path / "mlp";
        let mlp = Sequential::default()
            .then("fc1", Linear::normal(&(&at / "fc1"), self.width, 4 * self.width))
            .then("act", Gelu)
            .then("fc2", Linear::normal(&(&at / "fc2"), 4 * self.width, self.width));
        let feed_forward = Sequential::default()
            .then("norm2", LayerNorm::with_eps(&(path / "norm2"), self.width, self.eps))
            .then("mlp", mlp);
        let attend = self.scaled(attend, path, ["ls1", "gamma_1", "drop_path1"], rate);
        let feed_forward = self.scaled(feed_forward, path, ["ls2", "gamma_2", "drop_path2"], rate);
        Sequential::default()
            .then_sum(attend, Sequential::default())
            .then_sum(feed_forward, Sequential::default())
    }

    /// A branch with layer scale and stochastic depth.
    fn scaled(
        &self,
        branch: Sequential,
        path: &nn::Path,
        [module, parameter, drop_path]: [&'static str; 3],
        rate: f64,
    ) -> Sequential {
        let branch = match self.scale {
            Scale::None => branch,
            Scale::Modules => {
                let scale = LayerScale::tokens(&(path / module), "gamma", self.width, INITIAL_SCALE);
                branch.then(module, Sequential::default().then("gamma", scale))
            }
            Scale::Parameters => {
                branch.then(parameter, LayerScale::tokens(path, parameter, self.width, INITIAL_SCALE))
            }
        };
        if rate > 0. { branch.then(drop_path, StochasticDepth::new(rate, 3)) } else { branch }
    }

    /// The tokens as one vector, (N, width), normalized.
    fn pool(&self, path: &nn::Path, is_mean: bool) -> Sequential {
        let norm = |name: &str| LayerNorm::with_eps(&(path / name), self.width, self.eps);
        if is_mean && !self.normalizes_tokens {
            return Sequential::default()
                .then("skip", SkipElements(1 + self.registers))
                .then("global_pool", SequenceMean)
                .then("fc_norm", norm("fc_norm"));
        }
        let layers = Sequential::default().then("norm", norm("norm"));
        match is_mean {
            true => layers.then("skip", SkipElements(1 + self.registers)).then("global_pool", SequenceMean),
            false => layers.then("global_pool", SelectElement(0)),
        }
    }
}
