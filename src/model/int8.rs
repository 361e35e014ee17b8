//! Quantized networks (int8).

use cresset_bridge::quantization::Scheme;
use cresset_bridge::script::Module;
use tch::{Device, Tensor};

use super::Network;
use super::body::{LOGITS, MEMBER_LOGITS, NAME};
use super::layer::combined_script;
use super::script::{self, Class, INSIDE};
use crate::data::TaskKind;
use crate::error::Result;

/// A quantized network: linear layers, convolutions and recurrent layers compute in int8, on the CPU only.
///
/// ```
/// use cresset::model::{Int8, Task};
/// use cresset::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// let task = Task::new(InputShape(vec![64]), 10);
/// let network = Network::new("mlp", "", &task, Device::Cpu, 0)?;
/// let quantized = Int8::of(&network, &[])?;
/// assert_eq!(quantized.scheme(), "dynamic");
/// let inputs = Tensor::rand([5, 64], (Kind::Float, Device::Cpu));
/// assert_eq!(quantized.forward(&inputs)?.size(), [5, 10]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Int8 {
    module: Module,
    scheme: Scheme,
    /// What is predicted, and the number of members of a bag, whose predictions are combined without integers.
    bag: Option<(TaskKind, usize)>,
}

impl Int8 {
    /// Quantizes a trained network. A network with convolutions is quantized statically: batches of preprocessed examples,
    /// `calibration`, (N, …) each, determine the activation ranges. Any other network is quantized dynamically: the ranges
    /// are computed for each batch.
    ///
    /// # Errors
    /// A network that libtorch cannot quantize.
    pub fn of(network: &Network, calibration: &[Tensor]) -> Result<Self> {
        let mut float = network.script(&Class::into_int8)?;
        let count = network.members().len();
        let bag = (count > 0).then_some((network.task().kind, count));
        let method = if bag.is_some() { MEMBER_LOGITS } else { LOGITS };
        float.define(&format!("def forward(self, x: Tensor) -> Tensor:\n    return self.{method}(x)\n"))?;
        float.set_training(false)?;
        let dynamic = float.observed(Scheme::Dynamic)?;
        if !dynamic.uses("aten::conv2d")? {
            return Ok(Int8 { module: dynamic.quantized(Scheme::Dynamic)?, scheme: Scheme::Dynamic, bag });
        }
        let observed = float.observed(Scheme::Static)?;
        for inputs in calibration {
            let inputs = inputs.to_device(Device::Cpu);
            tch::no_grad(|| observed.call("forward", &inputs))?;
        }
        Ok(Int8 { module: observed.quantized(Scheme::Static)?, scheme: Scheme::Static, bag })
    }

    /// The quantization scheme: `static` or `dynamic`.
    pub fn scheme(&self) -> &'static str {
        match self.scheme {
            Scheme::Dynamic => "dynamic",
            Scheme::Static => "static",
        }
    }

    /// Logits (N, classes) of preprocessed inputs (N, …) on the CPU; those of each member of a bag, (N, members, classes).
    pub fn forward(&self, inputs: &Tensor) -> Result<Tensor> {
        Ok(tch::no_grad(|| self.module.call("forward", inputs))?.remove(0))
    }

    /// The module for export, like [`Network::script`].
    pub fn script(&self, extend: &dyn Fn(Class) -> Class) -> Result<Module> {
        let inside = format!("(self.{INSIDE}).forward(x)");
        let Some((kind, members)) = self.bag else {
            return script::wrap(&self.module, NAME, (LOGITS, &inside), extend);
        };
        let combined = combined_script(kind, members);
        let method = format!(
            "  def {LOGITS}(self: {{class}}, x: Tensor) -> Tensor:\n    y = (self).{MEMBER_LOGITS}(x)\n    return {combined}\n"
        );
        let with_logits = |class: Class| extend(class.method(&method));
        script::wrap(&self.module, NAME, (MEMBER_LOGITS, &inside), &with_logits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::InputShape;
    use crate::model::layer::combined;
    use crate::model::tests::sizes::is_small;
    use crate::model::{ARCHITECTURES, Task};
    use tch::Kind;

    /// The classes are combined outside the quantized members.
    #[test]
    fn a_bag_of_integers_computes_nearly_the_same_and_returns_its_members() {
        for (name, kind) in
            [("cnn", TaskKind::Classification), ("mlp", TaskKind::Multilabel), ("mlp", TaskKind::Regression)]
        {
            let task = Task { kind, ..Task::new(InputShape(vec![1, 8, 8]), 3) };
            let bag = Network::bag(name, "", &task, 2, (Device::Cpu, 3)).unwrap();
            tch::manual_seed(0);
            let x = Tensor::rand([64, 1, 8, 8], (Kind::Float, Device::Cpu));
            tch::no_grad(|| (0..60).for_each(|_| drop(bag.forward(&x, true).unwrap())));
            let int8 = Int8::of(&bag, &[x.shallow_clone()]).unwrap();
            let members = tch::no_grad(|| bag.evaluated(&x)).unwrap();
            let found = int8.forward(&x).unwrap();
            assert_eq!(found.size(), [64, 2, 3], "{name}");
            let centered =
                |outputs: &Tensor| (outputs - outputs.mean_dim(0, true, Kind::Float)).flatten(0, -1);
            let (integers, floats) = (centered(&found), centered(&members));
            let cosine = (integers.dot(&floats) / (integers.norm() * floats.norm())).double_value(&[]);
            assert!(found != members && cosine > 0.7, "{name}: {cosine}");
            let module = int8.script(&|class| class).unwrap();
            assert_eq!(module.call(MEMBER_LOGITS, &x).unwrap()[0], found, "{name}");
            assert_eq!(module.call(LOGITS, &x).unwrap()[0], combined(&found, kind), "{name}");
        }
    }

    /// Backbones whose layers the smaller architectures do not have. libtorch takes up to half a minute for others.
    const BACKBONES: [&str; 3] = ["mobilenetv3_small_100", "regnety_002", "swin_t"];

    #[test]
    fn architectures_compute_nearly_the_same_with_integers() {
        let task = Task::new(InputShape(vec![1, 8, 8]), 10);
        let is_tried = |name: &str| is_small(name) || BACKBONES.contains(&name);
        for architecture in ARCHITECTURES.iter().filter(|known| is_tried(known.name)) {
            let network = Network::new(architecture.name, "", &task, Device::Cpu, 3).unwrap();
            tch::manual_seed(0);
            let x = Tensor::rand([64, 1, 8, 8], (Kind::Float, Device::Cpu));
            // Running statistics as after training; otherwise the activations of deep networks would be out of range.
            tch::no_grad(|| (0..60).for_each(|_| drop(network.forward(&x, true).unwrap())));
            let int8 = Int8::of(&network, &[x.shallow_clone()]).unwrap();
            let centered = |logits: Tensor| (&logits - logits.mean_dim(0, true, Kind::Float)).flatten(0, -1);
            let expected = centered(tch::no_grad(|| network.forward(&x, false).unwrap()));
            let found = centered(int8.forward(&x).unwrap());
            assert!(found != expected, "{} computes with floats", architecture.name);
            let cosine = (found.dot(&expected) / (found.norm() * expected.norm())).double_value(&[]);
            let is_deep = !["mlp", "cnn", "resnet9", "lstm", "gru", "vit"].contains(&architecture.name);
            // With random weights, deep networks give nearly the same output for all inputs, and seven bits per activation
            // resolve little of the difference.
            assert!(cosine > if is_deep { 0.2 } else { 0.7 }, "{}: {cosine}", architecture.name);
        }
    }
}
