//! The parameters of a network by name: layers, blocks, the head, and which of them are trained.

use std::collections::BTreeSet;

use tch::Tensor;

use super::{BAG, Network, Tensors};
use crate::error::{Error, Result};
use crate::model::layer::ADAPTER;

/// The name of the last layer after a hidden one.
pub(super) const MLP_HEAD: &str = "mlp_head";

impl Network {
    /// Freezes all parameters but the adapters of `--lora` and the last layer.
    ///
    /// # Errors
    /// A model without adapters.
    pub(crate) fn train_only_adapters(&mut self) -> Result<()> {
        let is_adapter = |name: &str| name.contains(ADAPTER);
        if !self.trainable.keys().any(|name| is_adapter(name)) {
            let problem = "--lora requires --pretrained with a text encoder, such as bert";
            return Err(Error::Usage(problem.to_string()));
        }
        for (_, tensor) in self.trainable.iter().filter(|(name, _)| !is_adapter(name) && !self.is_head(name))
        {
            let _ = tensor.set_requires_grad(false);
        }
        self.trainable.retain(|_, tensor| tensor.requires_grad());
        Ok(())
    }

    /// The names of the parameters that have sparse gradients in training.
    pub(crate) fn sparse_parameters(&self) -> Vec<String> {
        self.layers().map_or(Vec::new(), |layers| layers.sparse_parameters(""))
    }

    /// All parameters and buffers, sorted by name, with the names of PyTorch's `state_dict()`.
    pub fn state(&self) -> Tensors {
        shallow_clones(&self.state).collect()
    }

    /// Whether the tensor of this name is a parameter (not a buffer).
    pub fn is_parameter(&self, name: &str) -> bool {
        self.parameters.contains_key(name)
    }

    /// The parameters that are not frozen, including those that [`Network::train_only_head`] disables for now.
    pub fn parameters(&self) -> Tensors {
        shallow_clones(&self.trainable).collect()
    }

    /// The blocks of the model from input to output, as name prefixes of parameters: `conv1`, `layer1`, …. The last one is
    /// the head.
    ///
    /// ```
    /// # use cresset::model::Task;
    /// # use cresset::prelude::*;
    /// # use tch::Device;
    /// # let task = Task::new(InputShape(vec![4]), 3);
    /// let network = Network::new("mlp", "width=8", &task, Device::Cpu, 0)?;
    /// assert_eq!(network.blocks(), ["fc1", "fc2"]);
    /// assert!(network.is_head("fc2.weight") && !network.is_head("fc1.weight"));
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    pub fn blocks(&self) -> Vec<String> {
        let mut blocks: Vec<String> = Vec::new();
        for name in &self.layer_names {
            let block = block(name);
            if !blocks.contains(&block) {
                blocks.push(block);
            }
        }
        blocks
    }

    /// Whether a parameter belongs to the last layer, which computes the logits. Each member of a bag has one.
    pub fn is_head(&self, name: &str) -> bool {
        self.layer_names.last().is_some_and(|head| is_in(in_member(name), in_member(head)))
    }

    /// The name of the last layer.
    pub(crate) fn head_name(&self) -> &str {
        self.layer_names.last().map_or("", String::as_str)
    }

