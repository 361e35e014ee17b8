//! Attention.

use tch::Tensor;
use tch::nn::{self, Init};

use super::{Layer, Parameters, Rotation, product};
use crate::model::script::{Class, Script};

/// Multi-head self-attention (Vaswani et al., 2017), (N, length, width).
///
/// ```
/// use cresset::model::layer::{Layer, SelfAttention};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let attention = SelfAttention::new(&variables.root(), 16, 4, 0.);
/// let tokens = Tensor::rand([2, 5, 16], (Kind::Float, Device::Cpu));
/// assert_eq!(attention.forward(&tokens, false).size(), [2, 5, 16]);
/// ```
#[derive(Debug)]
pub struct SelfAttention {
    names: Names,
    heads: i64,
    /// Probability of dropping an attention weight in training.
    dropout: f64,
    /// The projection to queries, keys and values.
    in_weight: Tensor,
    in_bias: Option<Tensor>,
    out_weight: Tensor,
    out_bias: Tensor,
    rotation: Option<Rotation>,
}

/// Names of the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// Those of `torch.nn.MultiheadAttention`: `in_proj_weight`, `in_proj_bias`, `out_proj.weight`, `out_proj.bias`.
    Torch,
    /// Those of timm: `qkv.weight`, `qkv.bias`, `proj.weight`, `proj.bias`.
    Timm,
}

impl SelfAttention {
    /// For tokens of size `width`, a multiple of `heads`, with the names, shapes and initialization of
    /// `torch.nn.MultiheadAttention`. `dropout` is the dropout probability of the attention weights.
    pub fn new(path: &nn::Path, width: i64, heads: i64, dropout: f64) -> Self {
        let bound = (6. / (4 * width) as f64).sqrt();
        let out_bound = 1. / (width as f64).sqrt();
        let out = path / "out_proj";
        let uniform = |bound: f64| Init::Uniform { lo: -bound, up: bound };
        SelfAttention {
            names: Names::Torch,
            heads,
            dropout,
            in_weight: path.parameter("in_proj_weight", &[3 * width, width], uniform(bound)),
            in_bias: Some(path.parameter("in_proj_bias", &[3 * width], Init::Const(0.))),
            out_weight: out.parameter("weight", &[width, width], uniform(out_bound)),
            out_bias: out.parameter("bias", &[width], Init::Const(0.)),
            rotation: None,
        }
    }

    /// For tokens of size `width`, a multiple of `heads`, with the names, shapes and initialization of timm's vision
    /// transformers. `has_bias` is whether queries, keys and values have a bias.
    pub fn timm(path: &nn::Path, width: i64, heads: i64, has_bias: bool) -> Self {
        let init = Init::Randn { mean: 0., stdev: 0.02 };
        let (qkv, proj) = (path / "qkv", path / "proj");
        SelfAttention {
            names: Names::Timm,
            heads,
            dropout: 0.,
            in_weight: qkv.parameter("weight", &[3 * width, width], init),
            in_bias: has_bias.then(|| qkv.parameter("bias", &[3 * width], Init::Const(0.))),
            out_weight: proj.parameter("weight", &[width, width], init),
            out_bias: proj.parameter("bias", &[width], Init::Const(0.)),
            rotation: None,
        }
    }

    /// Adds rotary position embeddings.
    pub fn rotating(self, rotation: Rotation) -> Self {
        SelfAttention { rotation: Some(rotation), ..self }
    }

    fn width(&self) -> i64 {
        self.out_bias.numel() as i64
    }

