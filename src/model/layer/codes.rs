//! Embeddings of categories that are given by their index.

use tch::nn::{self, Init};
use tch::{Kind, Tensor};

use super::{Constant, Parameters};
use crate::model::script::Class;

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
}

impl Codes {
    /// Creates `weight` for columns with these numbers of categories in `path`, initialized uniformly from ±1/√width.
    pub fn new(path: &nn::Path, categories: &[usize], width: i64) -> Self {
        let mut unknown = Vec::new();
        let mut rows = 0;
        for count in categories {
            unknown.push(rows as f32);
            rows += count + 1;
        }
        let bound = 1. / (width as f64).sqrt();
        let counts: Vec<f32> = categories.iter().map(|count| *count as f32).collect();
        Codes {
            weight: path.parameter("weight", &[rows as i64, width], Init::Uniform { lo: -bound, up: bound }),
            unknown: Constant::new(Tensor::from_slice(&unknown)),
            counts: Constant::new(Tensor::from_slice(&counts)),
        }
    }

    /// Values of a vector.
    pub fn width(&self) -> i64 {
        self.weight.size()[1]
    }

    /// The vectors, (N, columns, width), of indices, (N, columns).
    pub fn forward(&self, codes: &Tensor) -> Tensor {
        let places = (codes + 1.).clamp_min(0.);
        let counts = self.counts.like(codes);
        let is_known = places.le_tensor(&counts).to_kind(codes.kind());
        let rows = (places * is_known + self.unknown.like(codes)).to_kind(Kind::Int64);
        Tensor::embedding(&self.weight, &rows, -1, false, false)
    }

    /// The equivalent of [`Codes::forward`] in TorchScript.
    pub fn class(&self) -> Class {
        let forward = "  def forward(self: {class}, x: Tensor) -> Tensor:\n    \
                       places = torch.clamp_min(torch.add(x, 1), 0)\n    \
                       is_known = torch.le(places, torch.type_as(self.counts, x)).to(x.dtype)\n    \
                       rows = torch.add(torch.mul(places, is_known), torch.type_as(self.unknown, x)).to(4)\n    \
                       return torch.embedding(self.weight, rows)\n";
        Class::new("Codes", forward)
            .parameter("weight", &self.weight)
            .constant("unknown", self.unknown.value())
            .constant("counts", self.counts.value())
    }
}
