//! A model with its parameters.

use std::collections::BTreeMap;
use std::path::Path;

use cresset_bridge::script::Module;
use tch::{Device, Kind, Tensor, nn};

use super::body::Body;
use super::imported::Imported;
use super::layer::{LayerRow, Sequential};
use super::script::Class;
use super::{Architecture, Model, Task, perceptron, pruning};
use crate::data::InputShape;
use crate::distributed::World;
use crate::error::{Error, Result};

/// Tensors by name, in the order of their names.
pub type Tensors = BTreeMap<String, Tensor>;

/// A model, with its parameters on a device.
pub struct Network {
    task: Task,
    body: Body,
    device: Device,
    state: Tensors,
    /// The parameters.
    parameters: Tensors,
    /// Those that are trained at some time.
    trainable: Tensors,
    /// The layers that have parameters, from the input to the output.
    layer_names: Vec<String>,
    is_channels_last: bool,
    fingerprint: Option<String>,
}

impl Network {
    /// Makes the architecture of this name with these options, with its parameters drawn from libtorch's generator as
    /// seeded by `seed`.
    ///
    /// # Errors
    /// An unknown name, faulty options, and a task that the architecture is not for.
    pub fn new(architecture: &str, options: &str, task: &Task, device: Device, seed: u64) -> Result<Self> {
        let architecture = Architecture::named(architecture)?;
        Network::drawn(task, device, seed, |path| {
            let layers = architecture.layers(path, task, options)?;
            let names = layers.names();
            Ok((Body::Layers(layers), names))
        })
    }

