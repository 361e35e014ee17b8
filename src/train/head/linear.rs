//! Multinomial logistic regression: the last layer, fitted by L-BFGS to standardized features.

use tch::{Kind, Tensor};

use super::lbfgs::{self, Limits};
use super::{Attempts, HeadKind, HeadLayers, HeadTask};
use crate::error::{Error, Result};
use crate::model::Tensors;
use cresset_options::number::{NumberOption, Options};

/// The head.
pub(super) const LINEAR: HeadKind = HeadKind {
    name: "linear",
    summary: "multinomial logistic regression, with the regularization chosen on the validation set",
    options: &[
        NumberOption::real(
            "regularization",
            0.,
            (0., 1e6),
            "strength of the L2 regularization; 0 chooses it",
        ),
        NumberOption::whole("iterations", 500, (1, 100_000), "most iterations of L-BFGS for each strength"),
    ],
    layers: |_| HeadLayers::Linear,
    fit,
};

/// The strengths that are tried, the strongest first: each solution is the start for the next one.
const STRENGTHS: [f64; 9] = [10., 3., 1., 0.3, 0.1, 0.03, 0.01, 0.001, 0.0001];

/// The largest gradient of a solution for a given strength.
const GRADIENT: f64 = 1e-6;

/// The same for a strength that is compared with others: scikit-learn's default.
const COMPARED_GRADIENT: f64 = 1e-4;

/// Values of the features up to which matrix products are computed in float64. Larger ones are computed in float32, where
/// the loss of the solution is within 10⁻⁶ of the minimum.
const DOUBLE_VALUES: usize = 100_000;

fn fit(options: &Options, task: &HeadTask, attempts: &mut Attempts) -> Result<Tensors> {
    let scaling = Scaling::of(&task.train.values);
    let kind = if task.train.values.numel() <= DOUBLE_VALUES { Kind::Double } else { Kind::Float };
    let [train, validation] =
        [&task.train, &task.validation].map(|part| scaling.apply(&part.values).to_kind(kind));
    let loss = Loss::new(&train, task);
    let given = options.number("regularization");
    let strengths = if given > 0. { &[given][..] } else { &STRENGTHS };
    let gradient = if given > 0. { GRADIENT } else { COMPARED_GRADIENT };
    let limits = Limits { iterations: options.whole("iterations") as u32, gradient };
    let mut x = Tensor::zeros([loss.parameters()], (Kind::Double, train.device()));
    let mut best = None;
    for strength in strengths {
        attempts.start();
        let found = lbfgs::minimize(&|x| loss.at(x, *strength), &x, limits);
        x = found.x;
        let (weight, bias) = loss.layer(&x);
        let logits = |inputs: &Tensor| product(inputs, &weight.tr()) + &bias;
        let setting = format!("regularization={strength}");
        let (train, validation) = (logits(&train), logits(&validation));
        let parts = [(&train, &task.train.labels), (&validation, &task.validation.labels)];
        if attempts.add(parts, setting, found.iterations) {
            best = Some(scaling.fold(&weight, &bias));
        }
    }
    let (weight, bias) = best.ok_or_else(|| {
        Error::Diverged("no regularization gave a finite validation loss of the linear head".to_string())
    })?;
    Ok(Tensors::from([("weight".to_string(), weight), ("bias".to_string(), bias)]))
}

/// Standardization of features by the statistics of the training set.
pub(super) struct Scaling {
    /// Float64 (width).
    mean: Tensor,
    /// Float64 (width); 1 for constant features.
    deviation: Tensor,
}

impl Scaling {
    /// The scaling of features (N, width).
    pub fn of(features: &Tensor) -> Self {
        let features = features.to_kind(Kind::Double);
        let mean = features.mean_dim(0, false, Kind::Double);
        let deviation = (&features - &mean).square().mean_dim(0, false, Kind::Double).sqrt();
        // Of float32 features, such deviations are rounding errors.
        let is_constant = deviation.le_tensor(&(mean.abs() * 1e-6 + 1e-12));
        Scaling { mean, deviation: deviation.masked_fill(&is_constant, 1.) }
    }

