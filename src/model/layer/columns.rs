//! The first layer of models of tables: embeddings of the columns.

use tch::Tensor;
use tch::nn;

use super::Layer;
use super::codes::{Codes, MAX_DENSE, SPARSE};
use super::numbers::{NumberEmbedding, Numbers};
use crate::data::column::FeatureGroup;
use crate::model::Task;
use crate::model::script::{Class, Script};

/// Embeds the numbers of an example, and the categories that are given by their index, and leaves indicators as they are:
/// (N, features) to (N, outputs), first the vectors of the numbers, then those of the categories, then the indicators. The vectors of
/// columns with more than 32,768 categories have sparse gradients, and follow those of the others.
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
/// let embedding = ColumnEmbedding::new(&variables.root(), &task, kind, 4);
/// assert_eq!(embedding.outputs(), 10);
/// let rows = Tensor::zeros([5, 3], (Kind::Float, Device::Cpu));
/// assert_eq!(embedding.forward(&rows, false).size(), [5, 10]);
/// ```
#[derive(Debug)]
pub struct ColumnEmbedding {
    /// Runs of features that are numbers: first feature and length.
    numbers: Vec<(i64, i64)>,
    /// Runs of indices of categories.
    codes: Vec<(i64, i64)>,
    /// Runs of indices of so many categories that their vectors have sparse gradients.
    sparse_codes: Vec<(i64, i64)>,
    /// Runs of the other features.
    others: Vec<(i64, i64)>,
    embedding: Numbers,
    /// None without indices of categories.
    categories: Option<Codes>,
    sparse_categories: Option<Codes>,
}

impl ColumnEmbedding {
    /// Creates the parameters of the embeddings of numbers in `numbers` and of categories, vectors of `width` values, in `codes` and
    /// `sparse_codes` in `path`. Without feature groups, all features are numbers.
    pub fn new(path: &nn::Path, task: &Task, kind: NumberEmbedding, width: i64) -> Self {
        let (mut numbers, mut codes, mut others) = (Vec::new(), Vec::new(), Vec::new());
        let (mut sparse_codes, mut counts, mut sparse_counts) = (Vec::new(), Vec::new(), Vec::new());
        let all = vec![FeatureGroup::Number; task.input.features() as usize];
        let mut first = 0;
        for group in if task.groups.is_empty() { &all } else { &task.groups } {
            let length = group.features() as i64;
            let runs = match group {
                FeatureGroup::Number => &mut numbers,
                FeatureGroup::Indicators { .. } => &mut others,
                FeatureGroup::Tokens { .. } => unreachable!("models of tables reject texts"),
                FeatureGroup::Code { categories } if *categories > MAX_DENSE => {
                    sparse_counts.push(*categories);
                    &mut sparse_codes
                }
                FeatureGroup::Code { categories } => {
                    counts.push(*categories);
                    &mut codes
                }
            };
            extend(runs, first, length);
            first += length;
        }
        let embedding = Numbers::new(&(path / "numbers"), length(&numbers), kind);
        let categories = (!counts.is_empty()).then(|| Codes::new(&(path / "codes"), &counts, width));
        let sparse_categories =
            (!sparse_counts.is_empty()).then(|| Codes::sparse(&(path / SPARSE), &sparse_counts, width));
        ColumnEmbedding { numbers, codes, sparse_codes, others, embedding, categories, sparse_categories }
    }

    /// The number of values of an embedded example.
    pub fn outputs(&self) -> i64 {
        let of_codes: i64 = self.coded().map(|(_, categories, runs)| length(runs) * categories.width()).sum();
        length(&self.numbers) * self.embedding.width() + of_codes + length(&self.others)
    }

    /// The embeddings of categories, each with its name and the runs of its indices.
    fn coded(&self) -> impl Iterator<Item = (&'static str, &Codes, &[(i64, i64)])> {
        let dense = self.categories.iter().map(|codes| ("codes", codes, &self.codes[..]));
        dense.chain(self.sparse_categories.iter().map(|codes| (SPARSE, codes, &self.sparse_codes[..])))
    }
}

/// Adds features to the last run, or a new run.
pub(super) fn extend(runs: &mut Vec<(i64, i64)>, first: i64, length: i64) {
    match runs.last_mut() {
        Some((start, count)) if *start + *count == first => *count += length,
        _ if length > 0 => runs.push((first, length)),
        _ => {}
    }
}

