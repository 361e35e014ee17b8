//! The rules that turn gradients into steps, on libtorch's fused kernels.

mod adagrad;
mod adam;
mod adamw;
mod rmsprop;
mod sgd;
#[cfg(test)]
mod tests;

use cresset_bridge::optimizer::Group;
use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::model::Tensors;
use cresset_options::number::{NumberOption, Options};

/// An optimizer that is known by name.
///
/// To add one, write a file beside `adam.rs` with a constant of this type and put it in [`OPTIMIZERS`].
pub struct OptimizerKind {
    /// Its name, as `--optimizer` takes it.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// What `--optimizer-options` can set.
    pub options: &'static [NumberOption],
    /// What it remembers of each parameter, by PyTorch's names: one or two tensors that start at zero.
    pub memory: &'static [&'static str],
    /// Whether its kernel can read the learning rate from the device, so that a step can be recorded as a CUDA graph.
    pub reads_rate: bool,
    /// Makes its rule from its options.
    pub rule: fn(&Options) -> Rule,
}

/// One step of a group of parameters, with this learning rate and weight decay.
pub type Rule = Box<dyn Fn(&mut Group, f64, f64) -> cresset_bridge::Result<()> + Send>;

/// All optimizers.
pub const OPTIMIZERS: &[OptimizerKind] =
    &[adam::ADAM, adamw::ADAMW, sgd::SGD, adagrad::ADAGRAD, rmsprop::RMSPROP];

/// A parameter, and how it is to be updated.
#[derive(Debug)]
pub struct Parameter {
    /// Its name, which its memory bears too.
    pub name: String,
    /// Itself.
    pub tensor: Tensor,
    /// What the learning rate is multiplied with.
    pub rate: f64,
    /// Whether it is of the last layer, which may be trained alone at first, so that its steps are counted by themselves.
    pub is_head: bool,
}

/// Updates the parameters that it was built with.
pub struct Optimizer {
    rule: Rule,
    reads_rate: bool,
    groups: Vec<Member>,
    state: Tensors,
    /// What a step is none by, where steps are recorded.
    skip: Option<Tensor>,
}

/// Parameters with the same rate and the same decay.
struct Member {
    group: Group,
    rate: f64,
    weight_decay: f64,
    is_head: bool,
    is_on_gpu: bool,
    /// The learning rate on the device, where steps are recorded, and its value.
    device_lr: Option<(Tensor, f64)>,
}

impl Member {
    /// Its learning rate where that of all is `lr`. On a GPU it is rounded to float32, as a recorded step reads it, so that
    /// steps have the same bits however they are launched.
    fn lr(&self, lr: f64) -> f64 {
        let lr = lr * self.rate;
        if self.is_on_gpu { f64::from(lr as f32) } else { lr }
    }
}

impl Optimizer {
    /// The optimizer of this name with `options` as `--optimizer-options` takes them. The weight decay is for matrices and
    /// kernels alone: biases and the parameters of normalisation, which have one dimension, are left as they are (as in He
    /// et al., "Bag of Tricks for Image Classification", 2019).
    ///
    /// # Errors
    /// An unknown name, and faulty options.
    pub fn new(name: &str, options: &str, weight_decay: f64, parameters: &[Parameter]) -> Result<Self> {
        let known = OPTIMIZERS.iter().find(|known| known.name == name);
        let kind = known.ok_or_else(|| Error::Usage(format!("there is no optimizer `{name}`")))?;
        let options =
            Options::parse(options, &format!("the optimizer {name}"), kind.options).map_err(Error::Usage)?;
        let mut optimizer = Optimizer {
            rule: (kind.rule)(&options),
            reads_rate: kind.reads_rate,
            groups: Vec::new(),
            state: Tensors::new(),
            skip: None,
        };
        let decay_of = |parameter: &Parameter| if parameter.tensor.dim() > 1 { weight_decay } else { 0. };
        for parameter in parameters {
            let (rate, decay, is_head) = (parameter.rate, decay_of(parameter), parameter.is_head);
            let same = |member: &Member| {
                (member.rate, member.weight_decay, member.is_head) == (rate, decay, is_head)
            };
            let place = match optimizer.groups.iter().position(same) {
                Some(place) => place,
                None => optimizer.begin_group(parameter, decay),
            };
            optimizer.add(place, parameter, kind.memory)?;
        }
        Ok(optimizer)
    }

