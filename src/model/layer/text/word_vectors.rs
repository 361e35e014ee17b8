//! Vectors of tokens.

use tch::nn::{self, Init};
use tch::{Kind, Tensor};

use super::TextColumns;
use super::ids::{rows_of, rows_script};
use crate::model::Task;
use crate::model::layer::Parameters;
use crate::model::script::Class;

/// A vector for each token, with sparse gradients: token ids (N, features) to vectors (N, tokens, width) and a mask (N, tokens). Ids
/// beyond the number of vectors share them.
#[derive(Debug)]
pub struct WordVectors {
    columns: TextColumns,
    /// (rows, width). Row 0 is that of padding and not used.
    weight: Tensor,
}

impl WordVectors {
    /// Creates `weight` (rows, width), normal with standard deviation `deviation`, in `path`.
    pub fn new(path: &nn::Path, task: &Task, rows: i64, width: i64, deviation: f64) -> Self {
        let init = Init::Randn { mean: 0., stdev: deviation };
        WordVectors { columns: TextColumns::of(task), weight: path.parameter("weight", &[rows, width], init) }
    }

    /// Values of a vector.
    pub fn width(&self) -> i64 {
        self.weight.size()[1]
    }

    /// The vectors, zero for padding, and the mask, 1 for tokens and 0 for padding, of the kind of the vectors.
    pub fn forward(&self, x: &Tensor, train: bool) -> (Tensor, Tensor) {
        let rows = rows_of(&self.columns.ids(x), self.weight.size()[0]);
        let vectors = Tensor::embedding(&self.weight, &rows, 0, false, train);
        let mask = rows.gt(0).to_kind(vectors.kind());
        (vectors * mask.unsqueeze(-1), mask)
    }

    /// The class, whose method `forward` is the equivalent of [`WordVectors::forward`].
    pub fn class(&self) -> Class {
        let methods = format!(
            "{ids}  def forward(self: {{class}}, x: Tensor) -> Tuple[Tensor, Tensor]:\n    ids = self.ids(x)\n    rows = {rows}\n    \
             vectors = torch.embedding(self.weight, rows, 0)\n    \
             mask = torch.gt(rows, 0).to(ops.prim.dtype(vectors))\n    \
             return (torch.mul(vectors, torch.unsqueeze(mask, -1)), mask)\n",
            ids = self.columns.script(),
            rows = rows_script(self.weight.size()[0]),
        );
        Class::new("WordVectors", methods).parameter("weight", &self.weight)
    }
}

/// The mean of vectors (N, tokens, width) over the tokens of a mask (N, tokens).
pub fn masked_mean(vectors: &Tensor, mask: &Tensor) -> Tensor {
    let counts = mask.sum_dim_intlist(1, true, mask.kind()).clamp_min(1);
    (vectors * mask.unsqueeze(-1)).sum_dim_intlist(1, false, vectors.kind()) / counts
}

/// The equivalent of [`masked_mean`] for `vectors` and `mask` in TorchScript.
pub const MASKED_MEAN: &str = "torch.div(torch.sum(torch.mul(vectors, torch.unsqueeze(mask, -1)), [1]), \
     torch.clamp_min(torch.sum(mask, [1], True), 1))";

/// The number of tokens of each text of a mask (N, tokens), int64 (N).
pub fn lengths(mask: &Tensor) -> Tensor {
    mask.sum_dim_intlist(1, false, Kind::Int64)
}
