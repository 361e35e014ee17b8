//! A model with its parameters.

mod changes;
mod parameters;

use std::collections::BTreeMap;
use std::path::Path;

use cresset_bridge::script::Module;
use tch::{Device, Kind, Tensor, nn};

use super::body::Body;
use super::imported::Imported;
use super::layer::{
    self, Bag, FlatStep, Grid, LOG_FREQUENCY, LayerRow, Linear, Relu, Sequential, member_outputs,
};
use super::script::Class;
use super::{Architecture, Model, Task, perceptron};
use crate::data::InputShape;
use crate::error::{Error, Result};
pub(super) use parameters::is_in;
use parameters::{MLP_HEAD, layers_of, shallow_clones};

/// Tensors by name, in the order of their names.
///
/// ```
/// use cresset::model::{Task, Tensors};
/// use cresset::prelude::*;
/// use tch::Device;
///
/// let task = Task::new(InputShape(vec![4]), 3);
/// let state: Tensors = Network::new("mlp", "width=8", &task, Device::Cpu, 0)?.state();
/// let names: Vec<&str> = state.keys().map(String::as_str).collect();
/// assert_eq!(names, ["fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight"]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub type Tensors = BTreeMap<String, Tensor>;

/// A model, with its parameters on a device.
///
/// ```
/// use cresset::model::Task;
/// use cresset::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// let task = Task::new(InputShape(vec![1, 8, 8]), 10);
/// let network = Network::new("cnn", "width=8", &task, Device::Cpu, 0)?;
/// let images = Tensor::rand([5, 1, 8, 8], (Kind::Float, Device::Cpu));
/// assert_eq!(network.forward(&images, false)?.size(), [5, 10]);
/// assert!(network.state().contains_key("stage1.conv1.weight"));
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Network {
    task: Task,
    body: Body,
    device: Device,
    pub(super) state: Tensors,
    /// The parameters.
    pub(super) parameters: Tensors,
    /// The parameters that are not frozen for good.
    pub(super) trainable: Tensors,
    /// The layers that have parameters, from the input to the output.
    pub(super) layer_names: Vec<String>,
    is_channels_last: bool,
    fingerprint: Option<String>,
    /// The tensors whose first size may differ in a state that is loaded.
    pub(super) resizable: Vec<String>,
}

impl Network {
    /// Builds a built-in architecture with options, and initializes its parameters with `seed`.
    ///
    /// # Errors
    /// An unknown name, invalid options, and a task that the architecture does not support.
    pub fn new(architecture: &str, options: &str, task: &Task, device: Device, seed: u64) -> Result<Self> {
        let architecture = Architecture::named(architecture)?;
        Network::drawn(task, device, seed, |path| {
            let layers = architecture.layers(path, task, options)?;
            let names = layers.names();
            Ok((Body::Layers(layers), names))
        })
    }

    /// Like [`Network::new`], with a hidden layer of `width` units between the features and the last layer: the last layer of the
    /// architecture has `width` outputs, and ReLU and [`MLP_HEAD`] follow.
    pub(crate) fn with_hidden(
        architecture: &str,
        options: &str,
        task: &Task,
        width: i64,
        (device, seed): (Device, u64),
    ) -> Result<Self> {
        let architecture = Architecture::named(architecture)?;
        Network::drawn(task, device, seed, |path| {
            let layers = architecture.layers(path, &Task { classes: width, ..task.clone() }, options)?;
            let last = Linear::new(&(path / MLP_HEAD), width, task.classes);
            let layers = layers.then("mlp_relu", Relu).then(MLP_HEAD, last);
            let names = layers.names();
            Ok((Body::Layers(layers), names))
        })
    }

