//! Optimizers: PyTorch's on libtorch's fused kernels, later ones of tensor operations.

mod adagrad;
mod adam;
mod adamw;
mod adan;
mod lamb;
mod lion;
mod muon;
mod rmsprop;
mod sgd;
mod sparse;
#[cfg(test)]
mod tests;
mod update;

use cresset_bridge::optimizer::Group;
use tch::{Kind, Tensor};

use crate::distributed::World;
use crate::error::{Error, Result};
use crate::model::Tensors;
use cresset_options::number::{NumberOption, Options};
pub(crate) use sparse::SparseGradients;
use sparse::SparseTable;
use update::Update;

/// An optimizer with a name.
///
/// To add one, write a file beside `adam.rs` with a constant of this type and put it in [`OPTIMIZERS`].
///
/// ```
/// use cresset::train::optimizer::OPTIMIZERS;
///
/// let adam = OPTIMIZERS.iter().find(|kind| kind.name == "adam").unwrap();
/// assert!(adam.summary.starts_with("Adam"));
/// ```
pub struct OptimizerKind {
    /// The value of `--optimizer`.
    pub name: &'static str,
    /// A one-line description.
    pub summary: &'static str,
    /// The options of `--optimizer-options`.
    pub options: &'static [NumberOption],
    /// The state tensors of a parameter, by PyTorch's names, initialized to zero. A fused kernel has one or two.
    pub state_names: fn(&Parameter) -> &'static [&'static str],
    /// Whether its kernel can read the learning rate from the device, which CUDA graph capture requires.
    pub reads_lr_from_device: bool,
    /// Creates the update rule from the options.
    pub(crate) rule: fn(&Options) -> Rule,
}

/// Updates a parameter group, given the learning rate and weight decay.
type FusedRule = Box<dyn Fn(&mut Group, f64, f64) -> cresset_bridge::Result<()> + Send>;

/// An update rule.
pub(crate) enum Rule {
    /// A fused kernel, for all parameters of a group at once.
    Fused(FusedRule),
    /// Tensor operations, for one parameter.
    PerParameter(Box<dyn Fn(Update) + Send>),
}

/// All optimizers.
///
/// ```
/// use cresset::train::optimizer::OPTIMIZERS;
///
/// let names: Vec<&str> = OPTIMIZERS.iter().map(|optimizer| optimizer.name).collect();
/// assert_eq!(names, ["adam", "adamw", "sgd", "adagrad", "rmsprop", "lion", "lamb", "adan", "muon"]);
/// ```
pub const OPTIMIZERS: &[OptimizerKind] = &[
    adam::ADAM,
    adamw::ADAMW,
    sgd::SGD,
    adagrad::ADAGRAD,
    rmsprop::RMSPROP,
    lion::LION,
    lamb::LAMB,
    adan::ADAN,
    muon::MUON,
];

/// A parameter with its settings for the optimizer.
#[derive(Debug)]
pub struct Parameter {
    /// The name, also used for its state tensors.
    pub name: String,
    /// The parameter.
    pub tensor: Tensor,
    /// Factor of the learning rate.
    pub rate: f64,
    /// Whether it belongs to the last layer. Its steps are counted separately, because `--head-epochs` trains it alone.
    pub is_head: bool,
    /// Whether its gradients are sparse. Its used rows are updated by row-wise Adagrad, whatever the optimizer.
    pub is_sparse: bool,
}

/// An optimizer with its parameters and state.
///
/// ```
/// use cresset::train::optimizer::{Optimizer, Parameter};
/// use tch::{Kind, Tensor};
///
/// let tensor = Tensor::from_slice(&[1f32]).set_requires_grad(true);
/// let parameter =
///     Parameter { name: "w".into(), tensor: tensor.shallow_clone(), rate: 1., is_head: false, is_sparse: false };
/// let mut optimizer = Optimizer::new("sgd", "", 0., &[parameter])?;
/// // The gradient of w² at 1 is 2.
/// tensor.square().sum(Kind::Float).backward();
/// optimizer.step(0.1)?;
/// assert!((tensor.double_value(&[0]) - 0.8).abs() < 1e-6);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Optimizer {
    rule: Rule,
    reads_lr_from_device: bool,
    groups: Vec<ParameterGroup>,
    /// The parameters with sparse gradients.
    tables: Vec<SparseTable>,
    state: Tensors,
    /// In a captured graph: 1 to skip the step, else 0.
    skip: Option<Tensor>,
}

