//! Changes of a network's tensors: loading, pruning, memory format, and float64; and of how its gradients are computed.

use tch::Kind;

use super::{BAG, Network, Tensors};
use crate::distributed::World;
use crate::error::{Error, Result};
use crate::model::layer::{Bag, Sequential};
use crate::model::pruning::{self, Cut};

impl Network {
    /// Uses the memory format channels last for kernels and inputs.
    pub(crate) fn use_channels_last(&mut self) -> Result<()> {
        self.is_channels_last = true;
        for (_, mut tensor) in self.state() {
            let value = cresset_bridge::memory::channels_last(&tensor.detach())?;
            tensor.set_data(&value);
        }
        Ok(())
    }

    /// Synchronizes batch normalization over all ranks of `world`.
    ///
    /// # Errors
    /// A model that is not a built-in architecture.
    pub(crate) fn synchronize_batch_norm(&mut self, world: &World) -> Result<()> {
        let Some(layers) = self.layers() else {
            let problem = "--sync-batch-norm works only with the architectures that `cresset models` lists";
            return Err(Error::Usage(problem.to_string()));
        };
        layers.synchronize(world);
        Ok(())
    }

    /// Computes the blocks of transformers of texts again in the backward pass (gradient checkpointing).
    ///
    /// # Errors
    /// A model without such blocks.
    pub(crate) fn recompute_blocks(&self) -> Result<()> {
        let mut has_blocks = false;
        if let Some(layers) = self.layers() {
            layers.for_each_layer(&mut |layer| has_blocks |= layer.recompute_blocks());
        }
        match has_blocks {
            true => Ok(()),
            false => Err(Error::Usage(
                "--gradient-checkpointing is for the transformers of texts: transformer, bert, distilbert, roberta and modernbert"
                    .to_string(),
            )),
        }
    }

    /// Continues the backward pass of a loss through the blocks that are computed again. `precision` is that of the autocast of the forward pass.
    ///
    /// # Errors
    /// What libtorch fails with.
    pub(crate) fn backward_blocks(&self, precision: Option<Kind>) -> Result<()> {
        let mut result = Ok(());
        if let Some(layers) = self.layers() {
            layers.for_each_layer(&mut |layer| {
                if result.is_ok() {
                    result = layer.backward_blocks(precision);
                }
            });
        }
        result
    }

    /// Copies values into the tensors of [`Network::state`].
    ///
    /// ```
    /// # use cresset::model::Task;
    /// # use cresset::prelude::*;
    /// # use tch::Device;
    /// # let task = Task::new(InputShape(vec![4]), 3);
    /// let source = Network::new("mlp", "width=8", &task, Device::Cpu, 0)?;
    /// let mut network = Network::new("mlp", "width=8", &task, Device::Cpu, 1)?;
    /// network.load_state(&source.state()).unwrap();
    /// assert_eq!(network.state()["fc1.weight"], source.state()["fc1.weight"]);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// A tensor that is missing, unknown, or of another shape.
    pub fn load_state(&mut self, from: &Tensors) -> std::result::Result<(), String> {
        let state = self.state();
        if let Some(name) = from.keys().find(|name| !state.contains_key(*name)) {
            return Err(format!("the model has no tensor `{name}`"));
        }
        tch::no_grad(|| {
            for (name, mut tensor) in state {
                let value = from.get(&name).ok_or_else(|| format!("the tensor `{name}` is missing"))?;
                if self.resizable.contains(&name) && value.size().get(1..) == tensor.size().get(1..) {
                    tensor.set_data(&value.copy().to_device(tensor.device()).to_kind(tensor.kind()));
                    continue;
                }
                if value.size() != tensor.size() {
                    return Err(format!(
                        "the tensor `{name}` is {:?}, but the model expects {:?}",
                        value.size(),
                        tensor.size()
                    ));
                }
                tensor.copy_(value);
            }
            Ok(())
        })
    }

    /// Removes the share `share` (above 0, below 1) of the least important channels and units of every layer that can be
    /// pruned. Input and logits keep their sizes.
    ///
    /// ```
    /// # use cresset::model::Task;
    /// # use cresset::prelude::*;
    /// # use tch::Device;
    /// # let task = Task::new(InputShape(vec![4]), 3);
    /// let mut network = Network::new("mlp", "width=8", &task, Device::Cpu, 0)?;
    /// network.prune(0.5)?;
    /// assert_eq!(network.state()["fc1.weight"].size(), [4, 4]);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// A model that is not a built-in architecture, and one without prunable layers.
    pub fn prune(&mut self, share: f64) -> Result<()> {
        if let Some(reason) = self.why_unprunable() {
            return Err(Error::Usage(format!("--prune: {reason}")));
        }
        for cut in self.cuts(share) {
            let tensor = self.state.get_mut(&cut.tensor).expect("a cut names a tensor of the model");
            let kept = cut.apply(&tensor.detach());
            tensor.set_data(&kept);
        }
        Ok(())
    }

    /// Why [`Network::prune`] fails; `None` if it does not.
    pub(crate) fn why_unprunable(&self) -> Option<&'static str> {
        if self.layers().is_none() {
            return Some("only the architectures that `cresset models` lists can be pruned");
        }
        let is_prunable = !self.cuts(0.5).is_empty();
        (!is_prunable).then_some("this model has no channels or hidden units that can be pruned")
    }

    /// What is cut to remove the share `share` of channels and units; of each member of a bag.
    fn cuts(&self, share: f64) -> Vec<Cut> {
        match self.members() {
            [] => self.layers().map_or(Vec::new(), |layers| pruning::cuts(layers, "", &self.state, share)),
            members => {
                let of = |(number, member): (usize, &Sequential)| {
                    pruning::cuts(member, &format!("{BAG}.{}", Bag::name(number)), &self.state, share)
                };
                (1..).zip(members).flat_map(of).collect()
            }
        }
    }

    /// Converts all floating-point tensors to float64, for numerical checks.
    pub fn double(&mut self) {
        for tensor in self.state.values_mut().filter(|tensor| tensor.is_floating_point()) {
            tensor.set_data(&tensor.to_kind(Kind::Double));
        }
    }
}