    /// A model of one's own: `build` makes it, with its parameters in the path that it is given, which are drawn as
    /// seeded by `seed`. It is exported by recording what it computes, so it must not read sizes that depend on the number
    /// of rows: `x.flatten(1, -1)` instead of `x.view([x.size()[0], -1])`.
    pub fn of<M: Model + 'static>(
        task: &Task,
        device: Device,
        seed: u64,
        build: impl FnOnce(&nn::Path) -> M,
    ) -> Result<Self> {
        Network::drawn(task, device, seed, |path| Ok((Body::Own(Box::new(build(path))), Vec::new())))
    }

    /// A TorchScript file as it is. If it gives another number of figures than there are classes, its last layer is
    /// replaced by one that is drawn as seeded by `seed`.
    ///
    /// # Errors
    /// A file that is no TorchScript, has no parameters, or does not take such inputs; a last layer that cannot be found.
    pub fn imported(file: &Path, task: &Task, device: Device, seed: u64) -> Result<Self> {
        let (imported, fingerprint) = Imported::load(file, task, device, seed)?;
        let parameters = imported.parameters()?;
        let layer_names = layers_of(parameters.iter().map(|(name, _)| name.as_str()));
        let parameters: Tensors = parameters.into_iter().collect();
        let state = imported.buffers()?.into_iter().chain(copied(&parameters)).collect();
        let network = Network::made(task, device, Body::Imported(imported), state, parameters, layer_names);
        Ok(Network { fingerprint: Some(fingerprint), ..network })
    }

    fn drawn(
        task: &Task,
        device: Device,
        seed: u64,
        build: impl FnOnce(&nn::Path) -> Result<(Body, Vec<String>)>,
    ) -> Result<Self> {
        // Drawn on the CPU, so that a run starts from the same weights on every device.
        tch::manual_seed(seed as i64);
        let mut store = nn::VarStore::new(Device::Cpu);
        let (body, mut layer_names) = build(&store.root())?;
        store.set_device(device);
        let state: Tensors = store.variables().into_iter().collect();
        let trained = state.iter().filter(|(_, tensor)| tensor.requires_grad());
        let parameters: Tensors =
            trained.map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
        if layer_names.is_empty() {
            // The store knows the order in which the parameters were made.
            let name_of = |made: &Tensor| {
                parameters.iter().find(|(_, known)| known.data_ptr() == made.data_ptr()).map(|(name, _)| name)
            };
            let names: Vec<_> = store.trainable_variables().iter().filter_map(name_of).collect();
            layer_names = layers_of(names.into_iter().map(String::as_str));
        }
        Ok(Network::made(task, device, body, state, parameters, layer_names))
    }

    fn made(
        task: &Task,
        device: Device,
        body: Body,
        state: Tensors,
        parameters: Tensors,
        layer_names: Vec<String>,
    ) -> Self {
        let trainable = copied(&parameters).collect();
        Network {
            task: task.clone(),
            body,
            device,
            state,
            parameters,
            trainable,
            layer_names,
            is_channels_last: false,
            fingerprint: None,
        }
    }

    /// Logits (N, classes) of preprocessed inputs (N, …).
    ///
    /// # Errors
    /// What an imported model fails with.
    pub fn forward(&self, inputs: &Tensor, train: bool) -> Result<Tensor> {
        if self.is_channels_last {
            // The layout is no matter of the values: if it cannot be had, the inputs go in as they are.
            let inputs =
                cresset_bridge::memory::channels_last(inputs).unwrap_or_else(|_| inputs.shallow_clone());
            return self.body.forward(&inputs, train);
        }
        self.body.forward(inputs, train)
    }

    /// The same outside of training, by the fastest way: while no gradients are recorded, logits may differ from those of
    /// [`Network::forward`], whose bits the exported model has, by rounding.
    ///
    /// # Errors
    /// What an imported model fails with.
    pub fn infer(&self, inputs: &Tensor) -> Result<Tensor> {
        match perceptron::infer(self, inputs)? {
            Some(logits) => Ok(logits),
            None => self.forward(inputs, false),
        }
    }

    /// The network as a TorchScript module on the CPU: an instance of `Classifier`, with its parameters, the method
    /// `logits`, also `penultimate` (what the last layer is given) if its last layer can be told, and what `dress` adds to
    /// the class.
    ///
    /// # Errors
    /// A model of one's own that computes something else when its recording is run.
    pub fn script(&self, dress: &dyn Fn(Class) -> Class) -> Result<Module> {
        self.body.script(self, dress)
    }

    /// The task that it was made for.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.task.classes as usize
    }

    /// The layers of an architecture; none of a model that was imported or is one's own.
    pub fn layers(&self) -> Option<&Sequential> {
        match &self.body {
            Body::Layers(layers) => Some(layers),
            _ => None,
        }
    }

    /// SHA-256 of the file of an imported model, in hexadecimal.
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// All parameters and buffers in the order of their names, which are those of PyTorch's `state_dict()`.
    pub fn state(&self) -> Tensors {
        copied(&self.state).collect()
    }

    /// Whether the tensor of this name is a parameter and no buffer.
    pub fn is_parameter(&self, name: &str) -> bool {
        self.parameters.contains_key(name)
    }

    /// The ones of [`Network::state`] that are trained, now or later.
    pub fn parameters(&self) -> Tensors {
        copied(&self.trainable).collect()
    }

    /// The blocks of the model, from the input to the output, by the beginnings of their parameters' names: `conv1`,
    /// `layer1`, …; the last one is the head.
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

    /// Whether a parameter is of the last layer, which gives the logits.
    pub fn is_head(&self, name: &str) -> bool {
        self.layer_names.last().is_some_and(|head| is_of(name, head))
    }

    /// Leaves all parameters as they are whose names begin with one of these; gives the number of those values.
    ///
    /// # Errors
    /// A beginning that no parameter has.
    pub fn freeze(&mut self, beginnings: &str) -> Result<usize> {
        let mut frozen = 0;
        for beginning in beginnings.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let parameters = self.parameters().into_iter().filter(|(name, _)| is_of(name, beginning));
            let count: usize = parameters.map(|(_, tensor)| tensor.set_requires_grad(false).numel()).sum();
            if count == 0 {
                let blocks = self.blocks().join(", ");
                let problem =
                    format!("--freeze: the model has no parameters in `{beginning}`. It has {blocks}");
                return Err(Error::Usage(problem));
            }
            frozen += count;
        }
        self.trainable.retain(|_, tensor| tensor.requires_grad());
        Ok(frozen)
    }

    /// Trains the last layer alone, or everything that is not frozen.
    pub fn train_only_head(&mut self, only_head: bool) {
        for (name, tensor) in &self.trainable {
            let _ = tensor.set_requires_grad(!only_head || self.is_head(name));
        }
    }

    /// Whether it is made of convolutions above all, as far as is known of it. One alone, as that of a vision transformer, cuts patches.
    pub fn is_convolutional(&self) -> bool {
        let kernels = self.parameters.iter().filter(|(_, tensor)| tensor.dim() == 4);
        self.layers().is_some() && kernels.count() > 1
    }

    /// Keeps the channels of a place side by side in memory, in kernels and inputs.
    pub fn use_channels_last(&mut self) -> Result<()> {
        self.is_channels_last = true;
        for (_, mut tensor) in self.state() {
            let value = cresset_bridge::memory::channels_last(&tensor.detach())?;
            tensor.set_data(&value);
        }
        Ok(())
    }

    /// Normalises the batches of all processes of `world` as one (synchronised batch normalization).
    ///
    /// # Errors
    /// A model whose layers are not known.
    pub fn synchronise_batch_norm(&mut self, world: &World) -> Result<()> {
        let Some(layers) = self.layers() else {
            let problem = "--sync-batch-norm is for the architectures that `cresset models` lists";
            return Err(Error::Usage(problem.to_string()));
        };
        layers.span(world);
        Ok(())
    }

    /// Where the parameters are.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The number of values of all parameters.
    pub fn parameter_count(&self) -> usize {
        self.parameters.values().map(Tensor::numel).sum()
    }

    /// The layers of an architecture, as they are run for an example of this shape, with their outputs and costs.
    pub fn summary(&self, input: &InputShape) -> Vec<LayerRow> {
        let size: Vec<i64> = std::iter::once(1).chain(input.0.iter().copied()).collect();
        let mut rows = Vec::new();
        if let Some(layers) = self.layers() {
            let example = Tensor::zeros(size, (Kind::Float, self.device()));
            tch::no_grad(|| drop(layers.trace("", &example, &mut rows)));
        }
        rows
    }

    /// Copies values into the tensors of [`Network::state`].
    ///
    /// # Errors
    /// A tensor that is missing, not the model's, or of another shape; it is named.
    pub fn load_state(&mut self, from: &Tensors) -> std::result::Result<(), String> {
        let state = self.state();
        if let Some(name) = from.keys().find(|name| !state.contains_key(*name)) {
            return Err(format!("the model has no tensor `{name}`"));
        }
        tch::no_grad(|| {
            for (name, mut tensor) in state {
                let value = from.get(&name).ok_or_else(|| format!("the tensor `{name}` is missing"))?;
                if value.size() != tensor.size() {
                    return Err(format!(
                        "the tensor `{name}` is {:?}, the model's is {:?}",
                        value.size(),
                        tensor.size()
                    ));
                }
                tensor.copy_(value);
            }
            Ok(())
        })
    }

    /// Takes the share `share` (above 0, below 1) of the least important channels and units out of every layer whose
    /// neighbors allow it, for good. Input and logits keep their sizes.
    ///
    /// # Errors
    /// A model that is no architecture of the registry, and one without such layers.
    pub fn prune(&mut self, share: f64) -> Result<()> {
        let layers = self.layers().ok_or_else(|| {
            let problem = "--prune: channels can be taken out of the architectures that `cresset models` lists, whose layers are \
                           known; this model is another one";
            Error::Usage(problem.to_string())
        })?;
        let cuts = pruning::cuts(layers, &self.state, share);
        if cuts.is_empty() {
            let problem =
                "--prune: this model has no channels or hidden units that could be taken out by themselves";
            return Err(Error::Usage(problem.to_string()));
        }
        for cut in cuts {
            let tensor = self.state.get_mut(&cut.tensor).expect("a cut is of a tensor of the model");
            let left = cut.of(&tensor.detach());
            tensor.set_data(&left);
        }
        Ok(())
    }

    /// Makes all floating-point tensors float64, for checks that need the precision.
    pub fn double(&mut self) {
        for tensor in self.state.values_mut().filter(|tensor| tensor.is_floating_point()) {
            tensor.set_data(&tensor.to_kind(Kind::Double));
        }
    }
}

/// The same tensors once more, with their names.
fn copied(tensors: &Tensors) -> impl Iterator<Item = (String, Tensor)> {
    tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
}

/// The layers that parameters are of, each once: `fc` for `fc.weight` and `fc.bias`.
fn layers_of<'a>(parameters: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut layers: Vec<String> =
        parameters.map(|name| name.rsplit_once('.').map_or(name, |(layer, _)| layer).to_string()).collect();
    layers.dedup();
    layers
}

/// Whether a name is that of something, or of something in it.
fn is_of(name: &str, whole: &str) -> bool {
    name.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The block that a layer is of: its name up to the first part that is numbered, such as `layer1` of `layer1.0.conv2`.
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
