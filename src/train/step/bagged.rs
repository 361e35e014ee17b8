//! The forward pass of a bag: each member learns from the examples outside its fold.

use tch::{Kind, Tensor};

use super::Context;
use crate::error::Result;
use crate::loader::Batch;
use crate::model::Network;
use crate::model::layer::Layer;

/// The sum of the losses of the members of a bag, each the mean loss of the examples that the member is trained on, so that the gradients
/// of a member are those of a single model.
pub struct Bagged {
    /// A scalar.
    pub loss: Tensor,
    /// The number of members in the sum.
    pub members: usize,
    /// The mean outputs of the members that are trained on each example, (N, outputs), without gradients.
    pub logits: Tensor,
}

/// Fewer examples would fail batch normalization, which needs the deviation of several.
const LEAST: i64 = 2;

/// Runs each member on the examples of the batch that are not in its fold. `folds` has the fold of each example, int64 (N).
pub fn bagged(context: &Context, network: &Network, batch: &Batch, folds: &Tensor) -> Result<Bagged> {
    let rows = folds.size()[0];
    let mut losses = Vec::new();
    let mut sum = Tensor::zeros([rows, network.classes() as i64], (Kind::Float, network.device()));
    let mut counts = Tensor::zeros([rows, 1], (Kind::Float, network.device()));
    for (fold, member) in (0i64..).zip(network.members()) {
        let own = folds.ne(fold).nonzero().squeeze_dim(1);
        let count = own.size()[0];
        if count < LEAST.min(rows) {
            continue;
        }
        let part = Batch::new(batch.inputs.index_select(0, &own), batch.labels.index_select(0, &own));
        let outputs = context.in_precision(network.device(), || Ok(member.forward(&part.inputs, true)))?;
        losses.push(context.objective.loss(&outputs, &part));
        let _ = sum.index_add_(0, &own, &context.objective.combined(&outputs.detach()));
        let _ = counts.index_add_(0, &own, &Tensor::ones([count, 1], (Kind::Float, network.device())));
    }
    Ok(Bagged {
        members: losses.len(),
        loss: Tensor::stack(&losses, 0).sum(None::<Kind>),
        logits: sum / counts.clamp_min(1.),
    })
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::data::InputShape;
    use crate::model::{Task, Tensors};
    use crate::train::{Learner, Plan};

    const ROWS: i64 = 12;

    /// A bag of three after four steps on the same batch; the labels of the fold `changed` are others.
    fn trained(optimizer: &str, changed: Option<i64>) -> Network {
        let task = Task::new(InputShape(vec![2]), 2);
        let network = Network::bag("mlp", "width=8", &task, 3, (Device::Cpu, 0)).unwrap();
        let batch = batch(changed);
        let plan = Plan { optimizer: optimizer.to_string(), ..Plan::new(1, ROWS as u32, 0.1) };
        let mut learner = Learner::new(&plan, &network).unwrap();
        learner.start_epoch(&network).unwrap();
        for _ in 0..4 {
            learner.step(&network, &batch, 0.1).unwrap();
        }
        network
    }

    fn batch(changed: Option<i64>) -> Batch {
        let place = Tensor::arange(ROWS, (Kind::Float, Device::Cpu));
        let inputs = Tensor::stack(&[&(&place * 0.7).sin(), &(&place * 1.3).cos()], 1);
        let folds = Tensor::arange(ROWS, (Kind::Int64, Device::Cpu)).remainder(3);
        let labels = inputs.select(1, 0).gt(0.).to_kind(Kind::Int64);
        let labels = match changed {
            Some(fold) => labels.where_self(&folds.ne(fold), &(1 - &labels)),
            None => labels,
        };
        Batch { folds: Some(folds), ..Batch::new(inputs, labels) }
    }

    /// The tensors of a member by their names in it.
    fn member(network: &Network, number: usize) -> Tensors {
        let prefix = format!("bag.member{number}.");
        let own = |(name, tensor): (String, Tensor)| Some((name.strip_prefix(&prefix)?.to_string(), tensor));
        network.state().into_iter().filter_map(own).collect()
    }

    #[test]
    fn a_member_learns_nothing_from_its_fold() {
        let (plain, changed) = (trained("adam", None), trained("adam", Some(1)));
        for number in 1..=3 {
            assert_eq!(member(&plain, number) == member(&changed, number), number == 2, "{number}");
        }
    }

    /// Also with SGD, whose steps are as long as the gradients.
    #[test]
    fn a_member_learns_as_a_single_model() {
        let task = Task::new(InputShape(vec![2]), 2);
        let start = Network::bag("mlp", "width=8", &task, 3, (Device::Cpu, 0)).unwrap();
        for optimizer in ["sgd", "adam"] {
            let bag = trained(optimizer, None);
            let mut single = Network::new("mlp", "width=8", &task, Device::Cpu, 0).unwrap();
            single.load_state(&member(&start, 3)).unwrap();
            let Batch { inputs, labels, folds, .. } = batch(None);
            let own = folds.unwrap().ne(2).nonzero().squeeze_dim(1);
            let part = Batch::new(inputs.index_select(0, &own), labels.index_select(0, &own));
            let plan = Plan { optimizer: optimizer.to_string(), ..Plan::new(1, 8, 0.1) };
            let mut learner = Learner::new(&plan, &single).unwrap();
            learner.start_epoch(&single).unwrap();
            for _ in 0..4 {
                learner.step(&single, &part, 0.1).unwrap();
            }
            for (name, tensor) in member(&bag, 3) {
                let difference = (&tensor - &single.state()[&name]).abs().max().double_value(&[]);
                assert!(difference < 1e-5, "{optimizer}: {name}: {difference}");
            }
        }
    }
}