/// Parameters with the same learning rate factor and weight decay.
struct ParameterGroup {
    group: Group,
    /// The number of steps, float32.
    step: Tensor,
    /// The parameters with their state, for rules of tensor operations.
    members: Vec<(Tensor, Vec<Tensor>)>,
    rate: f64,
    weight_decay: f64,
    is_head: bool,
    is_on_gpu: bool,
    /// In a captured graph: the learning rate on the device, and its value.
    device_lr: Option<(Tensor, f64)>,
}

impl ParameterGroup {
    /// The learning rate of the group. On a GPU it is rounded to float32, as captured steps read it, so that eager and captured
    /// steps are bit-identical.
    fn lr(&self, lr: f64) -> f64 {
        let lr = lr * self.rate;
        if self.is_on_gpu { f64::from(lr as f32) } else { lr }
    }
}

impl ParameterGroup {
    /// Updates each parameter that has a gradient.
    fn update_each(&mut self, rule: &dyn Fn(Update), lr: f64) {
        let gradients: Vec<_> = self.members.iter().map(|(parameter, _)| parameter.grad()).collect();
        if !gradients.iter().any(Tensor::defined) {
            return;
        }
        let _ = self.step.g_add_scalar_(1);
        for ((parameter, state), gradient) in self.members.iter().zip(gradients) {
            if gradient.defined() {
                rule(Update {
                    parameter: parameter.detach(),
                    gradient,
                    state,
                    step: &self.step,
                    lr,
                    weight_decay: self.weight_decay,
                });
            }
        }
    }
}

impl Optimizer {
    /// The optimizer of this name, with `options` in the syntax of `--optimizer-options`. Weight decay does not apply to
    /// one-dimensional parameters, which are biases and the parameters of normalization layers (as in He et al., "Bag of
    /// Tricks for Image Classification", 2019).
    ///
    /// # Errors
    /// An unknown name or invalid options.
    pub fn new(name: &str, options: &str, weight_decay: f64, parameters: &[Parameter]) -> Result<Self> {
        let known = OPTIMIZERS.iter().find(|known| known.name == name);
        let kind = known.ok_or_else(|| Error::Usage(format!("unknown optimizer `{name}`")))?;
        let options =
            Options::parse(options, &format!("the optimizer {name}"), kind.options).map_err(Error::Usage)?;
        let mut optimizer = Optimizer {
            rule: (kind.rule)(&options),
            reads_lr_from_device: kind.reads_lr_from_device,
            groups: Vec::new(),
            tables: Vec::new(),
            state: Tensors::new(),
            skip: None,
        };
        let decay_of = |parameter: &Parameter| if parameter.tensor.dim() > 1 { weight_decay } else { 0. };
        for parameter in parameters {
            if parameter.is_sparse {
                optimizer.add_table(parameter);
                continue;
            }
            let (rate, decay, is_head) = (parameter.rate, decay_of(parameter), parameter.is_head);
            let matches = |group: &ParameterGroup| {
                (group.rate, group.weight_decay, group.is_head) == (rate, decay, is_head)
            };
            let index = match optimizer.groups.iter().position(matches) {
                Some(index) => index,
                None => optimizer.add_group(parameter, decay),
            };
            optimizer.add_parameter(index, parameter, (kind.state_names)(parameter))?;
        }
        Ok(optimizer)
    }

    fn add_table(&mut self, parameter: &Parameter) {
        let table = SparseTable::new(parameter);
        self.state.insert(format!("{}.{}", sparse::STATE, parameter.name), table.state().shallow_clone());
        self.tables.push(table);
    }

    fn add_group(&mut self, first: &Parameter, weight_decay: f64) -> usize {
        let Parameter { rate, is_head, .. } = *first;
        let step = Tensor::zeros([], (Kind::Float, first.tensor.device()));
        let index = self.groups.len();
        let is_on_gpu = first.tensor.device().is_cuda();
        let group = Group::new(&step);
        let (members, count, device_lr) = (Vec::new(), step.shallow_clone(), None);
        self.groups.push(ParameterGroup {
            group,
            step: count,
            members,
            rate,
            weight_decay,
            is_head,
            is_on_gpu,
            device_lr,
        });
        self.state.insert(format!("step.{index}"), step);
        index
    }

