//! The layers of a factorization machine.

use tch::nn::{self, Init};
use tch::{Kind, Tensor};

use super::{Layer, Parameters, product};
use crate::model::script::{Class, Script};

/// A factorization machine (Rendle, "Factorization Machines", 2010) of fields that are embedded by [`ColumnTokens`](super::ColumnTokens):
/// (N, fields, width + outputs) to (N, outputs). The first `width` values of a field are its vector v, the others its first-order terms. An
/// output is the sum of its first-order terms and of the products of the vectors of each pair of fields, Σᵢ Σⱼ₍ⱼ﹥ᵢ₎ ⟨weight, vᵢ vⱼ⟩, with
/// a weight for each output. Where the weight is 1, this is the machine of the paper.
///
/// ```
/// use cresset::model::layer::{FactorizationMachine, Layer};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let machine = FactorizationMachine::new(&variables.root(), 8, 3);
/// let fields = Tensor::rand([5, 4, 11], (Kind::Float, Device::Cpu));
/// assert_eq!(machine.forward(&fields, false).size(), [5, 3]);
/// ```
#[derive(Debug)]
pub struct FactorizationMachine {
    /// (outputs, width).
    weight: Tensor,
}

impl FactorizationMachine {
    /// Creates `weight` (outputs, width) in `path`, all 1.
    pub fn new(path: &nn::Path, width: i64, outputs: i64) -> Self {
        FactorizationMachine { weight: path.parameter("weight", &[outputs, width], Init::Const(1.)) }
    }

    fn sizes(&self) -> (i64, i64) {
        let size = self.weight.size();
        (size[1], size[0])
    }
}

impl Layer for FactorizationMachine {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        let (width, outputs) = self.sizes();
        let sum = |values: &Tensor| values.sum_dim_intlist(1, false, None::<Kind>);
        let vectors = x.narrow(2, 0, width);
        // The products of all pairs, by the identity of the paper: half of (Σ v)² - Σ v².
        let pairs: Tensor = (sum(&vectors).square() - sum(&vectors.square())) * 0.5;
        pairs.linear::<Tensor>(&self.weight, None) + sum(&x.narrow(2, width, outputs))
    }

    fn script(&self) -> Script {
        let (width, outputs) = self.sizes();
        let forward = format!(
            r#"  def forward(self: {{class}}, x: Tensor) -> Tensor:
    vectors = torch.narrow(x, 2, 0, {width})
    all = torch.sum(vectors, [1])
    squares = torch.sum(torch.mul(vectors, vectors), [1])
    pairs = torch.mul(torch.sub(torch.mul(all, all), squares), 0.5)
    first = torch.sum(torch.narrow(x, 2, {width}, {outputs}), [1])
    return torch.add(torch.linear(pairs, self.weight, None), first)
"#
        );
        Script::Class(Class::new("FactorizationMachine", forward).parameter("weight", &self.weight))
    }

    fn describe(&self) -> String {
        format!("products of pairs of fields, {}→{}", self.sizes().0, self.sizes().1)
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        product(&[input[0], self.weight.numel() as i64])
    }
}

/// The vectors of the fields of a [`FactorizationMachine`], one after the other: (N, fields, width and more) to (N, fields × width).
///
/// ```
/// use cresset::model::layer::{FieldVectors, Layer};
/// use tch::{Device, Kind, Tensor};
///
/// let fields = Tensor::zeros([5, 4, 11], (Kind::Float, Device::Cpu));
/// assert_eq!(FieldVectors(8).forward(&fields, false).size(), [5, 32]);
/// ```
#[derive(Debug)]
pub struct FieldVectors(pub i64);

impl Layer for FieldVectors {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.narrow(2, 0, self.0).flatten(1, -1)
    }

    fn script(&self) -> Script {
        Script::expression(format!("torch.flatten(torch.narrow({{x}}, 2, 0, {}), 1, -1)", self.0))
    }

    fn describe(&self) -> String {
        format!("field vectors of {}", self.0)
    }
}
