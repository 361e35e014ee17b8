//! Compiled inference on a CPU: the module's methods with less overhead and the same bits, and for many calls an optimized version
//! that rounds differently.

use std::cell::OnceCell;

use cresset_bridge::kernels::compiled::{Batches, Compiled, scaled};
use cresset_bridge::script::Module;
use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::export::{Dtype, Metadata};
use crate::model::Outputs;
use crate::model::preprocessing::Preprocessing;

/// An exported module with compiled methods.
pub(super) struct CompiledModel {
    forward: Compiled,
    network: Option<CompiledNetwork>,
    /// Set by [`CompiledModel::optimize`]; `None` inside if the model cannot be optimized.
    folded: OnceCell<Option<FoldedModel>>,
}

/// The network, or the whole module if there is no separate network, with batch normalization folded into the layers and the
/// fastest matrix products.
struct FoldedModel {
    small_batches: Compiled,
    large_batches: Option<Compiled>,
}

/// The network without the preprocessing, which is computed in one pass.
struct CompiledNetwork {
    logits: Compiled,
    offset: Tensor,
    scale: Tensor,
    sizes: Vec<i64>,
}

impl CompiledModel {
    /// `None` for a module that cannot be compiled, and where the kernel is switched off.
    pub fn of(module: &Module, metadata: &Metadata) -> Option<Self> {
        let forward = Compiled::new(module, "forward").ok()??;
        // In reduced precision, the network takes another dtype than preprocessing returns.
        let is_plain = metadata.variant.is_plain();
        let network = is_plain.then(|| CompiledNetwork::of(module, &metadata.preprocessing)).flatten();
        Some(CompiledModel { forward, network, folded: OnceCell::new() })
    }

    /// Optimizes the module for many calls, if possible.
    pub fn optimize(&self, module: &Module, metadata: &Metadata) {
        self.folded.get_or_init(|| {
            let (method, unfolded) = match &self.network {
                Some(network) => ("logits", &network.logits),
                None => ("forward", &self.forward),
            };
            // Folding in reduced precision would lose accuracy.
            let is_float32 = metadata.variant.dtype == Dtype::F32 && !metadata.is_int8();
            if !is_float32 {
                return None;
            }
            let example = example(&metadata.preprocessing, self.network.is_some());
            let expected = unfolded.run(&example).ok()?;
            let folded = |batches| {
                let folded = Compiled::folded(module, method, batches).ok()??;
                is_close(&folded.run(&example).ok()?, &expected).then_some(folded)
            };
            Some(FoldedModel {
                small_batches: folded(Batches::Small)?,
                large_batches: folded(Batches::Large),
            })
        });
    }

    /// Logits or numbers (N, outputs) of raw inputs (N, …) on the CPU, without gradients.
    pub fn logits(&self, raw: &Tensor, outputs: &Outputs) -> Result<Tensor> {
        match &self.network {
            Some(network) if network.takes(raw) => match network.preprocessed(raw)? {
                Some(inputs) => Ok(outputs.results(&self.run(&network.logits, &inputs)?)),
                None => Ok(self.forward.run(raw)?),
            },
            None => self.run(&self.forward, raw),
            // Reports an input of the wrong size.
            Some(_) => Ok(self.forward.run(raw)?),
        }
    }

    /// Runs the folded model, or `unfolded` if there is none or it fails.
    fn run(&self, unfolded: &Compiled, input: &Tensor) -> Result<Tensor> {
        let folded = self.folded.get().and_then(Option::as_ref).map(|folded| folded.for_batch(input));
        match folded.and_then(|folded| folded.run(input).ok()) {
            Some(logits) => Ok(logits),
            None => Ok(unfolded.run(input)?),
        }
    }
}

/// The smallest batch size for which [`FoldedModel::large_batches`] is faster.
const LARGE_BATCH: i64 = 16;

