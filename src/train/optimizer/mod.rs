//! The rules that turn gradients into steps, on libtorch's fused kernels.

mod adam;
mod sgd;

use cresset_bridge::optimizer::Group;
use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::model::Tensors;

/// Updates the parameters that it was built with.
pub trait Optimizer: Send {
    /// One step on the gradients that the last backward pass left.
    fn step(&mut self, lr: f64) -> Result<()>;

    /// Forgets the gradients.
    fn clear_gradients(&mut self) -> Result<()>;

    /// Its memory, under names such as `exp_avg.fc1.weight`. The tensors are the optimizer's own: copying into them sets
    /// its memory.
    fn state(&self) -> &Tensors;
}

/// An optimizer that is known by name.
///
/// To add one, write a file beside `adam.rs` with a constant of this type and put it in [`OPTIMIZERS`].
pub struct OptimizerKind {
    /// Its name, as `--optimizer` takes it.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// Makes one for parameters by name.
    pub build: fn(&Tensors) -> Result<Box<dyn Optimizer>>,
}

/// All optimizers.
pub const OPTIMIZERS: &[OptimizerKind] = &[adam::ADAM, sgd::SGD];

/// Makes the optimizer of this name.
///
/// # Errors
/// An unknown name.
pub fn build(name: &str, parameters: &Tensors) -> Result<Box<dyn Optimizer>> {
    let known = OPTIMIZERS.iter().find(|known| known.name == name);
    (known.ok_or_else(|| Error::Usage(format!("there is no optimizer `{name}`")))?.build)(parameters)
}

/// Copies a checkpoint's values into an optimizer's memory.
///
/// # Errors
/// A tensor that is missing or of another shape; it is named.
pub fn load_state(optimizer: &dyn Optimizer, from: &Tensors) -> std::result::Result<(), String> {
    for (name, tensor) in optimizer.state() {
        let value = from.get(name).filter(|value| value.size() == tensor.size());
        let value =
            value.ok_or_else(|| format!("the optimizer's tensor `{name}` is missing or of another shape"))?;
        tensor.shallow_clone().copy_(value);
    }
    Ok(())
}

/// Parameters with two tensors of memory each, as the fused kernels want them.
struct Slots {
    group: Group,
    state: Tensors,
}

impl Slots {
    /// Memory of zeros, called `first.…` and `second.…` after the names given.
    fn new(parameters: &Tensors, first: &str, second: Option<&str>) -> Result<Self> {
        let device = parameters.values().next().map_or(tch::Device::Cpu, Tensor::device);
        let step = Tensor::zeros([], (Kind::Float, device));
        let mut group = Group::new(&step);
        let mut state = Tensors::from([("step".to_string(), step)]);
        for (name, parameter) in parameters {
            let zeros = || parameter.detach().zeros_like();
            let (a, b) = (zeros(), second.map(|_| zeros()));
            group.add(parameter, &a, b.as_ref().unwrap_or(&a))?;
            state.insert(format!("{first}.{name}"), a);
            if let (Some(second), Some(b)) = (second, b) {
                state.insert(format!("{second}.{name}"), b);
            }
        }
        Ok(Slots { group, state })
    }
}