    fn begin_group(&mut self, like: &Parameter, weight_decay: f64) -> usize {
        let Parameter { rate, is_head, .. } = *like;
        let step = Tensor::zeros([], (Kind::Float, like.tensor.device()));
        let place = self.groups.len();
        let is_on_gpu = like.tensor.device().is_cuda();
        let group = Group::new(&step);
        self.groups.push(Member { group, rate, weight_decay, is_head, is_on_gpu, device_lr: None });
        self.state.insert(format!("step.{place}"), step);
        place
    }

    fn add(&mut self, place: usize, parameter: &Parameter, memory: &[&str]) -> Result<()> {
        let tensor = &parameter.tensor;
        let zeros: Vec<_> = memory.iter().map(|_| tensor.detach().zeros_like()).collect();
        let (first, second) = (&zeros[0], zeros.last().expect("an optimizer has memory"));
        self.groups[place].group.add(tensor, first, second)?;
        let named = memory.iter().map(|kind| format!("{kind}.{}", parameter.name));
        self.state.extend(named.zip(zeros));
        Ok(())
    }

    /// One step on the gradients that the last backward pass left; a parameter without one stays as it is.
    pub fn step(&mut self, lr: f64) -> Result<()> {
        if let Some(skip) = &mut self.skip {
            let _ = skip.zero_();
        }
        self.set_rate(lr);
        self.apply(lr)
    }

    /// Whether [`Optimizer::read_from`] can be asked for.
    pub fn can_read_rate(&self) -> bool {
        self.reads_rate
    }

    /// From here on, the learning rate is read from the device, and [`Optimizer::apply`] is no step while `skip` is 1: a
    /// float32 scalar there.
    ///
    /// # Errors
    /// An optimizer that cannot.
    pub fn read_from(&mut self, skip: &Tensor) -> Result<()> {
        for member in &mut self.groups {
            let lr = skip.zeros_like();
            member.group.read_from(&lr, skip)?;
            member.device_lr = Some((lr, 0.));
        }
        self.skip = Some(skip.shallow_clone());
        Ok(())
    }

    /// Sets the learning rate on the device, if it is read from there.
    pub fn set_rate(&mut self, lr: f64) {
        for member in &mut self.groups {
            let value = member.lr(lr);
            if let Some((tensor, known)) = &mut member.device_lr
                && *known != value
            {
                let _ = tensor.fill_(value);
                *known = value;
            }
        }
    }

    /// A step that can be recorded: it is launched with the learning rate `lr`, unless that is read from the device.
    pub fn apply(&mut self, lr: f64) -> Result<()> {
        for member in &mut self.groups {
            let lr = member.lr(lr);
            (self.rule)(&mut member.group, lr, member.weight_decay)?;
        }
        Ok(())
    }

    /// Its memory, under names such as `exp_avg.fc1.weight`. The tensors are the optimizer's own: copying into them sets
    /// its memory.
    pub fn state(&self) -> &Tensors {
        &self.state
    }

    /// Copies a checkpoint's values into its memory.
    ///
    /// # Errors
    /// A tensor that is missing or of another shape; it is named.
    pub fn load_state(&mut self, from: &Tensors) -> std::result::Result<(), String> {
        for (name, tensor) in &mut self.state {
            let value = from.get(name).filter(|value| value.size() == tensor.size());
            let problem = || format!("the optimizer's tensor `{name}` is missing or of another shape");
            tensor.copy_(value.ok_or_else(problem)?);
        }
        Ok(())
    }
}
