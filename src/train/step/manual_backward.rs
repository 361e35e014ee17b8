//! Manual backward: the gradients of an MLP with cross-entropy by their formulas, without autograd. Where layers are small,
//! recording and replaying the forward pass costs more than computing it.

use cresset_bridge::kernels::perceptron::{Forward, Perceptron};
use tch::{Device, Tensor};

use super::{Context, StepOutcome};
use crate::error::Result;
use crate::loader::Batch;
use crate::model::{Network, perceptron};
use crate::train::options::Precision;

/// Forward and backward pass of an MLP in float32 on the CPU.
pub(crate) struct ManualBackward {
    perceptron: Perceptron,
    parameters: Vec<Tensor>,
}

impl ManualBackward {
    /// None for other models and losses, where options need autograd, and where the kernel is switched off.
    ///
    /// # Errors
    /// Parameters that are not float32 on the CPU.
    pub(crate) fn new_if_possible(context: &Context, network: &Network) -> Result<Option<Self>> {
        let options = &context.options;
        let is_possible = network.device() == Device::Cpu
            && options.precision == Precision::F32
            && options.accumulate == 1
            && context.objective.is_plain_cross_entropy()
            && context.distillation.is_none()
            // Gradients are averaged over processes by hooks of autograd.
            && context.world.is_alone();
        let Some(layers) = perceptron::layers(network, true).filter(|_| is_possible) else { return Ok(None) };
        let parameters: Vec<_> =
            layers.iter().flat_map(|(weight, bias)| [weight.shallow_clone(), bias.shallow_clone()]).collect();
        let perceptron = Perceptron::for_training(layers)?;
        Ok(perceptron.map(|perceptron| ManualBackward { perceptron, parameters }))
    }

    /// A step; none for a batch that needs the eager one: mixed or weighted batches, several labels an example, frozen
    /// parameters, and a loss that is NaN or infinite, which the eager step reports.
    pub fn step(
        &mut self,
        context: &mut Context,
        network: &Network,
        batch: &Batch,
        lr: f64,
    ) -> Result<Option<StepOutcome>> {
        if !self.takes(batch) {
            return Ok(None);
        }
        let Forward { value, loss, logits } = self.perceptron.forward(&batch.inputs, &batch.labels)?;
        if !value.is_finite() {
            return Ok(None);
        }
        self.perceptron.backward()?;
        context.accumulated += 1;
        context.update(network, lr)?;
        Ok(Some(StepOutcome::Learned { loss, logits }))
    }

    fn takes(&self, batch: &Batch) -> bool {
        let is_plain = batch.mixed.is_none() && batch.weight == 1. && batch.labels.dim() == 1;
        is_plain && self.parameters.iter().all(Tensor::requires_grad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    use crate::data::InputShape;
    use crate::model::{Task, Tensors};
    use crate::train::step::Step;
    use crate::train::{Learner, Plan};

    fn network(options: &str) -> Network {
        let task = Task::new(InputShape(vec![1, 4, 4]), 3);
        Network::new("mlp", options, &task, Device::Cpu, 1).unwrap()
    }

    fn manual(network: &Network, change: impl FnOnce(&mut Plan)) -> Option<ManualBackward> {
        let mut plan = Plan::new(10, 32, 0.001);
        change(&mut plan);
        let context = Context::new(&plan, network).unwrap();
        ManualBackward::new_if_possible(&context, network).unwrap()
    }

    #[test]
    fn it_is_possible_for_mlps_with_plain_cross_entropy_only() {
        for options in ["", "depth=0", "depth=3"] {
            assert!(manual(&network(options), |_| {}).is_some(), "{options}");
        }
        assert!(manual(&network("dropout=0.5"), |_| {}).is_none());
        let task = Task::new(InputShape(vec![1, 8, 8]), 3);
        assert!(manual(&Network::new("cnn", "", &task, Device::Cpu, 1).unwrap(), |_| {}).is_none());
        let refused: [fn(&mut Plan); 5] = [
            |plan| plan.options.loss = "focal".into(),
            |plan| plan.options.loss_options = "smoothing=0.1".into(),
            |plan| plan.class_weights = Some(vec![1., 2., 3.]),
            |plan| plan.options.precision = Precision::Bf16,
            |plan| plan.options.accumulate = 2,
        ];
        for change in refused {
            assert!(manual(&network(""), change).is_none());
        }
    }

    /// Twenty steps with a smaller batch at the end, with and without autograd.
    fn both_ways(options: &str, rows: i64) -> [(Vec<f64>, Tensors); 2] {
        [true, false].map(|is_manual| {
            let network = network(options);
            let mut learner = Learner::new(&Plan::new(10, 32, 0.001), &network).unwrap();
            if !is_manual {
                learner.step = Some(Step::Eager);
            }
            tch::manual_seed(2);
            let mut losses = Vec::new();
            for step in 0..20 {
                let rows = if step == 19 { rows / 2 } else { rows };
                let inputs = Tensor::rand([rows, 1, 4, 4], (Kind::Float, Device::Cpu));
                let labels = Tensor::randint(3, [rows], (Kind::Int64, Device::Cpu));
                let outcome = learner.step(&network, &Batch::new(inputs, labels), 1e-2).unwrap();
                let StepOutcome::Learned { loss, .. } = outcome else { panic!("a loss is a number") };
                losses.push(loss.double_value(&[]));
            }
            assert_eq!(matches!(learner.step, Some(Step::ManualBackward(_))), is_manual);
            (losses, network.state())
        })
    }

    #[test]
    fn large_batches_match_autograd_exactly() {
        let [manual, eager] = both_ways("width=256,depth=3", 80);
        assert_eq!(manual, eager);
    }

    #[test]
    fn small_batches_match_autograd_up_to_rounding() {
        let [(own_losses, own), (losses, weights)] = both_ways("width=16,depth=2", 8);
        let worst = own_losses.iter().zip(&losses).map(|(own, other)| (own - other).abs()).fold(0., f64::max);
        assert!(worst < 1e-5, "losses differ by {worst:e}");
        for (name, weight) in &weights {
            let difference = (&own[name] - weight).abs().max().double_value(&[]);
            assert!(difference < 1e-5, "{name} differs by {difference:e}");
        }
    }

    #[test]
    fn frozen_parameters_and_other_batches_take_the_eager_step() {
        let mut network = network("");
        let batch = |weight| {
            let inputs = Tensor::rand([2, 1, 4, 4], (Kind::Float, Device::Cpu));
            Batch { weight, ..Batch::new(inputs, Tensor::from_slice(&[0i64, 2])) }
        };
        let manual = manual(&network, |_| {}).unwrap();
        assert!(manual.takes(&batch(1.)));
        assert!(!manual.takes(&batch(0.5)));
        network.train_only_head(true);
        assert!(!manual.takes(&batch(1.)));
    }
}
