//! The first layer of models of tables: embeddings of the columns.

use cresset_bridge::kernels::column_vectors::{ColumnPlan, column_vectors};
use tch::Tensor;
use tch::nn;

use super::Layer;
use super::codes::{Codes, MAX_DENSE};
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
    /// Runs of the other features.
    others: Vec<(i64, i64)>,
    embedding: Numbers,
    codes: CodedColumns,
    /// For the kernel; none without categories, and with embeddings of numbers.
    plan: Option<ColumnPlan>,
}

impl ColumnEmbedding {
    /// Creates the parameters of the embeddings of numbers in `numbers` and of categories, vectors of `width` values, in `codes` and
    /// `sparse_codes` in `path`. Without feature groups, all features are numbers.
    pub fn new(path: &nn::Path, task: &Task, kind: NumberEmbedding, width: i64) -> Self {
        let (mut numbers, mut others, mut codes) = (Vec::new(), Vec::new(), CodedColumns::default());
        let all = vec![FeatureGroup::Number; task.input.features() as usize];
        let mut first = 0;
        for group in if task.groups.is_empty() { &all } else { &task.groups } {
            let length = group.features() as i64;
            match group {
                FeatureGroup::Number => extend(&mut numbers, first, length),
                FeatureGroup::Indicators { .. } => extend(&mut others, first, length),
                FeatureGroup::Tokens { .. } => unreachable!("models of tables reject texts"),
                FeatureGroup::Code { categories } => codes.add(first, *categories),
            };
            first += length;
        }
        let embedding = Numbers::new(&(path / "numbers"), length(&numbers), kind);
        codes.create(path, width);
        let is_plain = matches!(kind, NumberEmbedding::None) && codes.count() > 0;
        let plan = is_plain.then(|| plan(&numbers, &codes, &others));
        ColumnEmbedding { numbers, codes, others, embedding, plan }
    }

    /// The outputs by the kernel, if it can compute them.
    fn by_kernel(&self, x: &Tensor) -> Option<Tensor> {
        let [dense, sparse] = self.codes.weights();
        column_vectors(x, self.plan.as_ref()?, dense, sparse).ok().flatten()
    }

    /// The number of values of an embedded example.
    pub fn outputs(&self) -> i64 {
        let of_codes: i64 =
            self.codes.tables().map(|(_, categories, runs)| length(runs) * categories.width()).sum();
        length(&self.numbers) * self.embedding.width() + of_codes + length(&self.others)
    }
}

/// The columns of categories that are given by their index: those with few categories, and those with so many that their vectors have
/// sparse gradients.
#[derive(Debug, Default)]
pub(super) struct CodedColumns([CodedRuns; 2]);

/// Columns whose vectors are in one table.
#[derive(Debug, Default)]
struct CodedRuns {
    runs: Vec<(i64, i64)>,
    /// The number of categories of each column.
    counts: Vec<usize>,
    /// None without columns.
    codes: Option<Codes>,
}

/// The paths of the two tables.
const TABLES: [&str; 2] = ["codes", "sparse_codes"];

impl CodedColumns {
    /// Adds the column at the feature `first`.
    pub fn add(&mut self, first: i64, categories: usize) {
        let of = &mut self.0[usize::from(categories > MAX_DENSE)];
        extend(&mut of.runs, first, 1);
        of.counts.push(categories);
    }

    /// Creates `codes.weight` and `sparse_codes.weight`, vectors of `width` values, in `path`, each if it has columns.
    pub fn create(&mut self, path: &nn::Path, width: i64) {
        let new = [Codes::new, Codes::sparse];
        for ((of, name), new) in self.0.iter_mut().zip(TABLES).zip(new) {
            of.codes = (!of.counts.is_empty()).then(|| new(&(path / name), &of.counts, width));
        }
    }

    /// The tables that have columns, each with its name and the runs of its indices.
    pub fn tables(&self) -> impl Iterator<Item = (&'static str, &Codes, &[(i64, i64)])> {
        TABLES
            .into_iter()
            .zip(&self.0)
            .filter_map(|(name, of)| Some((name, of.codes.as_ref()?, &of.runs[..])))
    }

    /// The two tables of vectors, of those with columns.
    fn weights(&self) -> [Option<&Tensor>; 2] {
        [&self.0[0], &self.0[1]].map(|of| of.codes.as_ref().map(Codes::weight))
    }

    /// The number of columns.
    pub fn count(&self) -> i64 {
        self.0.iter().map(|of| length(&of.runs)).sum()
    }

    /// TorchScript that sets `of_{name}` to the vectors of each table, and only then casts `x` to their dtype, which may not have all
    /// indices.
    pub fn script(&self, vectors: impl Fn(&str, &[(i64, i64)]) -> String) -> String {
        let mut lines = String::new();
        let mut last = None;
        for (name, _, runs) in self.tables() {
            lines += &format!("    of_{name} = {}\n", vectors(name, runs));
            last = Some(name);
        }
        last.map_or(String::new(), |name| format!("{lines}    x = x.to(of_{name}.dtype)\n"))
    }

    /// The parameters with sparse gradients.
    pub fn sparse_parameters(&self) -> Vec<String> {
        self.0[1].codes.iter().map(|_| format!("{}.weight", TABLES[1])).collect()
    }
}

/// The plan of outputs: numbers, vectors of categories, and the other features.
fn plan(numbers: &[(i64, i64)], codes: &CodedColumns, others: &[(i64, i64)]) -> ColumnPlan {
    let mut plan = ColumnPlan::default();
    let mut place = 0;
    let copy = |plan: &mut ColumnPlan, runs: &[(i64, i64)], place: &mut i64| {
        for (first, length) in runs {
            plan.copies.extend([*first, *place, *length]);
            *place += length;
        }
    };
    copy(&mut plan, numbers, &mut place);
    for (table, of) in codes.0.iter().enumerate() {
        let Some(vectors) = &of.codes else { continue };
        let features = of.runs.iter().flat_map(|(first, length)| *first..first + length);
        let mut row = 0;
        for (feature, count) in features.zip(&of.counts) {
            plan.columns.extend([feature, place, row, *count as i64]);
            (place, row) = (place + vectors.width(), row + *count as i64 + 1);
        }
        if table == 0 {
            plan.dense = of.counts.len() as i64;
        }
    }
    copy(&mut plan, others, &mut place);
    plan
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

impl Layer for ColumnEmbedding {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let x = x.flatten(1, -1);
        if let Some(outputs) = self.by_kernel(&x) {
            return outputs;
        }
        let mut parts = Vec::new();
        if !self.numbers.is_empty() {
            parts.push(self.embedding.forward(&pick(&x, &self.numbers)).flatten(1, -1));
        }
        for (_, categories, runs) in self.codes.tables() {
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
        let vectors = self.codes.script(embedded);
        if !self.numbers.is_empty() {
            parts.push(embedded("numbers", &self.numbers));
        }
        parts.extend(self.codes.tables().map(|(name, ..)| format!("of_{name}")));
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
        for (name, categories, _) in self.codes.tables() {
            class = class.child(name, categories.class());
        }
        Script::Class(class)
    }

    fn describe(&self) -> String {
        let [numbers, others] = [&self.numbers, &self.others].map(|runs| length(runs));
        let codes = self.codes.count();
        let codes = if codes > 0 { format!(", {codes} embedded categories") } else { String::new() };
        format!("{numbers} {}{codes}, {others} indicators", self.embedding.describe())
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        self.embedding.multiply_adds(input[0] * length(&self.numbers))
    }

    fn sparse_parameters(&self) -> Vec<String> {
        self.codes.sparse_parameters()
    }
}