/// The number of features of all runs.
pub(super) fn length(runs: &[(i64, i64)]) -> i64 {
    runs.iter().map(|(_, length)| length).sum()
}

/// The features of all runs, (N, features).
pub(super) fn pick(x: &Tensor, runs: &[(i64, i64)]) -> Tensor {
    let parts: Vec<Tensor> = runs.iter().map(|(start, length)| x.narrow(1, *start, *length)).collect();
    match &parts[..] {
        [one] => one.shallow_clone(),
        many => Tensor::cat(many, 1),
    }
}

/// The equivalent of [`pick`] for `x` in TorchScript.
pub(super) fn pick_script(runs: &[(i64, i64)]) -> String {
    let parts: Vec<String> =
        runs.iter().map(|(start, length)| format!("torch.narrow(x, 1, {start}, {length})")).collect();
    match &parts[..] {
        [one] => one.clone(),
        many => format!("torch.cat([{}], 1)", many.join(", ")),
    }
}

/// TorchScript that sets `of_{name}` to the vectors of each embedding of categories, and only then casts `x` to their dtype, which may not
/// have all indices.
pub(super) fn coded_script<'a>(
    coded: impl Iterator<Item = (&'static str, &'a Codes, &'a [(i64, i64)])>,
    vectors: impl Fn(&str, &[(i64, i64)]) -> String,
) -> String {
    let mut lines = String::new();
    let mut last = None;
    for (name, _, runs) in coded {
        lines += &format!("    of_{name} = {}\n", vectors(name, runs));
        last = Some(name);
    }
    last.map_or(String::new(), |name| format!("{lines}    x = x.to(of_{name}.dtype)\n"))
}

impl Layer for ColumnEmbedding {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let x = x.flatten(1, -1);
        let mut parts = Vec::new();
        if !self.numbers.is_empty() {
            parts.push(self.embedding.forward(&pick(&x, &self.numbers)).flatten(1, -1));
        }
        for (_, categories, runs) in self.coded() {
            parts.push(categories.forward(&pick(&x, runs), train).flatten(1, -1));
        }
        if !self.others.is_empty() {
            parts.push(pick(&x, &self.others));
        }
        match &parts[..] {
            [one] => one.shallow_clone(),
            many => Tensor::cat(many, 1),
        }
    }

    fn script(&self) -> Script {
        let mut parts = Vec::new();
        let embedded = |name: &str, runs: &[(i64, i64)]| {
            format!("torch.flatten((self.{name}).forward({}), 1, -1)", pick_script(runs))
        };
        let vectors = coded_script(self.coded(), embedded);
        if !self.numbers.is_empty() {
            parts.push(embedded("numbers", &self.numbers));
        }
        parts.extend(self.coded().map(|(name, ..)| format!("of_{name}")));
        if !self.others.is_empty() {
            parts.push(pick_script(&self.others));
        }
        let value = match &parts[..] {
            [one] => one.clone(),
            many => format!("torch.cat([{}], 1)", many.join(", ")),
        };
        let forward = format!(
            "  def forward(self: {{class}}, input: Tensor) -> Tensor:\n    x = torch.flatten(input, 1, -1)\n{vectors}    \
             return {value}\n"
        );
        let mut class = Class::new("ColumnEmbedding", forward);
        if !self.numbers.is_empty() {
            class = class.child("numbers", self.embedding.class());
        }
        for (name, categories, _) in self.coded() {
            class = class.child(name, categories.class());
        }
        Script::Class(class)
    }

    fn describe(&self) -> String {
        let [numbers, others] = [&self.numbers, &self.others].map(|runs| length(runs));
        let codes: i64 = self.coded().map(|(_, _, runs)| length(runs)).sum();
        let codes = if codes > 0 { format!(", {codes} embedded categories") } else { String::new() };
        format!("{numbers} {}{codes}, {others} indicators", self.embedding.describe())
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        self.embedding.multiply_adds(input[0] * length(&self.numbers))
    }

    fn sparse_parameters(&self) -> Vec<String> {
        self.sparse_categories.iter().map(|_| format!("{SPARSE}.weight")).collect()
    }
}
