//! Embeddings of numbers: a vector for each number of an example (Gorishniy et al., "On Embeddings for Numerical Features in Tabular
//! Deep Learning", 2022).

use std::f64::consts::{PI, SQRT_2};

use tch::nn::{self, Init};
use tch::{Device, Kind, Tensor};

use super::{Constant, Parameters, product};
use crate::model::script::Class;

/// How numbers are embedded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberEmbedding {
    /// The number itself.
    None,
    /// A factor and a bias for each value of the vector.
    Linear {
        /// Values of a vector.
        width: i64,
    },
    /// A piecewise-linear function: the shares of the number in bins, a linear layer for each feature, and a linear term. The
    /// bins are the quantiles of a standard normal distribution, which quantile normalization gives the features.
    Piecewise {
        /// Values of a vector.
        width: i64,
        /// Bins.
        bins: i64,
    },
    /// Sine and cosine of learned multiples of the number, a linear layer for each feature, and ReLU.
    Periodic {
        /// Values of a vector.
        width: i64,
        /// Learned frequencies of a feature.
        frequencies: i64,
    },
}

/// The layers of an embedding.
#[derive(Debug)]
pub(super) struct Numbers {
    kind: NumberEmbedding,
    /// Starts and widths of the bins, (bins).
    bins: Option<[Constant; 2]>,
    /// Frequencies of the features, (features, frequencies).
    frequencies: Option<Tensor>,
    /// Of each feature, (features, bins or sines and cosines, width).
    weight: Option<Tensor>,
    /// Factors of the linear term, (features, width).
    linear: Option<Tensor>,
    /// (features, width).
    bias: Option<Tensor>,
}

/// The outer ends of the bins, in standard deviations.
const OUTER: f64 = 3.;

/// The standard deviation of the initial frequencies.
const FREQUENCY: f64 = 0.1;

impl Numbers {
    /// Creates the parameters of an embedding of `features` numbers in `path`.
    pub fn new(path: &nn::Path, features: i64, kind: NumberEmbedding) -> Self {
        let uniform = |inputs: i64| {
            let bound = 1. / (inputs as f64).sqrt();
            Init::Uniform { lo: -bound, up: bound }
        };
        let none = Numbers { kind, bins: None, frequencies: None, weight: None, linear: None, bias: None };
        let matrix =
            |name: &str, width: i64, init: Init| Some(path.parameter(name, &[features, width], init));
        let weights = |inputs: i64, width: i64| {
            Some(path.parameter("weight", &[features, inputs, width], uniform(inputs)))
        };
        match kind {
            NumberEmbedding::None => none,
            NumberEmbedding::Linear { width } => Numbers {
                linear: matrix("linear", width, uniform(width)),
                bias: matrix("bias", width, uniform(width)),
                ..none
            },
            NumberEmbedding::Piecewise { width, bins } => Numbers {
                bins: Some(starts_and_widths(bins).map(Constant::new)),
                weight: weights(bins, width),
                linear: matrix("linear", width, uniform(width)),
                bias: matrix("bias", width, uniform(bins)),
                ..none
            },
            NumberEmbedding::Periodic { width, frequencies } => Numbers {
                frequencies: matrix("frequencies", frequencies, Init::Randn { mean: 0., stdev: FREQUENCY }),
                weight: weights(2 * frequencies, width),
                bias: matrix("bias", width, uniform(2 * frequencies)),
                ..none
            },
        }
    }

    /// Values of a vector.
    pub fn width(&self) -> i64 {
        match self.kind {
            NumberEmbedding::None => 1,
            NumberEmbedding::Linear { width }
            | NumberEmbedding::Piecewise { width, .. }
            | NumberEmbedding::Periodic { width, .. } => width,
        }
    }

    /// The vectors, (N, features, width), of numbers, (N, features).
    pub fn forward(&self, numbers: &Tensor) -> Tensor {
        let x = numbers.unsqueeze(-1);
        let mut sum = match &self.weight {
            Some(weight) => {
                let encoded = self.encode(&x).transpose(0, 1);
                Some(encoded.matmul(weight).transpose(0, 1))
            }
            None => None,
        };
        if let Some(linear) = &self.linear {
            let term = &x * linear;
            sum = Some(sum.map_or_else(|| term.shallow_clone(), |sum| sum + &term));
        }
        match (sum, &self.bias) {
            (Some(sum), Some(bias)) if self.frequencies.is_some() => (sum + bias).relu(),
            (Some(sum), Some(bias)) => sum + bias,
            _ => x,
        }
    }

