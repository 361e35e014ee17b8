//! Convolutions over the tokens of a text.

use tch::Tensor;
use tch::nn::{self, Init};

use super::WordVectors;
use crate::model::Task;
use crate::model::layer::{Layer, Parameters, product};
use crate::model::script::{Class, Script};

/// Convolutions over word vectors with ReLU and the maximum over the text (Kim, "Convolutional Neural Networks for Sentence
/// Classification", 2014): token ids (N, features) to (N, 3 · filters).
///
/// ```
/// use cresset::data::column::FeatureGroup;
/// use cresset::model::Task;
/// use cresset::model::layer::{Layer, TextConvolution};
/// use cresset::prelude::*;
/// use tch::{Device, Tensor, nn};
///
/// let groups = vec![FeatureGroup::Tokens { length: 4, vocabulary: 100 }];
/// let task = Task { groups, ..Task::new(InputShape(vec![4]), 2) };
/// let variables = nn::VarStore::new(Device::Cpu);
/// let convolution = TextConvolution::new(&variables.root(), &task, 64, 8, 16);
/// let texts = Tensor::from_slice2(&[[7f32, 9., 3., 0.]]);
/// assert_eq!(convolution.forward(&texts, false).size(), [1, 48]);
/// ```
#[derive(Debug)]
pub struct TextConvolution {
    vectors: WordVectors,
    /// Weight (filters, width, tokens) and bias (filters) of each size of kernel.
    kernels: Vec<(Tensor, Tensor)>,
}

/// The numbers of tokens of the kernels.
const SIZES: [i64; 3] = [3, 4, 5];

/// Names of the kernels.
const NAMES: [&str; 3] = ["conv3", "conv4", "conv5"];

impl TextConvolution {
    /// Creates `embedding.weight` (rows, width) and `conv3`, `conv4` and `conv5` in `path`, the latter initialized like
    /// `torch.nn.Conv1d`.
    pub fn new(path: &nn::Path, task: &Task, rows: i64, width: i64, filters: i64) -> Self {
        let kernel = |(name, size): (&&str, &i64)| {
            let path = path / *name;
            let bound = 1. / ((width * size) as f64).sqrt();
            let init = Init::Uniform { lo: -bound, up: bound };
            let weight = path.parameter("weight", &[filters, width, *size], init);
            (weight, path.parameter("bias", &[filters], init))
        };
        TextConvolution {
            vectors: WordVectors::new(&(path / "embedding"), task, rows, width, 0.1),
            kernels: NAMES.iter().zip(&SIZES).map(kernel).collect(),
        }
    }
}

impl Layer for TextConvolution {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let (vectors, mask) = self.vectors.forward(x, train);
        let vectors = vectors.transpose(1, 2);
        let pooled = |((weight, bias), size): (&(Tensor, Tensor), &i64)| {
            // As many outputs as tokens, of which those of padding are left out.
            let vectors = vectors.constant_pad_nd([(size - 1) / 2, size / 2]);
            let outputs = vectors.conv1d(weight, Some(bias), 1, 0, 1, 1).relu();
            (outputs * mask.unsqueeze(1)).amax([2], false)
        };
        let all: Vec<Tensor> = self.kernels.iter().zip(&SIZES).map(pooled).collect();
        Tensor::cat(&all, 1)
    }

    fn script(&self) -> Script {
        let pooled = |(name, size): (&&str, &i64)| {
            format!(
                "torch.amax(torch.mul(torch.relu(torch.conv1d(torch.constant_pad_nd(turned, [{}, {}]), self.{name}.weight, self.{name}.bias)), \
                 torch.unsqueeze(mask, 1)), [2])",
                (size - 1) / 2,
                size / 2
            )
        };
        let all: Vec<String> = NAMES.iter().zip(&SIZES).map(pooled).collect();
        let forward = format!(
            "  def forward(self: {{class}}, x: Tensor) -> Tensor:\n    vectors, mask = (self.embedding).forward(x)\n    \
             turned = torch.transpose(vectors, 1, 2)\n    return torch.cat([{}], 1)\n",
            all.join(", ")
        );
        let class = Class::new("TextConvolution", forward).child("embedding", self.vectors.class());
        let kernels = NAMES.iter().zip(&self.kernels);
        Script::Class(kernels.fold(class, |class, (name, (weight, bias))| {
            class.child(*name, Class::new("Kernel", "").parameter("weight", weight).parameter("bias", bias))
        }))
    }

    fn sparse_parameters(&self) -> Vec<String> {
        vec!["embedding.weight".to_string()]
    }

    fn describe(&self) -> String {
        let filters = self.kernels[0].0.size()[0];
        format!("word vectors of {}, {filters} convolutions over 3, 4 and 5 tokens", self.vectors.width())
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        let weights: usize = self.kernels.iter().map(|(weight, _)| weight.numel()).sum();
        product(&[input[0], input[1], weights as i64])
    }
}
