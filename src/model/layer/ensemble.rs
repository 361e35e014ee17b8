//! Layers of a parameter-efficient ensemble: several members share most of their weights and are computed at once.

use tch::nn::{self, Init};
use tch::{Kind, Tensor};

use super::{Layer, Parameters, product};
use crate::data::TaskKind;
use crate::model::script::{Class, Script};

/// Repeats each example for every member of an ensemble: (N, width) to (N, members, width).
///
/// ```
/// use cresset::model::layer::{Layer, RepeatMembers};
/// use tch::{Device, Kind, Tensor};
///
/// let x = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
/// assert_eq!(RepeatMembers(4).forward(&x, false).size(), [2, 4, 3]);
/// ```
#[derive(Debug)]
pub struct RepeatMembers(pub i64);

impl Layer for RepeatMembers {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.unsqueeze(1).expand([-1, self.0, -1], false)
    }

    fn script(&self) -> Script {
        Script::expression(format!("torch.expand(torch.unsqueeze({{x}}, 1), [-1, {}, -1])", self.0))
    }

    fn describe(&self) -> String {
        format!("{} members", self.0)
    }
}

/// The fully connected layer of BatchEnsemble (Wen et al., "BatchEnsemble: An Alternative Approach to Efficient Ensemble and Lifelong
/// Learning", 2020): all members share a weight, and each one scales its inputs and outputs. (N, members, inputs) to
/// (N, members, outputs): ((x · r) weightᵀ) · s + bias.
///
/// ```
/// use cresset::model::layer::{EnsembleLinear, InputScaling, Layer};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let linear = EnsembleLinear::new(&variables.root(), 4, 3, 8, InputScaling::Signs);
/// let x = Tensor::ones([2, 8, 4], (Kind::Float, Device::Cpu));
/// assert_eq!(linear.forward(&x, false).size(), [2, 8, 3]);
/// assert_eq!(variables.variables()["r"].abs(), Tensor::ones([8, 4], (Kind::Float, Device::Cpu)));
/// ```
#[derive(Debug)]
pub struct EnsembleLinear {
    weight: Tensor,
    r: Tensor,
    s: Tensor,
    bias: Tensor,
}

/// The initial factors of a member's inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputScaling {
    /// 1: all members start equal.
    Ones,
    /// 1 or -1 at random.
    Signs,
    /// From a standard normal distribution.
    Normal,
}

impl EnsembleLinear {
    /// Creates `weight` (outputs, inputs), `r` (members, inputs), `s` (members, outputs), all 1, and `bias` (members, outputs) in
    /// `path`. Weight and bias are initialized like those of `torch.nn.Linear`, the bias equally for all members.
    pub fn new(path: &nn::Path, inputs: i64, outputs: i64, members: i64, scaling: InputScaling) -> Self {
        let bound = 1. / (inputs as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        let weight = path.parameter("weight", &[outputs, inputs], init);
        let scale = match scaling {
            InputScaling::Ones => Init::Const(1.),
            InputScaling::Signs | InputScaling::Normal => Init::Randn { mean: 0., stdev: 1. },
        };
        let r = path.parameter("r", &[members, inputs], scale);
        let s = path.parameter("s", &[members, outputs], Init::Const(1.));
        let bias = path.parameter("bias", &[members, outputs], init);
        tch::no_grad(|| {
            if scaling == InputScaling::Signs {
                let signs: Tensor = r.ge(0.).to_kind(Kind::Float) * 2. - 1.;
                r.shallow_clone().copy_(&signs);
            }
            bias.shallow_clone().copy_(&bias.narrow(0, 0, 1).copy());
        });
        EnsembleLinear { weight, r, s, bias }
    }
}

impl Layer for EnsembleLinear {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        (x * &self.r).linear::<Tensor>(&self.weight, None) * &self.s + &self.bias
    }

    fn script(&self) -> Script {
        let forward = "  def forward(self: {class}, x: Tensor) -> Tensor:\n    \
                       y = torch.linear(torch.mul(x, self.r), self.weight, None)\n    \
                       return torch.add(torch.mul(y, self.s), self.bias)\n";
        Script::Class(
            Class::new("EnsembleLinear", forward)
                .parameter("weight", &self.weight)
                .parameter("r", &self.r)
                .parameter("s", &self.s)
                .parameter("bias", &self.bias),
        )
    }

    fn describe(&self) -> String {
        let (size, members) = (self.weight.size(), self.r.size()[0]);
        format!("EnsembleLinear {}→{}, {members} members", size[1], size[0])
    }

    fn multiply_adds(&self, _input: &[i64], output: &[i64]) -> u64 {
        product(output) * self.weight.size()[1] as u64
    }
}

