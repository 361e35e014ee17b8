//! Networks whose last layer is a k-nearest-neighbor classifier.

use tch::{Device, Tensor};

use super::body::Body;
use super::layer::Neighbors;
use super::network::is_in;
use super::{Architecture, Network, Task};
use crate::error::{Error, Result};

/// The name of the layer.
const NAME: &str = "knn";

/// Examples per forward pass of the last layer alone: the similarities take one value for each of them and each row of the bank.
const ROWS: i64 = 64;

impl Network {
    /// Like [`Network::new`], with a k-nearest-neighbor classifier in place of the last layer. Its bank is empty until
    /// [`Network::load_state`] or the fit of the head fills it.
    ///
    /// # Errors
    /// Those of [`Network::new`], and a last layer that is not fully connected.
    pub(crate) fn with_neighbors(
        architecture: &str,
        options: &str,
        task: &Task,
        temperature: f64,
        (device, seed): (Device, u64),
    ) -> Result<Self> {
        let architecture = Architecture::named(architecture)?;
        let (mut replaced, mut layer) = (String::new(), String::new());
        let mut network = Network::drawn(task, device, seed, |path| {
            let mut layers = architecture.layers(path, task, options)?;
            let mut names = layers.names();
            replaced = names.pop().unwrap_or_default();
            let (outer, last) = replaced.rsplit_once('.').unwrap_or(("", replaced.as_str()));
            let parts = outer.split('.').filter(|part| !part.is_empty());
            let outer_path = parts.fold(path.clone(), |path, part| path / part);
            let weight = (&outer_path / last).get("weight").filter(|weight| weight.dim() == 2);
            let width = weight.map(|weight| weight.size()[1]).ok_or_else(|| {
                Error::Usage(format!("the last layer of the model, `{replaced}`, is not fully connected"))
            })?;
            let neighbors = Neighbors::new(&(outer_path / NAME), width, task.classes, temperature);
            layers.replace_last(NAME, Box::new(neighbors));
            layer = if outer.is_empty() { NAME.to_string() } else { format!("{outer}.{NAME}") };
            names.push(layer.clone());
            Ok((Body::Layers(layers), names))
        })?;
        network.resizable = Neighbors::ROWS.map(|name| format!("{layer}.{name}")).to_vec();
        for tensors in [&mut network.state, &mut network.parameters, &mut network.trainable] {
            tensors.retain(|name, _| !is_in(name, &replaced));
        }
        Ok(network)
    }

    /// Whether the last layer is a k-nearest-neighbor classifier, which has no parameters to train.
    pub(crate) fn has_neighbors(&self) -> bool {
        !self.resizable.is_empty()
    }

    /// The output of the last layer of an architecture for its inputs, float32 (N, width) on any device: float32 (N, classes) on
    /// the same device.
    ///
    /// # Errors
    /// A model that is not a built-in architecture.
    pub(crate) fn logits_of_features(&self, features: &Tensor) -> Result<Tensor> {
        let last = self.layers().and_then(|layers| layers.last()).ok_or_else(|| {
            Error::Usage(
                "only the architectures that `cresset models` lists have a separate last layer".into(),
            )
        })?;
        let rows = features.size()[0];
        let part = |start: i64| {
            let inputs = features.narrow(0, start, ROWS.min(rows - start)).to_device(self.device());
            last.forward(&inputs, false).to_device(features.device())
        };
        Ok(tch::no_grad(|| Tensor::cat(&(0..rows).step_by(ROWS as usize).map(part).collect::<Vec<_>>(), 0)))
    }
}