    /// Standardized features, float64.
    pub fn apply(&self, features: &Tensor) -> Tensor {
        (features.to_kind(Kind::Double) - &self.mean) / &self.deviation
    }

    /// The layer of the features themselves, float32, with the logits of this layer of standardized features.
    pub fn fold(&self, weight: &Tensor, bias: &Tensor) -> (Tensor, Tensor) {
        let weight = weight / &self.deviation;
        let bias = bias - weight.matmul(&self.mean);
        (weight.to_kind(Kind::Float), bias.to_kind(Kind::Float))
    }
}

/// Cross-entropy of a linear layer, with L2 regularization of its weight: mean loss + strength / 2 · ‖weight‖².
pub(super) struct Loss<'a> {
    /// Float32 or float64 (N, width).
    inputs: &'a Tensor,
    /// The share of each class in the loss of each example, float64 (N, classes): their sum is 1.
    targets: Tensor,
    /// The sum of the targets of each example, float64 (N, 1).
    totals: Tensor,
    classes: i64,
    width: i64,
}

impl<'a> Loss<'a> {
    /// The loss on standardized features of the training set. Class weights and label smoothing are those of PyTorch's
    /// cross-entropy.
    pub fn new(inputs: &'a Tensor, task: &HeadTask) -> Self {
        let weights = task.class_weights.as_ref().map_or_else(
            || Tensor::ones([task.classes], (Kind::Double, inputs.device())),
            |weights| Tensor::from_slice(weights).to_kind(Kind::Double),
        );
        let labels = task.train.labels.unsqueeze(1);
        let examples = weights.index_select(0, &task.train.labels);
        let rows = inputs.size()[0];
        let hits = Tensor::zeros([rows, task.classes], (Kind::Double, inputs.device()))
            .scatter_value(1, &labels, 1.);
        let targets = (hits * (1. - task.smoothing) + task.smoothing / task.classes as f64) * &weights;
        let targets = targets / examples.sum(Kind::Double);
        let totals = targets.sum_dim_intlist(1, true, Kind::Double);
        Loss { inputs, targets, totals, classes: task.classes, width: inputs.size()[1] }
    }

    /// The number of values of weight and bias.
    pub fn parameters(&self) -> i64 {
        self.classes * (self.width + 1)
    }

    /// The weight (classes, width) and the bias (classes) in a vector of parameters.
    pub fn layer(&self, x: &Tensor) -> (Tensor, Tensor) {
        let weights = self.classes * self.width;
        (x.narrow(0, 0, weights).view([self.classes, self.width]), x.narrow(0, weights, self.classes))
    }

    /// The loss and its gradient.
    pub fn at(&self, x: &Tensor, strength: f64) -> (f64, Tensor) {
        let (weight, bias) = self.layer(x);
        let logits = product(self.inputs, &weight.tr()) + &bias;
        let logarithms = logits.log_softmax(1, Kind::Double);
        let loss = -(&self.targets * &logarithms).sum(Kind::Double).double_value(&[]);
        let penalty = strength / 2. * weight.square().sum(Kind::Double).double_value(&[]);
        let by_logits = logarithms.exp() * &self.totals - &self.targets;
        let by_weight = product(&self.inputs.tr(), &by_logits).tr() + &weight * strength;
        let by_bias = by_logits.sum_dim_intlist(0, false, Kind::Double);
        (loss + penalty, Tensor::cat(&[by_weight.reshape(-1), by_bias], 0))
    }
}

/// The product of a matrix and a float64 matrix, computed in the dtype of the first one; float64.
fn product(first: &Tensor, second: &Tensor) -> Tensor {
    first.matmul(&second.to_kind(first.kind())).to_kind(Kind::Double)
}
