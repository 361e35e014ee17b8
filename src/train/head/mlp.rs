//! A perceptron with one hidden layer, trained with AdamW on standardized features.

use rand::seq::SliceRandom;
use tch::{Kind, Reduction, Tensor};

use super::linear::Scaling;
use super::{Attempts, HeadKind, HeadLayers, HeadTask};
use crate::data::random::{Purpose, stream};
use crate::error::{Error, Result};
use crate::model::Tensors;
use crate::train::optimizer::{Optimizer, Parameter};
use cresset_bridge::gradients::Gradients;
use cresset_options::number::{NumberOption, Options};

/// The head.
pub(super) const MLP: HeadKind = HeadKind {
    name: "mlp",
    summary: "a hidden layer and the last layer, trained with AdamW; the best epoch is chosen on the validation set",
    options: &[
        NumberOption::whole("width", 256, (1, 65_536), "units of the hidden layer"),
        NumberOption::whole("epochs", 50, (1, 100_000), "number of epochs"),
        NumberOption::real("lr", 0.001, (1e-9, 10.), "learning rate"),
        NumberOption::real("weight_decay", 0.01, (0., 100.), "weight decay"),
        NumberOption::whole(
            "patience",
            10,
            (1, 100_000),
            "epochs without a lower validation loss before it stops",
        ),
    ],
    layers: |options| HeadLayers::Hidden(options.whole("width")),
    fit,
};

/// Examples of a step.
const BATCH: usize = 128;

fn fit(options: &Options, task: &HeadTask, attempts: &mut Attempts) -> Result<Tensors> {
    let scaling = Scaling::of(&task.train.values);
    let [train, validation] =
        [&task.train, &task.validation].map(|part| scaling.apply(&part.values).to_kind(Kind::Float));
    let layers = Layers::new(options.whole("width"), train.size()[1], task);
    let parameters = layers.parameters();
    let mut optimizer = Optimizer::new("adamw", "", options.number("weight_decay"), &parameters)?;
    let mut gradients = Gradients::of(parameters.iter().map(|parameter| &parameter.tensor))?;
    let weights = task.class_weights.as_ref().map(|weights| Tensor::from_slice(weights));
    let mut best = None;
    for epoch in 1..=options.whole("epochs") {
        attempts.start();
        let mut order: Vec<i64> = (0..train.size()[0]).collect();
        order.shuffle(&mut stream(task.seed, Purpose::Shuffle, epoch as u64));
        for rows in order.chunks(BATCH) {
            let rows = Tensor::from_slice(rows);
            let labels = task.train.labels.index_select(0, &rows);
            gradients.clear()?;
            tch::with_grad(|| {
                let logits = layers.logits(&train.index_select(0, &rows));
                logits
                    .cross_entropy_loss(&labels, weights.as_ref(), Reduction::Mean, -100, task.smoothing)
                    .backward();
            });
            optimizer.step(options.number("lr"))?;
        }
        let logits = [&train, &validation].map(|part| layers.logits(part));
        let steps = epoch as usize * order.len().div_ceil(BATCH);
        let parts = [(&logits[0], &task.train.labels), (&logits[1], &task.validation.labels)];
        let is_best = attempts.add(parts, format!("epoch={epoch}"), steps as u32);
        attempts.with_lr(options.number("lr"));
        if is_best {
            best = Some((epoch, layers.tensors(&scaling)));
        }
        if best.as_ref().is_some_and(|(best, _)| epoch - best >= options.whole("patience")) {
            break;
        }
    }
    best.map(|(_, tensors)| tensors).ok_or_else(|| {
        let problem =
            "no epoch of the MLP head has a finite validation loss; try a lower lr in --head-options";
        Error::Diverged(problem.to_string())
    })
}

/// The parameters, float32.
struct Layers {
    hidden_weight: Tensor,
    hidden_bias: Tensor,
    weight: Tensor,
    bias: Tensor,
}

impl Layers {
    /// Initial values like those of `torch.nn.Linear`, uniform from ±1/√inputs.
    fn new(width: i64, inputs: i64, task: &HeadTask) -> Self {
        tch::manual_seed(task.seed as i64);
        let device = task.train.values.device();
        let draw = |size: &[i64], inputs: i64| {
            let bound = 1. / (inputs as f64).sqrt();
            Tensor::empty(size, (Kind::Float, device)).uniform_(-bound, bound).set_requires_grad(true)
        };
        Layers {
            hidden_weight: draw(&[width, inputs], inputs),
            hidden_bias: draw(&[width], inputs),
            weight: draw(&[task.classes, width], width),
            bias: draw(&[task.classes], width),
        }
    }

    fn parameters(&self) -> [Parameter; 4] {
        let Layers { hidden_weight, hidden_bias, weight, bias } = self;
        [("hidden.weight", hidden_weight), ("hidden.bias", hidden_bias), ("weight", weight), ("bias", bias)]
            .map(|(name, tensor)| Parameter {
                name: name.to_string(),
                tensor: tensor.shallow_clone(),
                rate: 1.,
                is_head: false,
                is_sparse: false,
            })
    }

    /// Logits (N, classes) of standardized features (N, inputs).
    fn logits(&self, inputs: &Tensor) -> Tensor {
        inputs
            .linear(&self.hidden_weight, Some(&self.hidden_bias))
            .relu()
            .linear(&self.weight, Some(&self.bias))
    }

    /// Copies of the layers of the features themselves.
    fn tensors(&self, scaling: &Scaling) -> Tensors {
        let [weight, bias] =
            [&self.hidden_weight, &self.hidden_bias].map(|tensor| tensor.detach().to_kind(Kind::Double));
        let (weight, bias) = scaling.fold(&weight, &bias);
        let last = [("weight", &self.weight), ("bias", &self.bias)]
            .map(|(name, tensor)| (name, tensor.detach().copy()));
        let hidden = [("hidden.weight", weight), ("hidden.bias", bias)];
        last.into_iter().chain(hidden).map(|(name, tensor)| (name.to_string(), tensor)).collect()
    }
}
