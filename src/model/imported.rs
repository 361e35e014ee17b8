//! A TorchScript file that is trained as it is.

use std::cell::{Cell, RefCell};
use std::path::Path;

use cresset_bridge::script::Module;
use tch::{Device, Kind, Tensor};

use super::Task;
use super::script::{self, Class, INSIDE};
use crate::data::sha256;
use crate::error::{Error, Result, quoted};

/// A module that somebody else made, run by libtorch's interpreter.
pub(super) struct Imported {
    module: RefCell<Module>,
    is_training: Cell<bool>,
    /// Whether it gives a tuple, the logits first.
    gives_tuple: bool,
}

impl Imported {
    /// Loads a file, and fits its last layer to the classes; gives the SHA-256 of the file too.
    pub fn load(file: &Path, task: &Task, device: Device, seed: u64) -> Result<(Self, String)> {
        let fault = |problem: String| Error::artifact(file, problem);
        let (module, _) = script::load(file, device, &[])?;
        let bytes = std::fs::read(file).map_err(|e| fault(format!("cannot read the model: {e}")))?;
        let fingerprint = sha256(&bytes);
        let module = inside(module)?.ok_or_else(|| {
            fault(
                "cresset exported this model from one of its architectures; go on from its weights by \
                 `--model ARCHITECTURE --init FILE`"
                    .to_string(),
            )
        })?;
        if module.parameters()?.is_empty() {
            let problem =
                "the module has no parameters to train (a frozen one has lost them); save it before freezing";
            return Err(fault(problem.to_string()));
        }
        let result =
            module.result_type("forward").map_err(|e| fault(format!("it has no method `forward` ({e})")))?;
        let gives_tuple = result != "Tensor";
        let imported = Imported { module: RefCell::new(module), is_training: Cell::new(true), gives_tuple };
        imported.fit(task, device, seed).map_err(|problem| fault(problem.to_string()))?;
        Ok((imported, fingerprint))
    }

    /// Logits (N, classes).
    pub fn forward(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        if self.is_training.replace(train) != train {
            self.module.borrow_mut().set_training(train)?;
        }
        // The optimizing executor spends its first calls compiling and gains nothing on such modules; the setting is the
        // thread's.
        tch::jit::set_graph_executor_optimize(false);
        let mut results = self.module.borrow().call("forward", x)?;
        if results.is_empty() {
            return Err(Error::Usage("the imported model gives nothing".to_string()));
        }
        Ok(results.swap_remove(0))
    }

    /// The parameters, in the order of their definition.
    pub fn parameters(&self) -> Result<Vec<(String, Tensor)>> {
        Ok(self.module.borrow().parameters()?)
    }

    /// The buffers.
    pub fn buffers(&self) -> Result<Vec<(String, Tensor)>> {
        Ok(self.module.borrow().buffers()?)
    }

    /// A copy of the module within one of the class `name`, which has the method `method` for its logits, and what `dress`
    /// adds.
    pub fn wrapped(
        &self,
        dress: &dyn Fn(Class) -> Class,
        name: &'static str,
        method: &str,
    ) -> Result<Module> {
        let copy = self.module.borrow().copy()?;
        let first = if self.gives_tuple { "[0]" } else { "" };
        script::wrap(&copy, name, (method, &format!("((self.{INSIDE}).forward(x)){first}")), dress)
    }

    /// Tries the module on an example, and replaces its last layer if that gives another number of figures.
    fn fit(&self, task: &Task, device: Device, seed: u64) -> Result<()> {
        let outputs = self.outputs(task, device)?;
        if outputs == task.classes {
            return Ok(());
        }
        let parameters = self.parameters()?;
        let is_head = |(_, tensor): &&(String, Tensor)| tensor.dim() > 1 && tensor.size()[0] == outputs;
        let Some((weight, old)) = parameters.iter().rfind(is_head) else {
            let problem = format!(
                "the model gives {outputs} figures, but there are {} classes, and none of its parameters looks like a last \
                 layer that could be replaced",
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
                "the model gives {outputs} figures, but there are {} classes, and replacing {} did not change that",
                task.classes,
                quoted(weight)
            ))),
        }
    }

    /// The number of figures that it gives for an example.
    fn outputs(&self, task: &Task, device: Device) -> Result<i64> {
        let size: Vec<i64> = std::iter::once(2).chain(task.input.0.iter().copied()).collect();
        let example = Tensor::zeros(size, (Kind::Float, device));
        let result = tch::no_grad(|| self.forward(&example, false)).map_err(|error| {
            Error::Usage(format!("the model does not take examples of shape {} ({error})", task.input))
        })?;
        match result.size()[..] {
            [2, outputs] => Ok(outputs),
            ref size => Err(Error::Usage(format!(
                "of 2 examples the model makes a tensor of {size:?}, where logits (2, classes) are expected"
            ))),
        }
    }
}

/// The part of a loaded module that is to be trained: itself, or what cresset wrapped when it exported it. None of a module
/// that cresset exported from an architecture of its own, whose preprocessing would be done twice.
fn inside(module: Module) -> Result<Option<Module>> {
    match (module.child("preprocess")?, module.child(INSIDE)?) {
        (None, _) => Ok(Some(module)),
        (Some(_), inside) => Ok(inside),
    }
}

/// Values of a last layer's tensor of this size, for other classes, drawn uniformly from ±1/√(inputs of a unit) as
/// `torch.nn.Linear` does.
fn new_head(old: &[i64], classes: i64, fan_in: i64) -> Tensor {
    let size: Vec<i64> = std::iter::once(classes).chain(old[1..].iter().copied()).collect();
    let bound = 1. / (fan_in as f64).sqrt();
    Tensor::empty(size, (Kind::Float, Device::Cpu)).uniform_(-bound, bound)
}