    fn add_parameter(&mut self, group: usize, parameter: &Parameter, state_names: &[&str]) -> Result<()> {
        let tensor = &parameter.tensor;
        let zeros: Vec<_> = state_names.iter().map(|_| tensor.detach().zeros_like()).collect();
        let group = &mut self.groups[group];
        match &self.rule {
            Rule::Fused(_) => {
                let (first, second) = (&zeros[0], zeros.last().expect("an optimizer has state"));
                group.group.add(tensor, first, second)?;
            }
            Rule::PerParameter(_) => {
                let state = zeros.iter().map(Tensor::shallow_clone).collect();
                group.members.push((tensor.shallow_clone(), state));
            }
        }
        let names = state_names.iter().map(|kind| format!("{kind}.{}", parameter.name));
        self.state.extend(names.zip(zeros));
        Ok(())
    }

    /// Updates the parameters by their gradients. A parameter without a gradient is not changed.
    pub fn step(&mut self, lr: f64) -> Result<()> {
        if let Some(skip) = &mut self.skip {
            let _ = skip.zero_();
        }
        self.set_rate(lr);
        self.apply(lr)
    }

    /// The sparse gradients for an update, averaged over all processes, which all take part.
    pub(crate) fn sparse_gradients(&self, world: &World) -> Result<SparseGradients> {
        SparseGradients::of(&self.tables, world)
    }

    /// Updates the parameters with sparse gradients.
    pub(crate) fn step_sparse(&mut self, gradients: &SparseGradients, lr: f64) -> Result<()> {
        gradients.apply(&mut self.tables, lr)
    }

    /// Whether [`Optimizer::read_from`] is supported.
    pub(crate) fn can_read_lr_from_device(&self) -> bool {
        self.reads_lr_from_device && self.tables.is_empty()
    }

    /// Prepares for graph capture: reads the learning rate from the device, and skips [`Optimizer::apply`] while `skip`, a
    /// float32 scalar on the device, is 1.
    ///
    /// # Errors
    /// An optimizer that does not support this.
    pub fn read_from(&mut self, skip: &Tensor) -> Result<()> {
        for group in &mut self.groups {
            let lr = skip.zeros_like();
            group.group.read_from(&lr, skip)?;
            group.device_lr = Some((lr, 0.));
        }
        self.skip = Some(skip.shallow_clone());
        Ok(())
    }

    /// Sets the learning rate on the device, if it is read from there.
    pub(crate) fn set_rate(&mut self, lr: f64) {
        for group in &mut self.groups {
            let value = group.lr(lr);
            if let Some((tensor, current)) = &mut group.device_lr
                && *current != value
            {
                let _ = tensor.fill_(value);
                *current = value;
            }
        }
    }

    /// A step that can be captured. Uses the learning rate `lr` unless it is read from the device.
    pub fn apply(&mut self, lr: f64) -> Result<()> {
        for group in &mut self.groups {
            let lr = group.lr(lr);
            match &self.rule {
                Rule::Fused(rule) => rule(&mut group.group, lr, group.weight_decay)?,
                Rule::PerParameter(rule) => tch::no_grad(|| group.update_each(rule, lr)),
            }
        }
        Ok(())
    }

    /// The optimizer state, with names such as `exp_avg.fc1.weight`. The tensors are shared: copying into them changes the state.
    pub fn state(&self) -> &Tensors {
        &self.state
    }

    /// Restores the optimizer state of a checkpoint.
    ///
    /// # Errors
    /// A tensor that is missing or has a different shape.
    pub fn load_state(&mut self, from: &Tensors) -> std::result::Result<(), String> {
        for (name, tensor) in &mut self.state {
            let value = from.get(name).filter(|value| value.size() == tensor.size());
            let problem = || format!("the optimizer state `{name}` is missing or has a different shape");
            tensor.copy_(value.ok_or_else(problem)?);
        }
        Ok(())
    }
}
