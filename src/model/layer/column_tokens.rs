//! Tokens of the columns of a table, for transformers.

use tch::Tensor;
use tch::nn::{self, Init};

use super::columns::{CodedColumns, length, pick, pick_script};
use super::{Layer, Parameters, product};
use crate::data::column::FeatureGroup;
use crate::model::Task;
use crate::model::script::{Class, Script};

/// A token for each column (the feature tokenizer of Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data", 2021):
/// (N, features) to (N, columns, width). The token of a number is a multiple of a learned vector, that of a category the sum of the
/// vectors of its indicators, or a learned vector of its index; each has a bias. The vectors of columns with more than 32,768 categories
/// have sparse gradients, and their tokens come last.
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
    /// First feature and number of features of each column whose features have vectors.
    columns: Vec<(i64, i64)>,
    /// Indices of categories, whose tokens follow the others; those with sparse gradients come last.
    codes: CodedColumns,
    /// A vector for each feature of `columns`, (features, width).
    weight: Tensor,
    /// (columns, width); none in a factorization machine, where a field of 0 has no effect.
    bias: Option<Tensor>,
}

impl ColumnTokens {
    /// Creates `weight` (features, width), `bias` (columns, width), and `codes.weight` and `sparse_codes.weight` for categories that are
    /// given by their index, in `path`, initialized uniformly from ±1/√width as in the paper. Without feature groups, each feature is a column.
    pub fn new(path: &nn::Path, task: &Task, width: i64) -> Self {
        let tokens = ColumnTokens::without_bias(path, task, width);
        let bias = path.parameter("bias", &[tokens.count(), width], uniform(width));
        ColumnTokens { bias: Some(bias), ..tokens }
    }

    /// Like [`ColumnTokens::new`], without `bias`.
    pub fn without_bias(path: &nn::Path, task: &Task, width: i64) -> Self {
        let all = vec![FeatureGroup::Number; task.input.features() as usize];
        let groups = if task.groups.is_empty() { &all } else { &task.groups };
        let (mut columns, mut codes) = (Vec::new(), CodedColumns::default());
        let mut first = 0;
        for group in groups {
            let count = group.features() as i64;
            match group {
                FeatureGroup::Code { categories } => codes.add(first, *categories),
                _ if count > 0 => columns.push((first, count)),
                _ => {}
            }
            first += count;
        }
        let weight = path.parameter("weight", &[length(&columns), width], uniform(width));
        codes.create(path, width);
        ColumnTokens { columns, codes, weight, bias: None }
    }

    /// The number of columns.
    pub fn count(&self) -> i64 {
        self.columns.len() as i64 + self.codes.count()
    }

    /// The tokens of rows (N, features) before the bias.
    fn tokens(&self, x: &Tensor, train: bool) -> Tensor {
        if self.is_single() {
            return x.unsqueeze(-1) * &self.weight;
        }
        let token = |((start, count), place): ((i64, i64), i64)| {
            x.narrow(1, start, count).matmul(&self.weight.narrow(0, place, count)).unsqueeze(1)
        };
        let mut tokens: Vec<Tensor> = self.places().map(token).collect();
        tokens.extend(
            self.codes.tables().map(|(_, categories, runs)| categories.forward(&pick(x, runs), train)),
        );
        Tensor::cat(&tokens, 1)
    }

    /// Whether each column is one feature, in order.
    fn is_single(&self) -> bool {
        self.codes.count() == 0 && self.columns.iter().all(|(_, count)| *count == 1)
    }

    /// The place of the vectors of each column in the weight.
    fn places(&self) -> impl Iterator<Item = ((i64, i64), i64)> {
        let mut place = 0;
        self.columns.iter().map(move |column| {
            place += column.1;
            (*column, place - column.1)
        })
    }
}

/// The initial values of vectors of this width.
fn uniform(width: i64) -> Init {
    let bound = 1. / (width as f64).sqrt();
    Init::Uniform { lo: -bound, up: bound }
}

impl Layer for ColumnTokens {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let tokens = self.tokens(&x.flatten(1, -1), train);
        match &self.bias {
            Some(bias) => tokens + bias,
            None => tokens,
        }
    }

    fn script(&self) -> Script {
        let tokens = match self.is_single() {
            true => "torch.mul(torch.unsqueeze(x, -1), self.weight)".to_string(),
            false => {
                let token = |((start, count), place): ((i64, i64), i64)| {
                    format!(
                        "torch.unsqueeze(torch.matmul(torch.narrow(x, 1, {start}, {count}), torch.narrow(self.weight, 0, {place}, {count})), 1)"
                    )
                };
                let mut tokens: Vec<String> = self.places().map(token).collect();
                tokens.extend(self.codes.tables().map(|(name, ..)| format!("of_{name}")));
                format!("torch.cat([{}], 1)", tokens.join(", "))
            }
        };
        let result = match self.bias {
            Some(_) => format!("torch.add({tokens}, self.bias)"),
            None => tokens,
        };
        let vectors = self.codes.script(|name, runs| format!("(self.{name}).forward({})", pick_script(runs)));
        let forward = format!(
            "  def forward(self: {{class}}, input: Tensor) -> Tensor:\n    x = torch.flatten(input, 1, -1)\n{vectors}    \
             return {result}\n"
        );
        let class = Class::new("ColumnTokens", forward).parameter("weight", &self.weight);
        let class = match &self.bias {
            Some(bias) => class.parameter("bias", bias),
            None => class,
        };
        Script::Class(
            self.codes.tables().fold(class, |class, (name, codes, _)| class.child(name, codes.class())),
        )
    }

    fn describe(&self) -> String {
        format!("{} column tokens", self.count())
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        product(&[input[0], self.weight.numel() as i64])
    }

    fn sparse_parameters(&self) -> Vec<String> {
        self.codes.sparse_parameters()
    }
}