/// The last layer of an ensemble: a fully connected layer of each member, and in evaluation the mean of the members' predictions.
/// (N, members, inputs) to (N, members, outputs) in training, where the loss is the mean of the members' losses, and to
/// (N, outputs) in evaluation ([`combined`]).
///
/// ```
/// use cresset::data::TaskKind;
/// use cresset::model::layer::{EnsembleHead, Layer};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let head = EnsembleHead::new(&variables.root(), 4, 3, 8, TaskKind::Classification);
/// let x = Tensor::rand([2, 8, 4], (Kind::Float, Device::Cpu));
/// assert_eq!((head.forward(&x, true).size(), head.forward(&x, false).size()), (vec![2, 8, 3], vec![2, 3]));
/// ```
#[derive(Debug)]
pub struct EnsembleHead {
    weight: Tensor,
    bias: Tensor,
    kind: TaskKind,
}

impl EnsembleHead {
    /// Creates `weight` (members, inputs, outputs) and `bias` (members, outputs) in `path`, initialized like `torch.nn.Linear`, with
    /// other values for each member. `kind` decides how predictions are combined.
    pub fn new(path: &nn::Path, inputs: i64, outputs: i64, members: i64, kind: TaskKind) -> Self {
        let bound = 1. / (inputs as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        EnsembleHead {
            weight: path.parameter("weight", &[members, inputs, outputs], init),
            bias: path.parameter("bias", &[members, outputs], init),
            kind,
        }
    }
}

impl Layer for EnsembleHead {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let outputs = x.transpose(0, 1).matmul(&self.weight).transpose(0, 1) + &self.bias;
        if train { outputs } else { combined(&outputs, self.kind) }
    }

    fn script(&self) -> Script {
        let combined = combined_script(self.kind, self.weight.size()[0] as usize);
        let forward = format!(
            r#"  def forward(self: {{class}}, x: Tensor) -> Tensor:
    product = torch.transpose(torch.matmul(torch.transpose(x, 0, 1), self.weight), 0, 1)
    y = torch.add(product, self.bias)
    if self.training:
      z = y
    else:
      z = {combined}
    return z
"#
        );
        Script::Class(
            Class::new("EnsembleHead", forward)
                .parameter("weight", &self.weight)
                .parameter("bias", &self.bias),
        )
    }

    fn describe(&self) -> String {
        let size = self.weight.size();
        format!("EnsembleHead {}→{}, {} members", size[1], size[2], size[0])
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        product(input) * self.weight.size()[2] as u64
    }
}

/// The outputs (N, K) of an ensemble from those of its members, (N, members, K): the logarithm of their mean probability of each
/// class, the logit of their mean probability of each label, or their mean number.
///
/// ```
/// use cresset::data::TaskKind;
/// use cresset::model::layer::combined;
/// use tch::{Kind, Tensor};
///
/// // Two members that are sure of different classes.
/// let members = Tensor::from_slice(&[9f32, -9., -9., 9.]).view([1, 2, 2]);
/// let probabilities = combined(&members, TaskKind::Classification).softmax(-1, Kind::Float);
/// assert!((probabilities - 0.5f64).abs().max().double_value(&[]) < 1e-6);
/// ```
pub fn combined(members: &Tensor, kind: TaskKind) -> Tensor {
    let mean = |values: &Tensor| values.mean_dim([1].as_slice(), false, None::<Kind>);
    match kind {
        TaskKind::Classification => {
            let count = members.size()[1] as f64;
            members.log_softmax(-1, None::<Kind>).logsumexp([1].as_slice(), false) - count.ln()
        }
        TaskKind::Multilabel => {
            let probability = mean(&members.sigmoid()).clamp(MARGIN, 1. - MARGIN);
            let rest: Tensor = 1. - &probability;
            probability.log() - rest.log()
        }
        TaskKind::Regression | TaskKind::Ranking => mean(members),
    }
}

/// The equivalent of [`combined`] for `y` in TorchScript.
pub(crate) fn combined_script(kind: TaskKind, members: usize) -> String {
    match kind {
        TaskKind::Classification => {
            format!("torch.sub(torch.logsumexp(torch.log_softmax(y, -1), [1]), {:?})", (members as f64).ln())
        }
        TaskKind::Multilabel => {
            let probability =
                format!("torch.clamp(torch.mean(torch.sigmoid(y), [1]), {MARGIN:?}, {:?})", 1. - MARGIN);
            format!("torch.sub(torch.log({probability}), torch.log(torch.rsub({probability}, 1)))")
        }
        TaskKind::Regression | TaskKind::Ranking => "torch.mean(y, [1])".to_string(),
    }
}

/// How close to 0 and 1 the probability of a label may be, so that its logit is finite.
const MARGIN: f64 = 1e-6;
