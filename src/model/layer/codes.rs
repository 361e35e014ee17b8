//! Embeddings of categories that are given by their index.

use cresset_bridge::kernels::embedding_bag;
use tch::nn::{self, Init};
use tch::{Kind, Tensor};

use super::{Constant, Parameters};
use crate::model::script::Class;

/// Columns with more categories have sparse gradients. With fewer, the optimizer's update of all rows takes less time than the sparse
/// gradient of a batch.
pub(super) const MAX_DENSE: usize = 1 << 15;

/// A learned vector for each category of each column, and one for unknown and missing categories: (N, columns) to
/// (N, columns, width). An input, which is not NaN, is the index of a category; -1 and other indices stand for an unknown one.
#[derive(Debug)]
pub(super) struct Codes {
    /// The vectors of all columns, of each one the unknown category first, (all categories and columns, width).
    weight: Tensor,
    /// The row of the unknown category of each column, (columns).
    unknown: Constant,
    /// The number of categories of each column, (columns).
    counts: Constant,
    /// Whether the gradient is sparse. Indices are then int64, because there may be more rows than whole numbers in float32.
    is_sparse: bool,
}

impl Codes {
    /// Creates `weight` for columns with these numbers of categories in `path`, initialized uniformly from ±1/√width.
    pub fn new(path: &nn::Path, categories: &[usize], width: i64) -> Self {
        let bound = 1. / (width as f64).sqrt();
        Codes::with(path, categories, width, Init::Uniform { lo: -bound, up: bound }, false)
    }

    /// Like [`Codes::new`], with sparse gradients. All vectors are zeros, so that a category which no training row has is neutral.
    pub fn sparse(path: &nn::Path, categories: &[usize], width: i64) -> Self {
        Codes::with(path, categories, width, Init::Const(0.), true)
    }

    fn with(path: &nn::Path, categories: &[usize], width: i64, init: Init, is_sparse: bool) -> Self {
        let mut unknown = Vec::new();
        let mut rows = 0;
        for count in categories {
            unknown.push(rows as i64);
            rows += count + 1;
        }
        let counts: Vec<i64> = categories.iter().map(|count| *count as i64).collect();
        let kind = if is_sparse { Kind::Int64 } else { Kind::Float };
        let constant = |values: &[i64]| Constant::new(Tensor::from_slice(values).to_kind(kind));
        Codes {
            weight: path.parameter("weight", &[rows as i64, width], init),
            unknown: constant(&unknown),
            counts: constant(&counts),
            is_sparse,
        }
    }

    /// The vectors.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// Values of a vector.
    pub fn width(&self) -> i64 {
        self.weight.size()[1]
    }

    /// The vectors, (N, columns, width), of indices, (N, columns).
    pub fn forward(&self, codes: &Tensor, train: bool) -> Tensor {
        let codes = if self.is_sparse { codes.to_kind(Kind::Int64) } else { codes.shallow_clone() };
        let places = (&codes + 1).clamp_min(0);
        let counts = self.counts.like(&codes);
        let is_known = places.le_tensor(&counts).to_kind(codes.kind());
        let rows = (places * is_known + self.unknown.like(&codes)).to_kind(Kind::Int64);
        if train && self.is_sparse {
            return self.with_sparse_gradient(&rows);
        }
        Tensor::embedding(&self.weight, &rows, -1, false, false)
    }

    fn with_sparse_gradient(&self, rows: &Tensor) -> Tensor {
        match embedding_bag::row_vectors(&self.weight, rows).ok().flatten() {
            Some(vectors) => vectors,
            None => Tensor::embedding(&self.weight, rows, -1, false, true),
        }
    }

    /// The equivalent of [`Codes::forward`] in TorchScript.
    pub fn class(&self) -> Class {
        let cast = if self.is_sparse { "    x = x.to(4)\n" } else { "" };
        let forward = format!(
            "  def forward(self: {{class}}, x: Tensor) -> Tensor:\n{cast}    \
             places = torch.clamp_min(torch.add(x, 1), 0)\n    \
             is_known = torch.le(places, torch.type_as(self.counts, x)).to(x.dtype)\n    \
             rows = torch.add(torch.mul(places, is_known), torch.type_as(self.unknown, x)).to(4)\n    \
             return torch.embedding(self.weight, rows)\n"
        );
        Class::new(if self.is_sparse { "SparseCodes" } else { "Codes" }, forward)
            .parameter("weight", &self.weight)
            .constant("unknown", self.unknown.value())
            .constant("counts", self.counts.value())
    }
}
