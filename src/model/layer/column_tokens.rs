//! Tokens of the columns of a table, for transformers.

use tch::Tensor;
use tch::nn::{self, Init};

use super::{Layer, Parameters, product};
use crate::data::column::FeatureGroup;
use crate::model::Task;
use crate::model::script::{Class, Script};

/// A token for each column (the feature tokenizer of Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data", 2021):
/// (N, features) to (N, columns, width). The token of a number is a multiple of a learned vector, that of a category the sum of the
/// vectors of its indicators; each has a bias.
///
/// ```
/// use cresset::data::column::FeatureGroup;
/// use cresset::model::Task;
/// use cresset::model::layer::{ColumnTokens, Layer};
/// use cresset::prelude::*;
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let groups = vec![FeatureGroup::Indicators { count: 2 }, FeatureGroup::Number];
/// let task = Task { groups, ..Task::new(InputShape(vec![3]), 2) };
/// let tokens = ColumnTokens::new(&variables.root(), &task, 8);
/// let rows = Tensor::zeros([5, 3], (Kind::Float, Device::Cpu));
/// assert_eq!(tokens.forward(&rows, false).size(), [5, 2, 8]);
/// ```
#[derive(Debug)]
pub struct ColumnTokens {
    /// First feature and number of features of each column.
    columns: Vec<(i64, i64)>,
    /// A vector for each feature, (features, width).
    weight: Tensor,
    /// (columns, width).
    bias: Tensor,
}

impl ColumnTokens {
    /// Creates `weight` (features, width) and `bias` (columns, width) in `path`, initialized uniformly from ±1/√width as in the
    /// paper. Without feature groups, each feature is a column.
    pub fn new(path: &nn::Path, task: &Task, width: i64) -> Self {
        let all = vec![FeatureGroup::Number; task.input.features() as usize];
        let groups = if task.groups.is_empty() { &all } else { &task.groups };
        let mut columns = Vec::new();
        let mut first = 0;
        for count in groups.iter().map(|group| group.features() as i64).filter(|count| *count > 0) {
            columns.push((first, count));
            first += count;
        }
        let bound = 1. / (width as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        ColumnTokens {
            weight: path.parameter("weight", &[first, width], init),
            bias: path.parameter("bias", &[columns.len() as i64, width], init),
            columns,
        }
    }

    /// Whether each column is one feature.
    fn is_single(&self) -> bool {
        self.columns.iter().all(|(_, count)| *count == 1)
    }
}

impl Layer for ColumnTokens {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        let x = x.flatten(1, -1);
        if self.is_single() {
            return x.unsqueeze(-1) * &self.weight + &self.bias;
        }
        let token = |(start, count): &(i64, i64)| {
            x.narrow(1, *start, *count).matmul(&self.weight.narrow(0, *start, *count))
        };
        let tokens: Vec<Tensor> = self.columns.iter().map(token).collect();
        Tensor::stack(&tokens, 1) + &self.bias
    }

    fn script(&self) -> Script {
        let tokens = match self.is_single() {
            true => "torch.mul(torch.unsqueeze(x, -1), self.weight)".to_string(),
            false => {
                let token = |(start, count): &(i64, i64)| {
                    format!(
                        "torch.matmul(torch.narrow(x, 1, {start}, {count}), torch.narrow(self.weight, 0, {start}, {count}))"
                    )
                };
                let tokens: Vec<String> = self.columns.iter().map(token).collect();
                format!("torch.stack([{}], 1)", tokens.join(", "))
            }
        };
        let forward = format!(
            "  def forward(self: {{class}}, input: Tensor) -> Tensor:\n    x = torch.flatten(input, 1, -1)\n    \
             return torch.add({tokens}, self.bias)\n"
        );
        Script::Class(
            Class::new("ColumnTokens", forward)
                .parameter("weight", &self.weight)
                .parameter("bias", &self.bias),
        )
    }

    fn describe(&self) -> String {
        format!("{} column tokens", self.columns.len())
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        product(&[input[0], self.weight.numel() as i64])
    }
}