    /// The class with its parameters, and the expressions of the weights and biases of both projections.
    fn class(&self, forward: impl Fn([&str; 4]) -> String) -> Class {
        let in_bias = |name: &'static str| if self.in_bias.is_some() { name } else { "None" };
        let projection = |weight: &Tensor, bias: Option<&Tensor>| {
            let class = Class::new("Projection", "").parameter("weight", weight);
            bias.into_iter().fold(class, |class, bias| class.parameter("bias", bias))
        };
        let out = projection(&self.out_weight, Some(&self.out_bias));
        match self.names {
            Names::Torch => {
                let source = forward([
                    "self.in_proj_weight",
                    in_bias("self.in_proj_bias"),
                    "self.out_proj.weight",
                    "self.out_proj.bias",
                ]);
                let class = Class::new("SelfAttention", source).parameter("in_proj_weight", &self.in_weight);
                let bias = self.in_bias.iter();
                bias.fold(class, |class, bias| class.parameter("in_proj_bias", bias)).child("out_proj", out)
            }
            Names::Timm => {
                let bias = in_bias("self.qkv.bias");
                let source = forward(["self.qkv.weight", bias, "self.proj.weight", "self.proj.bias"]);
                Class::new("SelfAttention", source)
                    .child("qkv", projection(&self.in_weight, self.in_bias.as_ref()))
                    .child("proj", out)
            }
        }
    }
}

impl Layer for SelfAttention {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let (length, width) = (x.size()[1], self.width());
        // (3, N, heads, length, width of a head)
        let all = x
            .linear(&self.in_weight, self.in_bias.as_ref())
            .reshape([-1, length, 3, self.heads, width / self.heads])
            .permute([2, 0, 3, 1, 4]);
        let (mut queries, mut keys, values) = (all.get(0), all.get(1), all.get(2));
        if let Some(rotation) = &self.rotation {
            (queries, keys) = (rotation.apply(&queries), rotation.apply(&keys));
        }
        let dropout = if train { self.dropout } else { 0. };
        let seen = Tensor::scaled_dot_product_attention::<Tensor>(
            &queries, &keys, &values, None, dropout, false, None, false,
        );
        let joined = seen.permute([0, 2, 1, 3]).reshape([-1, length, width]);
        joined.linear(&self.out_weight, Some(&self.out_bias))
    }

    fn script(&self) -> Script {
        let (heads, width) = (self.heads, self.width());
        let rotate = |name: &str| match &self.rotation {
            None => String::new(),
            Some(_) => format!(
                "    {name}_a, {name}_b = torch.chunk({name}, 2, -1)\n    {name} = torch.add(torch.mul({name}, \
                 torch.type_as(self.cosines, {name})), torch.mul(torch.cat([torch.neg({name}_b), {name}_a], -1), \
                 torch.type_as(self.sines, {name})))\n"
            ),
        };
        let class = self.class(|[in_weight, in_bias, out_weight, out_bias]| {
            format!(
                r#"  def forward(self: {{class}}, x: Tensor) -> Tensor:
    length = torch.size(x, 1)
    all = torch.permute(torch.reshape(torch.linear(x, {in_weight}, {in_bias}), [-1, length, 3, {heads}, {head}]), [2, 0, 3, 1, 4])
    q = torch.select(all, 0, 0)
    k = torch.select(all, 0, 1)
{rotate_q}{rotate_k}    dropout = {dropout:?} if self.training else 0.0
    seen = torch.scaled_dot_product_attention(q, k, torch.select(all, 0, 2), None, dropout, False)
    joined = torch.reshape(torch.permute(seen, [0, 2, 1, 3]), [-1, length, {width}])
    return torch.linear(joined, {out_weight}, {out_bias})
"#,
                head = width / heads,
                dropout = self.dropout,
                rotate_q = rotate("q"),
                rotate_k = rotate("k"),
            )
        });
        Script::Class(match &self.rotation {
            Some(rotation) => {
                class.constant("cosines", rotation.cosines.value()).constant("sines", rotation.sines.value())
            }
            None => class,
        })
    }

    fn describe(&self) -> String {
        let rotating = if self.rotation.is_some() { ", rotary positions" } else { "" };
        format!("self-attention {}, {} heads{rotating}", self.width(), self.heads)
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        let (length, width) = (input[1] as u64, self.width() as u64);
        // The input and output projections, and the two token-by-token matrix products.
        product(input) * 4 * width + 2 * input[0] as u64 * length * length * width
    }
}
