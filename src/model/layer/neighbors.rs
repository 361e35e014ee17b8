//! k-nearest-neighbor classifier.

use tch::{Kind, Tensor, nn};

use super::{Layer, product};
use crate::model::script::{Class, Script};

/// A weighted k-nearest-neighbor classifier of features (Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance
/// Discrimination", 2018): (N, width) to log-probabilities (N, classes).
///
/// The k features of the bank with the largest cosine similarity vote for their classes, with the softmax of similarity /
/// temperature as weights. The probability of a class is its share of the votes, mixed with the uniform distribution by
/// [`Neighbors::FLOOR`], so that its logarithm is finite.
///
/// ```
/// use cresset::model::layer::{Layer, Neighbors};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let mut head = Neighbors::new(&variables.root(), 2, 3, 0.07);
/// head.fill(&Tensor::from_slice2(&[[1f32, 0.], [0., 1.]]), &Tensor::from_slice(&[2i64, 0]), 1);
/// let found = head.forward(&Tensor::from_slice2(&[[9f32, 1.]]), false);
/// assert_eq!(found.argmax(1, false).int64_value(&[0]), 2);
/// ```
#[derive(Debug)]
pub struct Neighbors {
    /// Unit vectors, float32 (rows, width).
    bank: Tensor,
    /// Classes of the rows, int64 (rows).
    labels: Tensor,
    /// The number of neighbors, an int64 scalar.
    k: Tensor,
    temperature: f64,
    classes: i64,
}

/// The smallest norm that a feature is divided by.
const SMALLEST_NORM: f64 = 1e-12;

impl Neighbors {
    /// The share of the uniform distribution in the probabilities.
    pub const FLOOR: f64 = 1e-6;

    /// The names of the buffers of [`Neighbors`] whose number of rows is that of the bank.
    pub(crate) const ROWS: [&str; 2] = ["bank", "labels"];

    /// Creates the buffers `bank`, `labels` and `k` in `path`, with one row of zeros until [`Neighbors::fill`] is called.
    pub fn new(path: &nn::Path, width: i64, classes: i64, temperature: f64) -> Self {
        let count = |size: &[i64], value: i64| Tensor::full(size, value, (Kind::Int64, path.device()));
        Neighbors {
            bank: path.zeros_no_train("bank", &[1, width]),
            labels: path.add("labels", count(&[1], 0), false),
            k: path.add("k", count(&[], 1), false),
            temperature,
            classes,
        }
    }

    /// Sets the bank from features, float32 (rows, width), and their classes, int64 (rows), and the number of neighbors, from 1 to
    /// the number of rows.
    pub fn fill(&mut self, features: &Tensor, labels: &Tensor, k: i64) {
        self.bank.set_data(&normalized(features).to_device(self.bank.device()));
        self.labels.set_data(&labels.copy().to_device(self.labels.device()));
        let _ = tch::no_grad(|| self.k.fill_(k));
    }
}

/// Features (N, width) divided by their norms, float32.
pub(crate) fn normalized(features: &Tensor) -> Tensor {
    let features = features.to_kind(Kind::Float);
    let squares = (&features * &features).sum_dim_intlist([1].as_slice(), true, None::<Kind>);
    &features / squares.sqrt().clamp_min(SMALLEST_NORM)
}

/// The log-probabilities (N, classes) from the similarities of neighbors, float32 (N, k), and their classes, int64 (N · k).
pub(crate) fn vote(similarities: &Tensor, labels: &Tensor, temperature: f64, classes: i64) -> Tensor {
    let k = similarities.size()[1];
    let weights = (similarities / temperature).softmax(-1, None::<Kind>);
    let votes = labels.one_hot(classes).to_kind(Kind::Float).view([-1, k, classes]);
    let shares = weights.unsqueeze(1).matmul(&votes).squeeze_dim(1);
    (shares * (1. - Neighbors::FLOOR) + Neighbors::FLOOR / classes as f64).log()
}

impl Layer for Neighbors {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        let similarities =
            normalized(x).to_kind(self.bank.kind()).linear(&self.bank, None::<&Tensor>).to_kind(Kind::Float);
        let (similarities, rows) = similarities.topk(self.k.int64_value(&[]), -1, true, true);
        let labels = self.labels.index_select(0, &rows.flatten(0, -1));
        vote(&similarities, &labels, self.temperature, self.classes)
    }

    fn script(&self) -> Script {
        let (k, classes, temperature) = (self.k.int64_value(&[]), self.classes, self.temperature);
        let (share, floor) = (1. - Neighbors::FLOOR, Neighbors::FLOOR / classes as f64);
        let forward = format!(
            "  def forward(self: {{class}}, x: Tensor) -> Tensor:
    features = torch.to(x, 6)
    squares = torch.sum(torch.mul(features, features), [1], True)
    unit = torch.div(features, torch.clamp_min(torch.sqrt(squares), {SMALLEST_NORM:?}))
    similarities = torch.to(torch.linear(torch.type_as(unit, self.bank), self.bank, None), 6)
    nearest, rows = torch.topk(similarities, {k}, -1, True, True)
    labels = torch.index_select(self.labels, 0, torch.flatten(rows, 0, -1))
    weights = torch.softmax(torch.div(nearest, {temperature:?}), -1)
    votes = torch.view(torch.to(torch.one_hot(labels, {classes}), 6), [-1, {k}, {classes}])
    shares = torch.squeeze(torch.matmul(torch.unsqueeze(weights, 1), votes), 1)
    return torch.log(torch.add(torch.mul(shares, {share:?}), {floor:?}))
"
        );
        let class = Class::new("Neighbors", forward);
        Script::Class(class.buffer("bank", &self.bank).buffer("labels", &self.labels))
    }

    fn describe(&self) -> String {
        let size = self.bank.size();
        format!("{} nearest of {}×{} features", self.k.int64_value(&[]), size[0], size[1])
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        product(input) * self.bank.size()[0] as u64
    }
}