    /// The number of members of the bag that has parameters with these names; 0 for a single model.
    pub(crate) fn bag_size<'a>(names: impl Iterator<Item = &'a String>) -> usize {
        let member = |name: &'a String| Some(of_bag(name)?.split_once('.')?.0);
        names.filter_map(member).collect::<BTreeSet<_>>().len()
    }

    /// The weight, (classes, width), and the bias, (classes), of the last layer.
    ///
    /// # Errors
    /// A last layer that is not fully connected, and one without a bias.
    pub(crate) fn head(&self) -> Result<(Tensor, Tensor)> {
        let layer = self.head_name();
        let tensor = |name: &str| self.parameters.get(&format!("{layer}.{name}"));
        match (tensor("weight"), tensor("bias")) {
            (Some(weight), Some(bias)) if weight.dim() == 2 && weight.size()[0] == self.task.classes => {
                Ok((weight.shallow_clone(), bias.shallow_clone()))
            }
            _ => Err(Error::Usage(format!(
                "the last layer of the model, `{layer}`, is not fully connected with a bias, so --head-only cannot fit it"
            ))),
        }
    }

    /// Freezes all parameters with one of these comma-separated name prefixes. Returns the number of frozen values.
    ///
    /// ```
    /// # use cresset::model::Task;
    /// # use cresset::prelude::*;
    /// # use tch::Device;
    /// # let task = Task::new(InputShape(vec![4]), 3);
    /// let mut network = Network::new("mlp", "width=8", &task, Device::Cpu, 0)?;
    /// assert_eq!(network.freeze("fc1")?, 4 * 8 + 8);
    /// assert!(network.parameters().keys().all(|name| name.starts_with("fc2")));
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// A prefix that matches no parameter.
    pub fn freeze(&mut self, prefixes: &str) -> Result<usize> {
        let mut frozen = 0;
        for prefix in prefixes.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let parameters = self.parameters().into_iter().filter(|(name, _)| is_in(name, prefix));
            let count: usize = parameters.map(|(_, tensor)| tensor.set_requires_grad(false).numel()).sum();
            if count == 0 {
                let blocks = self.blocks().join(", ");
                let problem =
                    format!("--freeze: the model has no parameters in `{prefix}`. Its blocks are {blocks}");
                return Err(Error::Usage(problem));
            }
            frozen += count;
        }
        self.trainable.retain(|_, tensor| tensor.requires_grad());
        Ok(frozen)
    }

    /// Trains only the last layer, or all parameters that are not frozen.
    ///
    /// ```
    /// # use cresset::model::Task;
    /// # use cresset::prelude::*;
    /// # use tch::Device;
    /// # let task = Task::new(InputShape(vec![4]), 3);
    /// let mut network = Network::new("mlp", "width=8", &task, Device::Cpu, 0)?;
    /// network.train_only_head(true);
    /// assert!(!network.state()["fc1.weight"].requires_grad());
    /// network.train_only_head(false);
    /// assert!(network.state()["fc1.weight"].requires_grad());
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    pub fn train_only_head(&mut self, only_head: bool) {
        for (name, tensor) in &self.trainable {
            let _ = tensor.set_requires_grad(!only_head || self.is_head(name));
        }
    }

    /// The total number of values of all parameters.
    pub fn parameter_count(&self) -> usize {
        self.parameters.values().map(Tensor::numel).sum()
    }
}

/// A name without that of the member of a bag.
fn in_member(name: &str) -> &str {
    of_bag(name).and_then(|rest| rest.split_once('.')).map_or(name, |(_, own)| own)
}

/// The number of the member and the rest of the name of a parameter of a bag.
fn of_bag(name: &str) -> Option<&str> {
    name.strip_prefix(BAG).and_then(|rest| rest.strip_prefix(".member"))
}

/// The layers of parameters, without duplicates: `fc` for `fc.weight` and `fc.bias`.
pub(super) fn layers_of<'a>(parameters: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut layers: Vec<String> =
        parameters.map(|name| name.rsplit_once('.').map_or(name, |(layer, _)| layer).to_string()).collect();
    layers.dedup();
    layers
}

/// The block of a layer: its name up to the first component that ends with a digit, such as `layer1` for `layer1.0.conv2`.
fn block(layer: &str) -> String {
    let mut length = 0;
    for part in layer.split('.') {
        length += part.len() + 1;
        if part.ends_with(|last: char| last.is_ascii_digit()) {
            break;
        }
    }
    layer[..length - 1].to_string()
}

/// Shallow clones of the tensors, with their names.
pub(super) fn shallow_clones(tensors: &Tensors) -> impl Iterator<Item = (String, Tensor)> {
    tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
}

/// Whether a dotted name is `prefix` or lies below it.
pub(in crate::model) fn is_in(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
