//! Layers. Each knows its forward pass in Rust, the names of its parameters, and the TorchScript that does the same, so
//! that a trained model and its export cannot disagree.

use tch::Tensor;
use tch::nn::{self, Init};

use super::script::{Class, Script};

/// A step of a model.
pub trait Layer: Send {
    /// The layer's output for `x`; batches come first (N, …). `train` switches what behaves otherwise in training, such
    /// as dropout.
    fn forward(&self, x: &Tensor, train: bool) -> Tensor;

    /// The same computation in TorchScript.
    fn script(&self) -> Script;
}

/// (N, …) to (N, values of an example).
#[derive(Debug)]
pub struct Flatten;

impl Layer for Flatten {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.flatten(1, -1)
    }

    fn script(&self) -> Script {
        Script::Expression("torch.flatten({x}, 1, -1)")
    }
}

/// The rectifier, max(x, 0), element by element.
#[derive(Debug)]
pub struct Relu;

impl Layer for Relu {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.relu()
    }

    fn script(&self) -> Script {
        Script::Expression("torch.relu({x})")
    }
}

/// x · weightᵀ + bias: (N, inputs) to (N, outputs).
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Makes `weight` (outputs, inputs) and `bias` (outputs) in `path`, drawn uniformly from ±1/√inputs as
    /// `torch.nn.Linear` does. (tch's own layer draws from wider bounds.)
    pub fn new(path: &nn::Path, inputs: i64, outputs: i64) -> Self {
        let bound = 1. / (inputs as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        Linear {
            weight: path.var("weight", &[outputs, inputs], init),
            bias: path.var("bias", &[outputs], init),
        }
    }
}

impl Layer for Linear {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }

    fn script(&self) -> Script {
        let forward = "  def forward(self: {class}, x: Tensor) -> Tensor:\n    return torch.linear(x, self.weight, self.bias)\n";
        Script::Class(
            Class::new("Linear", forward).parameter("weight", &self.weight).parameter("bias", &self.bias),
        )
    }
}

/// Named layers, one after the other.
#[derive(Default)]
pub struct Sequential(Vec<(&'static str, Box<dyn Layer>)>);

impl Sequential {
    /// Appends a layer. Its name is that of its parameters' path.
    pub fn then(mut self, name: &'static str, layer: impl Layer + 'static) -> Self {
        self.0.push((name, Box::new(layer)));
        self
    }

    /// The TorchScript class of this name, with the layers that have parameters as submodules, and a method that runs them.
    pub fn class(&self, name: &'static str, method: &str) -> Class {
        let mut expression = "x".to_string();
        let mut children = Vec::new();
        for (child, layer) in &self.0 {
            expression = match layer.script() {
                Script::Expression(template) => template.replace("{x}", &expression),
                Script::Class(class) => {
                    children.push((*child, class));
                    format!("(self.{child}).forward({expression})")
                }
            };
        }
        let forward =
            format!("  def {method}(self: {{class}}, x: Tensor) -> Tensor:\n    return {expression}\n");
        children.into_iter().fold(Class::new(name, forward), |class, (child, of)| class.child(child, of))
    }
}

impl Layer for Sequential {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let mut layers = self.0.iter();
        let first = layers.next().map_or_else(|| x.shallow_clone(), |(_, layer)| layer.forward(x, train));
        layers.fold(first, |x, (_, layer)| layer.forward(&x, train))
    }

    fn script(&self) -> Script {
        Script::Class(self.class("Sequential", "forward"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cresset_bridge::script::Module;
    use tch::{Device, Kind};

    /// The same logits from Rust and from TorchScript, in both modes and at several batch sizes.
    fn check(layer: impl Layer, shape: &[i64]) {
        let class = match layer.script() {
            Script::Class(class) => class,
            Script::Expression(template) => {
                let expression = template.replace("{x}", "x");
                Class::new(
                    "Only",
                    format!(
                        "  def forward(self: {{class}}, x: Tensor) -> Tensor:\n    return {expression}\n"
                    ),
                )
            }
        };
        let (source, name, values) = class.compile().unwrap();
        let mut module = Module::from_source(&source, &name, &values).unwrap();
        for train in [true, false] {
            module.set_training(train).unwrap();
            for batch in [1, 2, 64] {
                let sizes: Vec<i64> = std::iter::once(batch).chain(shape.iter().copied()).collect();
                let x = Tensor::randn(sizes, (Kind::Float, Device::Cpu));
                assert_eq!(layer.forward(&x, train), module.call("forward", &x).unwrap()[0]);
            }
        }
    }

    #[test]
    fn every_layer_computes_the_same_in_rust_and_in_torchscript() {
        let vs = nn::VarStore::new(Device::Cpu);
        let root = vs.root();
        check(Flatten, &[1, 8, 8]);
        check(Relu, &[5]);
        check(Linear::new(&(&root / "a"), 5, 3), &[5]);
        let inner =
            Sequential::default().then("fc", Linear::new(&(&root / "b" / "fc"), 5, 3)).then("relu", Relu);
        check(Sequential::default().then("b", inner).then("c", Linear::new(&(&root / "c"), 3, 2)), &[5]);
    }

    #[test]
    fn a_linear_layer_starts_within_pytorchs_bounds() {
        let vs = nn::VarStore::new(Device::Cpu);
        Linear::new(&vs.root(), 64, 1000);
        let largest = |name: &str| vs.root().get(name).unwrap().abs().max().double_value(&[]);
        for name in ["weight", "bias"] {
            assert!(largest(name) <= 1. / 8. && largest(name) > 0.99 / 8., "{}", largest(name));
        }
    }
}