    /// The shares of the numbers (N, features, 1) in the bins, or their sines and cosines.
    fn encode(&self, x: &Tensor) -> Tensor {
        match (&self.bins, &self.frequencies) {
            (Some([starts, widths]), _) => ((x - starts.like(x)) / widths.like(x)).clamp(0., 1.),
            (None, Some(frequencies)) => {
                let angles = x * frequencies * (2. * PI);
                Tensor::cat(&[angles.cos(), angles.sin()], -1)
            }
            (None, None) => x.shallow_clone(),
        }
    }

    /// The equivalent of [`Numbers::forward`] in TorchScript.
    pub fn class(&self) -> Class {
        let encode = match self.kind {
            NumberEmbedding::Piecewise { .. } => {
                "torch.clamp(torch.div(torch.sub(v, torch.type_as(self.starts, v)), torch.type_as(self.widths, v)), 0, 1)"
                    .to_string()
            }
            NumberEmbedding::Periodic { .. } => {
                let angles = format!("torch.mul(torch.mul(v, self.frequencies), {:?})", 2. * PI);
                format!("torch.cat([torch.cos({angles}), torch.sin({angles})], -1)")
            }
            NumberEmbedding::None | NumberEmbedding::Linear { .. } => String::new(),
        };
        let product =
            format!("torch.transpose(torch.matmul(torch.transpose({encode}, 0, 1), self.weight), 0, 1)");
        let linear = "torch.mul(v, self.linear)";
        let value = match self.kind {
            NumberEmbedding::None => "v".to_string(),
            NumberEmbedding::Linear { .. } => format!("torch.add({linear}, self.bias)"),
            NumberEmbedding::Piecewise { .. } => {
                format!("torch.add(torch.add({product}, {linear}), self.bias)")
            }
            NumberEmbedding::Periodic { .. } => format!("torch.relu(torch.add({product}, self.bias))"),
        };
        let forward = format!(
            "  def forward(self: {{class}}, x: Tensor) -> Tensor:\n    v = torch.unsqueeze(x, -1)\n    return {value}\n"
        );
        let mut class = Class::new("NumberEmbedding", forward);
        let tensors = [
            ("frequencies", &self.frequencies),
            ("weight", &self.weight),
            ("linear", &self.linear),
            ("bias", &self.bias),
        ];
        for (name, tensor) in tensors {
            if let Some(tensor) = tensor {
                class = class.parameter(name, tensor);
            }
        }
        if let Some([starts, widths]) = &self.bins {
            class = class.constant("starts", starts.value()).constant("widths", widths.value());
        }
        class
    }

    /// Multiply-adds for this many numbers.
    pub fn multiply_adds(&self, numbers: i64) -> u64 {
        self.weight.as_ref().map_or(0, |weight| {
            let size = weight.size();
            product(&[numbers, size[1], size[2]])
        })
    }

    /// A short description.
    pub fn describe(&self) -> String {
        match self.kind {
            NumberEmbedding::None => "numbers".to_string(),
            NumberEmbedding::Linear { width } => format!("numbers in {width}"),
            NumberEmbedding::Piecewise { width, bins } => format!("numbers in {bins} bins→{width}"),
            NumberEmbedding::Periodic { width, frequencies } => {
                format!("numbers at {frequencies} frequencies→{width}")
            }
        }
    }
}

/// Starts and widths of `bins` bins with equal shares of a standard normal distribution, with finite outer ends.
fn starts_and_widths(bins: i64) -> [Tensor; 2] {
    let shares = Tensor::arange(bins + 1, (Kind::Double, Device::Cpu)) / bins as f64;
    let edges = ((shares * 2. - 1.).erfinv() * SQRT_2).clamp(-OUTER, OUTER).to_kind(Kind::Float);
    let starts = edges.narrow(0, 0, bins);
    [starts.contiguous(), edges.narrow(0, 1, bins) - starts]
}
