//! The first layer of models of tables: embeddings of the columns.

use tch::Tensor;
use tch::nn;

use super::Layer;
use super::numbers::{NumberEmbedding, Numbers};
use crate::data::column::FeatureGroup;
use crate::model::Task;
use crate::model::script::{Class, Script};

/// Embeds the numbers of an example and leaves its other features as they are: (N, features) to (N, outputs), first the vectors of
/// the numbers, then the other features.
///
/// ```
/// use cresset::data::column::FeatureGroup;
/// use cresset::model::Task;
/// use cresset::model::layer::{ColumnEmbedding, Layer, NumberEmbedding};
/// use cresset::prelude::*;
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let groups = vec![FeatureGroup::Indicators { count: 2 }, FeatureGroup::Number];
/// let task = Task { groups, ..Task::new(InputShape(vec![3]), 2) };
/// let kind = NumberEmbedding::Piecewise { width: 8, bins: 16 };
/// let embedding = ColumnEmbedding::new(&variables.root(), &task, kind);
/// assert_eq!(embedding.outputs(), 10);
/// let rows = Tensor::zeros([5, 3], (Kind::Float, Device::Cpu));
/// assert_eq!(embedding.forward(&rows, false).size(), [5, 10]);
/// ```
#[derive(Debug)]
pub struct ColumnEmbedding {
    /// Runs of features that are numbers: first feature and length.
    numbers: Vec<(i64, i64)>,
    /// Runs of the other features.
    others: Vec<(i64, i64)>,
    embedding: Numbers,
}

impl ColumnEmbedding {
    /// Creates the parameters of the embedding in `path`. Without feature groups, all features are numbers.
    pub fn new(path: &nn::Path, task: &Task, kind: NumberEmbedding) -> Self {
        let (mut numbers, mut others) = (Vec::new(), Vec::new());
        let all = vec![FeatureGroup::Number; task.input.features() as usize];
        let mut first = 0;
        for group in if task.groups.is_empty() { &all } else { &task.groups } {
            let length = group.features() as i64;
            let runs = if *group == FeatureGroup::Number { &mut numbers } else { &mut others };
            extend(runs, first, length);
            first += length;
        }
        let embedding = Numbers::new(path, length(&numbers), kind);
        ColumnEmbedding { numbers, others, embedding }
    }

    /// The number of values of an embedded example.
    pub fn outputs(&self) -> i64 {
        length(&self.numbers) * self.embedding.width() + length(&self.others)
    }
}

/// Adds features to the last run, or a new run.
fn extend(runs: &mut Vec<(i64, i64)>, first: i64, length: i64) {
    match runs.last_mut() {
        Some((start, count)) if *start + *count == first => *count += length,
        _ if length > 0 => runs.push((first, length)),
        _ => {}
    }
}

/// The number of features of all runs.
fn length(runs: &[(i64, i64)]) -> i64 {
    runs.iter().map(|(_, length)| length).sum()
}

/// The features of all runs, (N, features).
fn pick(x: &Tensor, runs: &[(i64, i64)]) -> Tensor {
    let parts: Vec<Tensor> = runs.iter().map(|(start, length)| x.narrow(1, *start, *length)).collect();
    match &parts[..] {
        [one] => one.shallow_clone(),
        many => Tensor::cat(many, 1),
    }
}

/// The equivalent of [`pick`] for `x` in TorchScript.
fn pick_script(runs: &[(i64, i64)]) -> String {
    let parts: Vec<String> =
        runs.iter().map(|(start, length)| format!("torch.narrow(x, 1, {start}, {length})")).collect();
    match &parts[..] {
        [one] => one.clone(),
        many => format!("torch.cat([{}], 1)", many.join(", ")),
    }
}

impl Layer for ColumnEmbedding {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        let x = x.flatten(1, -1);
        let vectors = || self.embedding.forward(&pick(&x, &self.numbers)).flatten(1, -1);
        match (self.numbers.is_empty(), self.others.is_empty()) {
            (false, true) => vectors(),
            (true, _) => pick(&x, &self.others),
            (false, false) => Tensor::cat(&[vectors(), pick(&x, &self.others)], 1),
        }
    }

    fn script(&self) -> Script {
        let vectors = format!("torch.flatten((self.numbers).forward({}), 1, -1)", pick_script(&self.numbers));
        let others = pick_script(&self.others);
        let value = match (self.numbers.is_empty(), self.others.is_empty()) {
            (false, true) => vectors,
            (true, _) => others,
            (false, false) => format!("torch.cat([{vectors}, {others}], 1)"),
        };
        let forward = format!(
            "  def forward(self: {{class}}, input: Tensor) -> Tensor:\n    x = torch.flatten(input, 1, -1)\n    return {value}\n"
        );
        let class = Class::new("ColumnEmbedding", forward);
        Script::Class(match self.numbers.is_empty() {
            true => class,
            false => class.child("numbers", self.embedding.class()),
        })
    }

    fn describe(&self) -> String {
        let (numbers, others) = (length(&self.numbers), length(&self.others));
        format!("{numbers} {}, {others} other features", self.embedding.describe())
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        self.embedding.multiply_adds(input[0] * length(&self.numbers))
    }
}
