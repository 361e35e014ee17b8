//! From the vectors of tokens to the vector of a text.

use tch::Tensor;

use super::word_vectors::masked_mean;

/// How the vectors of the tokens become that of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over the tokens, special ones included, as in most sentence encoders.
    Mean,
    /// The vector of the first token, `[CLS]`.
    First,
}

impl Pooling {
    /// The vectors (N, width) of texts, from those of tokens (N, tokens, width) and a mask (N, tokens).
    pub fn forward(self, vectors: &Tensor, mask: &Tensor) -> Tensor {
        match self {
            Pooling::Mean => masked_mean(vectors, &mask.to_kind(vectors.kind())),
            Pooling::First => vectors.select(1, 0),
        }
    }

    /// The equivalent of [`Pooling::forward`] for `x` and `mask` in TorchScript.
    pub fn script(self) -> &'static str {
        match self {
            Pooling::Mean => {
                "torch.div(torch.sum(torch.mul(x, torch.unsqueeze(mask.to(ops.prim.dtype(x)), -1)), [1]), \
                 torch.clamp_min(torch.sum(mask.to(ops.prim.dtype(x)), [1], True), 1))"
            }
            Pooling::First => "torch.select(x, 1, 0)",
        }
    }

    /// A description.
    pub fn describe(self) -> &'static str {
        match self {
            Pooling::Mean => "mean over the tokens",
            Pooling::First => "first token",
        }
    }
}
