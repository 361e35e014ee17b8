//! Imported TorchScript modules, trained by libtorch's interpreter.

use std::cell::{Cell, RefCell};
use std::path::Path;

use cresset_bridge::script::Module;
use tch::{Device, Kind, Tensor};

use super::Task;
use super::script::{self, Class, INSIDE};
use crate::data::sha256;
use crate::error::{Error, Result, quoted};

/// An imported TorchScript module.
pub(super) struct Imported {
    module: RefCell<Module>,
    is_training: Cell<bool>,
    /// Whether it returns a tuple, with the logits as the first element.
    returns_tuple: bool,
}

impl Imported {
    /// Loads a file and replaces its last layer if the number of classes differs. Also returns the SHA-256 of the file.
    pub fn load(file: &Path, task: &Task, device: Device, seed: u64) -> Result<(Self, String)> {
        let fault = |problem: String| Error::artifact(file, problem);
        let (module, _) = script::load(file, device, &[])?;
        let bytes = std::fs::read(file).map_err(|e| fault(format!("cannot read the model: {e}")))?;
        let fingerprint = sha256(&bytes);
        let module = trainable_part(module)?.ok_or_else(|| {
            fault(
                "this model was exported from an architecture of cresset; continue from its weights with \
                 `--model ARCHITECTURE --init FILE`"
                    .to_string(),
            )
        })?;
        if module.parameters()?.is_empty() {
            let problem =
                "the module has no parameters to train (freezing removes them); save it before freezing";
            return Err(fault(problem.to_string()));
        }
        let result = module
            .result_type("forward")
            .map_err(|e| fault(format!("the module has no method `forward` ({e})")))?;
        let returns_tuple = result != "Tensor";
        let imported = Imported { module: RefCell::new(module), is_training: Cell::new(true), returns_tuple };
        imported.fit(task, device, seed).map_err(|problem| fault(problem.to_string()))?;
        Ok((imported, fingerprint))
    }

    /// Logits (N, classes).
    pub fn forward(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        if self.is_training.replace(train) != train {
            self.module.borrow_mut().set_training(train)?;
        }
        // The optimizing executor compiles in its first calls and is no faster on such modules. The setting is per thread.
        tch::jit::set_graph_executor_optimize(false);
        let mut results = self.module.borrow().call("forward", x)?;
        if results.is_empty() {
            return Err(Error::Usage("the imported model returns an empty tuple".to_string()));
        }
        Ok(results.swap_remove(0))
    }

    /// The parameters, in definition order.
    pub fn parameters(&self) -> Result<Vec<(String, Tensor)>> {
        Ok(self.module.borrow().parameters()?)
    }

    /// The buffers.
    pub fn buffers(&self) -> Result<Vec<(String, Tensor)>> {
        Ok(self.module.borrow().buffers()?)
    }

    /// A copy of the module, wrapped in a class `name` with the method `method` for the logits and the additions of `extend`.
    pub fn wrapped(
        &self,
        extend: &dyn Fn(Class) -> Class,
        name: &'static str,
        method: &str,
    ) -> Result<Module> {
        let copy = self.module.borrow().copy()?;
        let first = if self.returns_tuple { "[0]" } else { "" };
        script::wrap(&copy, name, (method, &format!("((self.{INSIDE}).forward(x)){first}")), extend)
    }

    /// Runs the module on an example, and replaces its last layer if the number of outputs is not the number of classes.
    fn fit(&self, task: &Task, device: Device, seed: u64) -> Result<()> {
        let outputs = self.outputs(task, device)?;
        if outputs == task.classes {
            return Ok(());
        }
        let parameters = self.parameters()?;
        let is_head = |(_, tensor): &&(String, Tensor)| tensor.dim() > 1 && tensor.size()[0] == outputs;
        let Some((weight, old)) = parameters.iter().rfind(is_head) else {
            let problem = format!(
                "the model has {outputs} outputs, but the data have {} classes, and no last layer to replace was found",
                task.classes
            );
            return Err(Error::Usage(problem));
        };
        let bias = weight.strip_suffix("weight").map(|layer| format!("{layer}bias"));
        let bias = parameters
            .iter()
            .find(|(name, tensor)| Some(name) == bias.as_ref() && tensor.numel() as i64 == outputs);
        tch::manual_seed(seed as i64);
        let fan_in = old.numel() as i64 / outputs;
        for (name, old) in [(weight, old)].into_iter().chain(bias.map(|(name, old)| (name, old))) {
            let drawn = new_head(&old.size(), task.classes, fan_in).to_device(device).set_requires_grad(true);
            self.module.borrow_mut().set_parameter(name, &drawn)?;
        }
        tracing::info!(layer = %weight, outputs, classes = task.classes, "replaced the last layer of the model");
        match self.outputs(task, device)? {
            outputs if outputs == task.classes => Ok(()),
            outputs => Err(Error::Usage(format!(
                "the model has {outputs} outputs, but the data have {} classes, and replacing {} did not change that",
                task.classes,
                quoted(weight)
            ))),
        }
    }

    /// The number of outputs.
    fn outputs(&self, task: &Task, device: Device) -> Result<i64> {
        let size: Vec<i64> = std::iter::once(2).chain(task.input.0.iter().copied()).collect();
        let example = Tensor::zeros(size, (Kind::Float, device));
        let result = tch::no_grad(|| self.forward(&example, false)).map_err(|error| {
            Error::Usage(format!("the model does not accept examples of shape {} ({error})", task.input))
        })?;
        match result.size()[..] {
            [2, outputs] => Ok(outputs),
            ref size => Err(Error::Usage(format!(
                "for 2 examples the model returns a tensor of shape {size:?}, but logits (2, classes) are expected"
            ))),
        }
    }
}

/// The part of a loaded module to train: the module itself, or the module that an earlier export wrapped. None for the export
/// of a built-in architecture, whose preprocessing would be applied twice.
fn trainable_part(module: Module) -> Result<Option<Module>> {
    match (module.child("preprocess")?, module.child(INSIDE)?) {
        (None, _) => Ok(Some(module)),
        (Some(_), wrapped) => Ok(wrapped),
    }
}

/// A new tensor of the last layer for another number of classes, initialized uniformly from ±1/√`fan_in` like
/// `torch.nn.Linear`. `old` is the size of the old tensor.
fn new_head(old: &[i64], classes: i64, fan_in: i64) -> Tensor {
    let size: Vec<i64> = std::iter::once(classes).chain(old[1..].iter().copied()).collect();
    let bound = 1. / (fan_in as f64).sqrt();
    Tensor::empty(size, (Kind::Float, Device::Cpu)).uniform_(-bound, bound)
}