impl FoldedModel {
    /// The fastest version for a batch of this size.
    fn for_batch(&self, input: &Tensor) -> &Compiled {
        let is_large = input.size().first().is_some_and(|rows| *rows >= LARGE_BATCH);
        self.large_batches.as_ref().filter(|_| is_large).unwrap_or(&self.small_batches)
    }
}

/// A batch of two synthetic examples, preprocessed or raw.
fn example(preprocessing: &Preprocessing, is_preprocessed: bool) -> Tensor {
    let sizes: Vec<i64> = std::iter::once(2).chain(preprocessing.output().0).collect();
    let values =
        Tensor::linspace(-1., 2., sizes.iter().product::<i64>(), (Kind::Float, Device::Cpu)).view(&*sizes);
    if is_preprocessed { values } else { preprocessing.undo(&values) }
}

/// Whether the logits are equal up to rounding errors accumulated over many layers.
fn is_close(found: &Tensor, expected: &Tensor) -> bool {
    if found.size() != expected.size() {
        return false;
    }
    let max_abs = |tensor: Tensor| tensor.abs().max().double_value(&[]);
    let difference = max_abs(found - expected);
    difference.is_finite() && difference <= 1e-4 * max_abs(expected.shallow_clone()).max(1.)
}

impl CompiledNetwork {
    /// `None` for a module without a separate network, such as a frozen one, and for preprocessing that does more than shift and
    /// scale.
    fn of(module: &Module, preprocessing: &Preprocessing) -> Option<Self> {
        if preprocessing.fill.is_some()
            || preprocessing.quantiles.is_some()
            || !preprocessing.missing.is_empty()
        {
            return None;
        }
        let sizes = preprocessing.shape.0.clone();
        let (offset, scale) = preprocessing.tensors();
        let expand = |tensor: Tensor| match tensor.numel() {
            1 => tensor,
            _ => tensor.expand(sizes.as_slice(), false).contiguous(),
        };
        let (offset, scale) = (expand(offset), expand(scale));
        let logits = Compiled::new(module, "logits").ok()??;
        let network = CompiledNetwork { logits, offset, scale, sizes };
        // Use this path only if it matches the module's preprocessing exactly.
        let row = Tensor::linspace(-1., 2., preprocessing.shape.features(), (Kind::Float, Device::Cpu));
        let raw = (row.view(network.sizes.as_slice()) * &network.scale + &network.offset).unsqueeze(0);
        let expected = module.child("preprocess").ok()??.call("forward", &raw).ok()?;
        (expected[..] == [network.preprocessed(&raw).ok()??]).then_some(network)
    }

    /// Whether the examples have exactly the model's input size, flattened or not. Other sizes are handled by the module's
    /// preprocessing.
    fn takes(&self, raw: &Tensor) -> bool {
        let size = raw.size();
        let example = size.get(1..).unwrap_or_default();
        let is_grayscale = self.sizes.len() == 3 && self.sizes[0] == 1;
        example == self.sizes
            || example == [self.sizes.iter().product::<i64>()]
            || (is_grayscale && example == &self.sizes[1..])
    }

    /// None where the kernel is switched off.
    fn preprocessed(&self, raw: &Tensor) -> Result<Option<Tensor>> {
        Ok(scaled(raw, &self.offset, &self.scale, &self.sizes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_that_differ_by_more_than_rounding_or_are_nan_are_not_close() {
        let logits = |values: [f32; 2]| Tensor::from_slice(&values);
        let expected = logits([-40., 1.]);
        assert!(is_close(&logits([-40., 1.003]), &expected) && !is_close(&logits([-40., 1.005]), &expected));
        for other in [f32::NAN, f32::INFINITY] {
            assert!(
                !is_close(&logits([-40., other]), &expected) && !is_close(&expected, &logits([-40., other]))
            );
        }
        assert!(!is_close(&expected.narrow(0, 0, 1), &expected));
    }
}
