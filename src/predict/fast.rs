//! A model's way on a CPU without what takes time and changes no bit of its logits.

use cresset_bridge::compiled::{Compiled, scaled};
use cresset_bridge::script::Module;
use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::export::Metadata;
use crate::transform::Preprocessing;

/// An exported module with its methods made ready.
pub(super) struct Fast {
    forward: Compiled,
    network: Option<Network>,
}

/// The network behind the preprocessing, which is computed in one pass.
struct Network {
    logits: Compiled,
    offset: Tensor,
    scale: Tensor,
    sizes: Vec<i64>,
}

impl Fast {
    /// None for a module that cannot be made ready.
    pub fn of(module: &Module, metadata: &Metadata) -> Option<Self> {
        let forward = Compiled::new(module, "forward").ok()?;
        // The network of a file in fewer bits takes other numbers than preprocessing gives.
        let is_plain = metadata.variant.is_plain();
        let network = is_plain.then(|| Network::of(module, &metadata.preprocessing)).flatten();
        Some(Fast { forward, network })
    }

    /// Logits (N, classes) of raw inputs (N, …) on the CPU, without gradients.
    pub fn logits(&self, raw: &Tensor) -> Result<Tensor> {
        match &self.network {
            Some(network) if network.takes(raw) => network.logits(raw),
            // Also says what is wrong with an input of another width.
            _ => Ok(self.forward.run(raw)?),
        }
    }
}

impl Network {
    /// None for a module without a network of its own, such as one that was frozen, and for preprocessing that is more than a
    /// shift and a scale.
    fn of(module: &Module, preprocessing: &Preprocessing) -> Option<Self> {
        if preprocessing.fill.is_some() {
            return None;
        }
        let sizes = preprocessing.shape.0.clone();
        let (offset, scale) = preprocessing.tensors();
        let whole = |of: Tensor| match of.numel() {
            1 => of,
            _ => of.expand(sizes.as_slice(), false).contiguous(),
        };
        let (offset, scale) = (whole(offset), whole(scale));
        let logits = Compiled::new(module, "logits").ok()?;
        let network = Network { logits, offset, scale, sizes };
        // The module's own preprocessing has the last word.
        let row = Tensor::linspace(-1., 2., preprocessing.shape.features(), (Kind::Float, Device::Cpu));
        let raw = (row.view(network.sizes.as_slice()) * &network.scale + &network.offset).unsqueeze(0);
        let own = module.child("preprocess").ok()??.call("forward", &raw).ok()?;
        (own[..] == [network.preprocessed(&raw).ok()?]).then_some(network)
    }

    /// Whether inputs are as many examples of the model's size, flattened or not. What has another size, or may have, is left to
    /// the module's own preprocessing.
    fn takes(&self, raw: &Tensor) -> bool {
        let size = raw.size();
        let of_example = size.get(1..).unwrap_or_default();
        let is_grey = self.sizes.len() == 3 && self.sizes[0] == 1;
        of_example == self.sizes
            || of_example == [self.sizes.iter().product::<i64>()]
            || (is_grey && of_example == &self.sizes[1..])
    }

    fn preprocessed(&self, raw: &Tensor) -> Result<Tensor> {
        Ok(scaled(raw, &self.offset, &self.scale, &self.sizes)?)
    }

    fn logits(&self, raw: &Tensor) -> Result<Tensor> {
        Ok(self.logits.run(&self.preprocessed(raw)?)?)
    }
}
