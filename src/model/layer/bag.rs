//! A bag of networks, each trained without one fold of the examples.

use tch::Tensor;

use super::{Layer, PENULTIMATE, Sequential, combined, combined_script};
use crate::data::TaskKind;
use crate::model::script::{Class, Script};

/// Separate networks of one architecture (Breiman, "Bagging Predictors", 1996; with folds instead of bootstrap samples): (N, …) to the
/// mean of their predictions in evaluation, (N, outputs) ([`combined`]), and to the outputs of all, one after the other,
/// in training, (N, outputs of all members, outputs).
///
/// ```
/// use cresset::data::TaskKind;
/// use cresset::model::layer::{Bag, Layer, Linear, Sequential};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let member = |path: nn::Path| Sequential::default().then("fc", Linear::new(&(path / "fc"), 4, 3));
/// let members = (1..=5).map(|number| member(variables.root() / Bag::name(number)));
/// let bag = Bag::new(members.collect(), TaskKind::Classification);
/// let x = Tensor::rand([2, 4], (Kind::Float, Device::Cpu));
/// assert_eq!((bag.forward(&x, true).size(), bag.forward(&x, false).size()), (vec![2, 5, 3], vec![2, 3]));
/// ```
pub struct Bag {
    members: Vec<Sequential>,
    kind: TaskKind,
}

impl Bag {
    /// Combines these networks, which have their parameters in [`Bag::name`], as suits the task.
    pub fn new(members: Vec<Sequential>, kind: TaskKind) -> Self {
        Bag { members, kind }
    }

    /// The name of a member, from 1.
    pub fn name(number: usize) -> String {
        format!("member{number}")
    }

    /// The class in TorchScript, where `stacked` wraps the output of each member.
    fn class(&self, stacked: impl Fn(String) -> String) -> Class {
        let names: Vec<String> = (1..=self.members.len()).map(Bag::name).collect();
        let outputs: Vec<String> =
            names.iter().map(|name| stacked(format!("(self.{name}).forward(x)"))).collect();
        let features = |name: &String| format!("torch.flatten((self.{name}).{PENULTIMATE}(x), 1, -1)");
        let features: Vec<String> = names.iter().map(features).collect();
        let methods = format!(
            r#"  def members(self: {{class}}, x: Tensor) -> Tensor:
    return torch.stack([{outputs}], 1)
  def {PENULTIMATE}(self: {{class}}, x: Tensor) -> Tensor:
    return torch.cat([{features}], 1)
  def forward(self: {{class}}, x: Tensor) -> Tensor:
    y = (self).members(x)
    if self.training:
      z = torch.flatten(y, 1, -2)
    else:
      z = {combined}
    return z
"#,
            outputs = outputs.join(", "),
            features = features.join(", "),
            combined = combined_script(self.kind, self.members.len()),
        );
        let members = names.into_iter().zip(&self.members);
        members.fold(Class::new("Bag", methods), |class, (name, member)| {
            class.child(name, member.class_with_features("Member", PENULTIMATE, "forward"))
        })
    }
}

/// The outputs of each network, (N, members, …).
pub(crate) fn member_outputs(members: &[Sequential], x: &Tensor, train: bool) -> Tensor {
    let outputs: Vec<Tensor> = members.iter().map(|member| member.forward(x, train)).collect();
    Tensor::stack(&outputs, 1)
}

impl Layer for Bag {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let outputs = member_outputs(&self.members, x, train);
        if train { outputs.flatten(1, -2) } else { combined(&outputs, self.kind) }
    }

    fn script(&self) -> Script {
        let class = self.class(|output| output);
        // libtorch would store the integers of all members in the range of those of the first. It does not quantize `neg`.
        Script::Class(class.with_int8(self.class(|output| format!("torch.neg(torch.neg({output}))"))))
    }

    fn describe(&self) -> String {
        format!("bag of {} members", self.members.len())
    }

    fn sparse_parameters(&self) -> Vec<String> {
        let of = |(place, member): (usize, &Sequential)| {
            member.sparse_parameters(&format!("{}.", Bag::name(place + 1)))
        };
        self.members.iter().enumerate().flat_map(of).collect()
    }

    fn members(&self) -> &[Sequential] {
        &self.members
    }
}

/// The outputs (N, outputs) of the members that were not trained on each example, of those of all members, (N, members, outputs). `folds`
/// has the fold of each example, int64 (N), which is the member that was not trained on it.
///
/// ```
/// use cresset::model::layer::out_of_fold;
/// use tch::Tensor;
///
/// // Two examples, two members, one output.
/// let outputs = Tensor::from_slice(&[1f32, 2., 3., 4.]).view([2, 2, 1]);
/// let own = out_of_fold(&outputs, &Tensor::from_slice(&[1i64, 0]));
/// assert_eq!(own, Tensor::from_slice(&[2f32, 3.]).view([2, 1]));
/// ```
pub fn out_of_fold(outputs: &Tensor, folds: &Tensor) -> Tensor {
    let places = folds.view([-1, 1, 1]).expand([-1, 1, outputs.size()[2]], false);
    outputs.gather(1, &places, false).squeeze_dim(1)
}
