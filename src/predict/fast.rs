//! A model's ways on a CPU: one without what takes time and changes no bit of its logits, and for many calls a faster one that
//! rounds differently.

use std::cell::OnceCell;

use cresset_bridge::kernels::compiled::{Batches, Compiled, scaled};
use cresset_bridge::script::Module;
use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::export::{Dtype, Metadata};
use crate::model::preprocessing::Preprocessing;

/// An exported module with its methods made ready.
pub(super) struct Fast {
    forward: Compiled,
    network: Option<Network>,
    /// None within where there is nothing to gain.
    folded: OnceCell<Option<Folded>>,
}

/// The network, or the whole where there is none, with its normalisation folded away and its layers by the fastest products.
struct Folded {
    for_few_rows: Compiled,
    for_many_rows: Option<Compiled>,
}

/// The network behind the preprocessing, which is computed in one pass.
struct Network {
    logits: Compiled,
    offset: Tensor,
    scale: Tensor,
    sizes: Vec<i64>,
}

impl Fast {
    /// None for a module that cannot be made ready, and where the kernel is switched off.
    pub fn of(module: &Module, metadata: &Metadata) -> Option<Self> {
        let forward = Compiled::new(module, "forward").ok()??;
        // The network of a file in fewer bits takes other numbers than preprocessing gives.
        let is_plain = metadata.variant.is_plain();
        let network = is_plain.then(|| Network::of(module, &metadata.preprocessing)).flatten();
        Some(Fast { forward, network, folded: OnceCell::new() })
    }

    /// From now on, takes the way for many calls, if the module has one.
    pub fn optimize(&self, module: &Module, metadata: &Metadata) {
        self.folded.get_or_init(|| {
            let (method, plain) = match &self.network {
                Some(network) => ("logits", &network.logits),
                None => ("forward", &self.forward),
            };
            // What is folded in fewer bits loses some of them.
            let is_float32 = metadata.variant.dtype == Dtype::F32 && !metadata.is_int8();
            if !is_float32 {
                return None;
            }
            let example = example(&metadata.preprocessing, self.network.is_some());
            let expected = plain.run(&example).ok()?;
            let folded = |batches| {
                let folded = Compiled::folded(module, method, batches).ok()??;
                is_close(&folded.run(&example).ok()?, &expected).then_some(folded)
            };
            Some(Folded { for_few_rows: folded(Batches::Small)?, for_many_rows: folded(Batches::Large) })
        });
    }

    /// Logits (N, classes) of raw inputs (N, …) on the CPU, without gradients.
    pub fn logits(&self, raw: &Tensor) -> Result<Tensor> {
        match &self.network {
            Some(network) if network.takes(raw) => match network.preprocessed(raw)? {
                Some(inputs) => self.run(&network.logits, &inputs),
                None => Ok(self.forward.run(raw)?),
            },
            None => self.run(&self.forward, raw),
            // Also says what is wrong with an input of another width.
            Some(_) => Ok(self.forward.run(raw)?),
        }
    }

    /// Runs what is folded, or else what it was made of, which has the last word on what cannot be run.
    fn run(&self, plain: &Compiled, input: &Tensor) -> Result<Tensor> {
        let folded = self.folded.get().and_then(Option::as_ref).map(|folded| folded.of(input));
        match folded.and_then(|folded| folded.run(input).ok()) {
            Some(logits) => Ok(logits),
            None => Ok(plain.run(input)?),
        }
    }
}

/// Rows from which the way for many is the faster one.
const MANY_ROWS: i64 = 16;

impl Folded {
    /// What is fastest for such an input.
    fn of(&self, input: &Tensor) -> &Compiled {
        let is_large = input.size().first().is_some_and(|rows| *rows >= MANY_ROWS);
        self.for_many_rows.as_ref().filter(|_| is_large).unwrap_or(&self.for_few_rows)
    }
}

/// Two made-up examples, preprocessed or raw.
fn example(preprocessing: &Preprocessing, is_preprocessed: bool) -> Tensor {
    let sizes: Vec<i64> = std::iter::once(2).chain(preprocessing.shape.0.iter().copied()).collect();
    let values =
        Tensor::linspace(-1., 2., sizes.iter().product::<i64>(), (Kind::Float, Device::Cpu)).view(&*sizes);
    if is_preprocessed { values } else { preprocessing.undo(&values) }
}

/// Whether logits differ by no more than rounding in many layers.
fn is_close(found: &Tensor, expected: &Tensor) -> bool {
    if found.size() != expected.size() {
        return false;
    }
    let greatest = |of: Tensor| of.abs().max().double_value(&[]);
    let difference = greatest(found - expected);
    difference.is_finite() && difference <= 1e-4 * greatest(expected.shallow_clone()).max(1.)
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
        let logits = Compiled::new(module, "logits").ok()??;
        let network = Network { logits, offset, scale, sizes };
        // The module's own preprocessing has the last word.
        let row = Tensor::linspace(-1., 2., preprocessing.shape.features(), (Kind::Float, Device::Cpu));
        let raw = (row.view(network.sizes.as_slice()) * &network.scale + &network.offset).unsqueeze(0);
        let own = module.child("preprocess").ok()??.call("forward", &raw).ok()?;
        (own[..] == [network.preprocessed(&raw).ok()??]).then_some(network)
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

    /// None where the kernel is switched off.
    fn preprocessed(&self, raw: &Tensor) -> Result<Option<Tensor>> {
        Ok(scaled(raw, &self.offset, &self.scale, &self.sizes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_that_differ_by_more_than_rounding_or_are_no_numbers_are_not_close() {
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
