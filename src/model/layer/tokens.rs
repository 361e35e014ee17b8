//! Token layers of transformers: learned tokens and position embeddings.

use tch::Tensor;
use tch::nn::{self, Init};

use super::{Layer, Parameters};
use crate::model::script::Script;

/// Prepends learned tokens, such as the class token, whose output the classifier uses (Dosovitskiy et al., 2021), or registers
/// (Darcet et al., "Vision Transformers Need Registers", 2024): (N, length, width) to (N, count + length, width).
///
/// ```
/// use cresset::model::layer::{Layer, PrefixTokens};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let token = PrefixTokens::new(&variables.root(), "class_token", 1, 16);
/// let tokens = Tensor::rand([2, 9, 16], (Kind::Float, Device::Cpu));
/// assert_eq!(token.forward(&tokens, false).size(), [2, 10, 16]);
/// ```
#[derive(Debug)]
pub struct PrefixTokens {
    name: &'static str,
    tokens: Tensor,
}

impl PrefixTokens {
    /// Creates the parameter `name` (1, count, width), zeros, in `path`, the path of the enclosing module.
    pub fn new(path: &nn::Path, name: &'static str, count: i64, width: i64) -> Self {
        PrefixTokens { name, tokens: path.parameter(name, &[1, count, width], Init::Const(0.)) }
    }

    /// Like [`PrefixTokens::new`], with normal values of standard deviation 10⁻⁶, like timm's vision transformers.
    pub(crate) fn normal(path: &nn::Path, name: &'static str, count: i64, width: i64) -> Self {
        let init = Init::Randn { mean: 0., stdev: 1e-6 };
        PrefixTokens { name, tokens: path.parameter(name, &[1, count, width], init) }
    }
}

impl Layer for PrefixTokens {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        let size = [x.size()[0], -1, -1];
        Tensor::cat(&[&self.tokens.expand(size, false), x], 1)
    }

    fn script(&self) -> Script {
        let name = self.name;
        let expression =
            format!("torch.cat([torch.expand(self.{name}, [torch.size({{x}}, 0), -1, -1]), {{x}}], 1)");
        Script::own(name, &self.tokens, &expression)
    }

    fn describe(&self) -> String {
        match self.tokens.size()[1] {
            1 => "class token".to_string(),
            count => format!("{count} learned tokens"),
        }
    }
}

/// The places of an image's patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Rows of patches.
    pub rows: i64,
    /// Columns of patches.
    pub columns: i64,
    /// Tokens before those of the patches, such as the class token.
    pub prefix: i64,
}

impl Grid {
    /// The number of tokens.
    pub fn length(self) -> i64 {
        self.prefix + self.rows * self.columns
    }
}

/// Adds learned position embeddings: (N, length, width).
///
/// ```
/// use cresset::model::layer::{Grid, Layer, PositionEmbedding};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// // A class token before 3 × 3 patches.
/// let grid = Grid { prefix: 1, rows: 3, columns: 3 };
/// let positions = PositionEmbedding::new(&variables.root(), "pos_embedding", grid, 16);
/// let tokens = Tensor::rand([2, grid.length(), 16], (Kind::Float, Device::Cpu));
/// assert_eq!(positions.forward(&tokens, false).size(), [2, 10, 16]);
/// ```
#[derive(Debug)]
pub struct PositionEmbedding {
    name: &'static str,
    embeddings: Tensor,
    grid: Grid,
}

impl PositionEmbedding {
    /// Creates the parameter `name` (1, length, width), normal with standard deviation 0.02 as in the vision transformer, in
    /// `path`, the path of the enclosing module.
    pub fn new(path: &nn::Path, name: &'static str, grid: Grid, width: i64) -> Self {
        let init = Init::Randn { mean: 0., stdev: 0.02 };
        PositionEmbedding { name, embeddings: path.parameter(name, &[1, grid.length(), width], init), grid }
    }
}

impl Layer for PositionEmbedding {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x + &self.embeddings
    }

    fn script(&self) -> Script {
        let expression = format!("torch.add({{x}}, self.{})", self.name);
        Script::own(self.name, &self.embeddings, &expression)
    }

    fn describe(&self) -> String {
        "position embeddings".to_string()
    }

    fn position_grid(&self) -> Option<Grid> {
        Some(self.grid)
    }
}