    /// A bag of `count` networks like those of [`Network::new`], with different random values: an example is not to train the member
    /// of its fold.
    ///
    /// ```
    /// use cresset::model::Task;
    /// use cresset::prelude::*;
    /// use tch::Device;
    ///
    /// let task = Task::new(InputShape(vec![4]), 3);
    /// let bag = Network::bag("mlp", "width=8", &task, 5, (Device::Cpu, 0))?;
    /// assert_eq!((bag.members().len(), bag.parameter_count()), (5, 5 * 67));
    /// assert!(bag.is_head("bag.member1.fc2.weight") && !bag.is_head("bag.member5.fc1.weight"));
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Network::new`].
    pub fn bag(
        architecture: &str,
        options: &str,
        task: &Task,
        count: u32,
        (device, seed): (Device, u64),
    ) -> Result<Self> {
        let architecture = Architecture::named(architecture)?;
        Network::drawn(task, device, seed, |path| {
            let member = |number| architecture.layers(&(path / BAG / Bag::name(number)), task, options);
            let members = (1..=count as usize).map(member).collect::<Result<_>>()?;
            let layers = Sequential::default().then(BAG, Bag::new(members, task.kind));
            let names = layers.names();
            Ok((Body::Layers(layers), names))
        })
    }

    /// Like [`Network::new`] on the CPU, with zeros as parameters: for [`Network::summary`] and the numbers of values, without
    /// the time that random values take.
    ///
    /// # Errors
    /// Those of [`Network::new`].
    pub fn of_zeros(architecture: &str, options: &str, task: &Task) -> Result<Self> {
        layer::with_zeros(|| Network::new(architecture, options, task, Device::Cpu, 0))
    }

    /// Wraps a custom model. `build` creates it with its parameters in the given path, initialized with `seed`. The export
    /// traces the model, so it must not read sizes that depend on the batch size: use `x.flatten(1, -1)` instead of
    /// `x.view([x.size()[0], -1])`.
    ///
    /// ```
    /// use cresset::model::Task;
    /// use cresset::prelude::*;
    /// use tch::nn::{self, Module};
    /// use tch::{Device, Tensor};
    ///
    /// let task = Task::new(InputShape(vec![4]), 3);
    /// let network = Network::of(&task, Device::Cpu, 0, |path| {
    ///     let linear = nn::linear(path / "linear", 4, 3, Default::default());
    ///     move |x: &Tensor, _train: bool| linear.forward(x)
    /// })?;
    /// assert_eq!(network.parameter_count(), 15);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    pub fn of<M: Model + 'static>(
        task: &Task,
        device: Device,
        seed: u64,
        build: impl FnOnce(&nn::Path) -> M,
    ) -> Result<Self> {
        Network::drawn(task, device, seed, |path| Ok((Body::Custom(Box::new(build(path))), Vec::new())))
    }

    /// Imports a TorchScript file. If its number of outputs is not the number of classes, its last layer is replaced by a new
    /// one, initialized with `seed`.
    ///
    /// ```no_run
    /// use cresset::model::Task;
    /// use cresset::prelude::*;
    /// use tch::Device;
    ///
    /// // `torch.jit.script(torchvision.models.resnet18(weights="DEFAULT")).save("resnet18.pt")` in Python.
    /// // Its last layer for 1000 classes is replaced by one for 10 classes.
    /// let task = Task::new(InputShape(vec![3, 224, 224]), 10);
    /// let network = Network::imported("resnet18.pt".as_ref(), &task, Device::Cpu, 0)?;
    /// assert_eq!(network.classes(), 10);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// A file that is not TorchScript, has no parameters, or does not accept the inputs; a last layer that cannot be found.
    pub fn imported(file: &Path, task: &Task, device: Device, seed: u64) -> Result<Self> {
        let (imported, fingerprint) = Imported::load(file, task, device, seed)?;
        let parameters = imported.parameters()?;
        let layer_names = layers_of(parameters.iter().map(|(name, _)| name.as_str()));
        let parameters: Tensors = parameters.into_iter().collect();
        let state = imported.buffers()?.into_iter().chain(shallow_clones(&parameters)).collect();
        let network = Network::made(task, device, Body::Imported(imported), state, parameters, layer_names);
        Ok(Network { fingerprint: Some(fingerprint), ..network })
    }

    pub(super) fn drawn(
        task: &Task,
        device: Device,
        seed: u64,
        build: impl FnOnce(&nn::Path) -> Result<(Body, Vec<String>)>,
    ) -> Result<Self> {
        // Initialize on the CPU, so that the initial weights are the same on every device.
        tch::manual_seed(seed as i64);
        let mut store = nn::VarStore::new(Device::Cpu);
        let (body, mut layer_names) = build(&store.root())?;
        store.set_device(device);
        let state: Tensors = store.variables().into_iter().collect();
        let trained = state.iter().filter(|(_, tensor)| tensor.requires_grad());
        let parameters: Tensors =
            trained.map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
        if layer_names.is_empty() {
            // The store keeps the order in which the parameters were created.
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
        let trainable = shallow_clones(&parameters).collect();
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
            resizable: Vec::new(),
        }
    }

    /// Logits (N, classes) of preprocessed inputs (N, …).
    ///
    /// # Errors
    /// Errors of an imported model.
    pub fn forward(&self, inputs: &Tensor, train: bool) -> Result<Tensor> {
        if self.is_channels_last {
            // The memory format does not change values, so a failure to convert is harmless.
            let inputs =
                cresset_bridge::memory::channels_last(inputs).unwrap_or_else(|_| inputs.shallow_clone());
            return self.body.forward(&inputs, train);
        }
        self.body.forward(inputs, train)
    }

    /// The vectors of the tokens of texts (N, tokens, width) in evaluation mode, before they are pooled: the last hidden states of an
    /// encoder such as `bert`. None for other models.
    pub fn token_vectors(&self, inputs: &Tensor) -> Option<Tensor> {
        self.layers().and_then(|layers| layers.token_vectors(inputs))
    }

    /// The scores of all items, (users, items), for the indexes of users, int64 (users), in evaluation mode.
    ///
    /// # Errors
    /// A network that does not rank items.
    pub fn item_scores(&self, users: &Tensor) -> Result<Tensor> {
        let scores = self.layers().and_then(Sequential::last).and_then(|layer| layer.item_scores(users));
        scores.ok_or_else(|| Error::Usage("the model does not rank items; use --model two-tower".to_string()))
    }

    /// The name of the buffer with the logarithms of the frequencies of items, if the network has one.
    pub(crate) fn log_frequency(&self) -> Option<String> {
        let is_of = |name: &&String| name.rsplit('.').next() == Some(LOG_FREQUENCY);
        self.state.keys().find(is_of).cloned()
    }

    /// Whether it is an encoder of texts that pretrained weights exist for, such as `bert`.
    pub(crate) fn is_pretrained_encoder(&self) -> bool {
        self.layers().is_some_and(Sequential::has_token_vectors)
    }

    /// Whether the time of a batch of texts depends on its padding.
    pub(crate) fn computes_padding(&self) -> bool {
        self.layers().is_some_and(Sequential::computes_padding)
    }

    /// The outputs in evaluation mode by which [`evaluate`](crate::evaluate::evaluate) measures the network: (N, outputs), or those of each
    /// member of a bag, (N, members, outputs).
    ///
    /// # Errors
    /// Errors of an imported model.
    pub(crate) fn evaluated(&self, inputs: &Tensor) -> Result<Tensor> {
        match self.members() {
            [] => self.forward(inputs, false),
            members => Ok(member_outputs(members, inputs, false)),
        }
    }

    /// The fastest forward pass in evaluation mode. Without gradients, logits may differ by rounding from those of
    /// [`Network::forward`], which are bit-equal to those of the exported model.
    ///
    /// # Errors
    /// Errors of an imported model.
    pub fn infer(&self, inputs: &Tensor) -> Result<Tensor> {
        match perceptron::infer(self, inputs)? {
            Some(logits) => Ok(logits),
            None => self.forward(inputs, false),
        }
    }

    /// The network as a TorchScript module on the CPU: an instance of `Classifier` with the parameters, the method `logits`,
    /// the method `penultimate` (input of the last layer) if the last layer is known, and the additions of `extend`.
    ///
    /// ```
    /// # use cresset::model::Task;
    /// # use cresset::prelude::*;
    /// # use tch::{Device, Kind, Tensor};
    /// # let task = Task::new(InputShape(vec![4]), 3);
    /// let network = Network::new("mlp", "width=8", &task, Device::Cpu, 0)?;
    /// let module = network.script(&|class| class)?;
    /// let inputs = Tensor::rand([2, 4], (Kind::Float, Device::Cpu));
    /// assert_eq!(module.call("logits", &inputs)?[0], network.forward(&inputs, false)?);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// A custom model that gives different results when its trace runs.
    pub fn script(&self, extend: &dyn Fn(Class) -> Class) -> Result<Module> {
        self.body.script(self, extend)
    }

    /// What determines the computation beside the tensors: the source code of the TorchScript module, or the SHA-256 of the file of an
    /// imported model. `None` for custom models.
    pub(crate) fn code(&self) -> Result<Option<String>> {
        match (&self.fingerprint, self.layers()) {
            (Some(fingerprint), _) => Ok(Some(fingerprint.clone())),
            (None, Some(layers)) => Ok(Some(layers.class("Network", "logits").compile()?.0)),
            (None, None) => Ok(None),
        }
    }

    /// The task.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.task.classes as usize
    }

    /// The layers of a built-in architecture. None for imported and custom models.
    pub fn layers(&self) -> Option<&Sequential> {
        match &self.body {
            Body::Layers(layers) => Some(layers),
            _ => None,
        }
    }

    /// The networks of a bag; empty for other models.
    pub fn members(&self) -> &[Sequential] {
        self.layers().and_then(Sequential::last).map_or(&[], |layer| layer.members())
    }

    /// The places of the position embeddings of a built-in architecture, by the names of their parameters.
    pub(crate) fn position_grids(&self) -> Vec<(String, Grid)> {
        let steps = self.layers().map_or(Vec::new(), |layers| layers.walk(""));
        let grid_of = |step: FlatStep| match step {
            FlatStep::Layer(name, layer) => layer.position_grid().map(|grid| (name, grid)),
            FlatStep::Sum(..) | FlatStep::Gate(_) => None,
        };
        steps.into_iter().filter_map(grid_of).collect()
    }

    /// SHA-256 of the file of an imported model, in hexadecimal.
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// Whether it is a convolutional architecture. A single convolution, as in a vision transformer, does not count.
    pub(crate) fn is_convolutional(&self) -> bool {
        let kernels = self.parameters.iter().filter(|(_, tensor)| tensor.dim() == 4);
        self.layers().is_some() && kernels.count() > 1
    }

    /// The device of the parameters.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The layers of a built-in architecture in execution order, with output shapes and costs for an example of shape `input`.
    ///
    /// ```
    /// # use cresset::model::Task;
    /// # use cresset::prelude::*;
    /// # use tch::Device;
    /// # let task = Task::new(InputShape(vec![4]), 3);
    /// let network = Network::new("mlp", "width=8", &task, Device::Cpu, 0)?;
    /// let rows = network.summary(&InputShape(vec![4]));
    /// let last = rows.last().unwrap();
    /// assert_eq!((last.name.as_str(), last.output.as_slice(), last.parameters), ("fc2", &[1, 3][..], 27));
    /// assert_eq!(network.parameter_count(), 67);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    pub fn summary(&self, input: &InputShape) -> Vec<LayerRow> {
        let size: Vec<i64> = std::iter::once(1).chain(input.0.iter().copied()).collect();
        let mut rows = Vec::new();
        if let Some(layers) = self.layers() {
            let example = Tensor::zeros(size, (Kind::Float, self.device()));
            tch::no_grad(|| drop(layers.trace("", &example, &mut rows)));
        }
        rows
    }
}

/// The name of the only layer of a bag.
const BAG: &str = "bag";
