//! A training step without autograd: of a multilayer perceptron with cross-entropy, whose gradients are a few formulas. Where
//! layers are small, recording and replaying them costs more than computing them.

use cresset_bridge::kernels::perceptron::{Forward, Perceptron};
use tch::{Device, Tensor};

use super::Objective;
use super::options::{Precision, TrainOptions};
use crate::error::Result;
use crate::loader::Batch;
use crate::model::{Network, perceptron};

/// What computes the losses and gradients.
pub(super) struct Direct {
    perceptron: Perceptron,
    parameters: Vec<Tensor>,
}

impl Direct {
    /// What can do the steps of `network`; none where they are more than this.
    pub fn of(network: &Network, objective: &Objective, options: &TrainOptions) -> Result<Option<Self>> {
        let is_plain = options.precision == Precision::F32 && options.accumulate == 1;
        let Some(layers) = perceptron::layers(network, true) else { return Ok(None) };
        if !is_plain || !objective.is_plain_cross_entropy() || network.device() != Device::Cpu {
            return Ok(None);
        }
        let parameters: Vec<_> =
            layers.iter().flat_map(|(weight, bias)| [weight.shallow_clone(), bias.shallow_clone()]).collect();
        Ok(Some(Direct { perceptron: Perceptron::of(layers)?, parameters }))
    }

    /// The forward pass of a batch; none where its step must go the usual way: of a batch that counts other than by its mean
    /// loss, and while parameters are frozen.
    pub fn forward(&mut self, batch: &Batch) -> Result<Option<Forward>> {
        let is_plain = batch.mixed.is_none() && batch.weight == 1. && batch.labels.dim() == 1;
        if !is_plain || !self.parameters.iter().all(Tensor::requires_grad) {
            return Ok(None);
        }
        Ok(Some(self.perceptron.forward(&batch.inputs, &batch.labels)?))
    }

    /// Leaves the gradients of the forward pass beside the parameters.
    pub fn backward(&mut self) -> Result<()> {
        Ok(self.perceptron.backward()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    use crate::data::InputShape;
    use crate::model::{Task, Tensors};
    use crate::train::{Learner, Outcome, Plan};

    fn network(options: &str) -> Network {
        let task = Task { input: InputShape(vec![1, 4, 4]), classes: 3 };
        Network::new("mlp", options, &task, Device::Cpu, 1).unwrap()
    }

    fn direct(network: &Network, change: impl FnOnce(&mut Plan)) -> Option<Direct> {
        let mut plan = Plan::default();
        change(&mut plan);
        let Plan { options, class_weights, .. } = &plan;
        let objective =
            Objective::new(&options.loss, &options.loss_options, class_weights.as_deref(), Device::Cpu)
                .unwrap();
        Direct::of(network, &objective, options).unwrap()
    }

    #[test]
    fn it_is_for_perceptrons_with_plain_cross_entropy_alone() {
        for options in ["", "depth=0", "depth=3"] {
            assert!(direct(&network(options), |_| {}).is_some(), "{options}");
        }
        assert!(direct(&network("dropout=0.5"), |_| {}).is_none());
        let task = Task { input: InputShape(vec![1, 8, 8]), classes: 3 };
        assert!(direct(&Network::new("cnn", "", &task, Device::Cpu, 1).unwrap(), |_| {}).is_none());
        let refused: [fn(&mut Plan); 5] = [
            |plan| plan.options.loss = "focal".into(),
            |plan| plan.options.loss_options = "smoothing=0.1".into(),
            |plan| plan.class_weights = Some(vec![1., 2., 3.]),
            |plan| plan.options.precision = Precision::Bf16,
            |plan| plan.options.accumulate = 2,
        ];
        for change in refused {
            assert!(direct(&network(""), change).is_none());
        }
    }

    /// Twenty steps with a smaller batch at the end, with and without autograd.
    fn both_ways(options: &str, rows: i64) -> [(Vec<f64>, Tensors); 2] {
        [true, false].map(|is_direct| {
            let network = network(options);
            let mut learner = Learner::new(&Plan::default(), &network).unwrap();
            assert!(learner.direct.is_some());
            if !is_direct {
                learner.direct = None;
            }
            tch::manual_seed(2);
            let mut losses = Vec::new();
            for step in 0..20 {
                let rows = if step == 19 { rows / 2 } else { rows };
                let inputs = Tensor::rand([rows, 1, 4, 4], (Kind::Float, Device::Cpu));
                let labels = Tensor::randint(3, [rows], (Kind::Int64, Device::Cpu));
                let outcome = learner.step(&network, &Batch::new(inputs, labels), 1e-2).unwrap();
                let Outcome::Learned { loss, .. } = outcome else { panic!("a loss is a number") };
                losses.push(loss.double_value(&[]));
            }
            (losses, network.state())
        })
    }

    #[test]
    fn large_batches_leave_the_weights_of_autograd_to_the_bit() {
        let [direct, recorded] = both_ways("width=256,depth=3", 80);
        assert_eq!(direct, recorded);
    }

    #[test]
    fn small_batches_leave_the_weights_of_autograd_but_for_rounding() {
        let [(own_losses, own), (losses, weights)] = both_ways("width=16,depth=2", 8);
        let worst = own_losses.iter().zip(&losses).map(|(own, other)| (own - other).abs()).fold(0., f64::max);
        assert!(worst < 1e-5, "losses differ by {worst:e}");
        for (name, weight) in &weights {
            let difference = (&own[name] - weight).abs().max().double_value(&[]);
            assert!(difference < 1e-5, "{name} differs by {difference:e}");
        }
    }

    #[test]
    fn frozen_parameters_and_other_batches_go_the_usual_way() {
        let mut network = network("");
        let batch = |weight| {
            let inputs = Tensor::rand([2, 1, 4, 4], (Kind::Float, Device::Cpu));
            Batch { weight, ..Batch::new(inputs, Tensor::from_slice(&[0i64, 2])) }
        };
        let mut direct = direct(&network, |_| {}).unwrap();
        assert!(direct.forward(&batch(1.)).unwrap().is_some());
        assert!(direct.forward(&batch(0.5)).unwrap().is_none());
        network.train_only_head(true);
        assert!(direct.forward(&batch(1.)).unwrap().is_none());
    }
}
