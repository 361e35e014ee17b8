//! Attention.

use tch::Tensor;
use tch::nn::{self, Init};

use super::{Layer, product};
use crate::model::script::{Class, Script};

/// Multi-head self-attention (Vaswani et al., 2017), (N, length, width), with the names, shapes and initialization of
/// `torch.nn.MultiheadAttention`.
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
    heads: i64,
    dropout: f64,
    in_proj_weight: Tensor,
    in_proj_bias: Tensor,
    out_weight: Tensor,
    out_bias: Tensor,
}

impl SelfAttention {
    /// For tokens of size `width`, a multiple of `heads`. `dropout` is the dropout probability of the attention weights.
    pub fn new(path: &nn::Path, width: i64, heads: i64, dropout: f64) -> Self {
        let bound = (6. / (4 * width) as f64).sqrt();
        let out_bound = 1. / (width as f64).sqrt();
        let out = path / "out_proj";
        SelfAttention {
            heads,
            dropout,
            in_proj_weight: path.var(
                "in_proj_weight",
                &[3 * width, width],
                Init::Uniform { lo: -bound, up: bound },
            ),
            in_proj_bias: path.var("in_proj_bias", &[3 * width], Init::Const(0.)),
            out_weight: out.var("weight", &[width, width], Init::Uniform { lo: -out_bound, up: out_bound }),
            out_bias: out.var("bias", &[width], Init::Const(0.)),
        }
    }

    fn width(&self) -> i64 {
        self.out_bias.numel() as i64
    }
}

impl Layer for SelfAttention {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let (length, width) = (x.size()[1], self.width());
        // (3, N, heads, length, width of a head)
        let all = x
            .linear(&self.in_proj_weight, Some(&self.in_proj_bias))
            .reshape([-1, length, 3, self.heads, width / self.heads])
            .permute([2, 0, 3, 1, 4]);
        let (queries, keys, values) = (all.get(0), all.get(1), all.get(2));
        let dropout = if train { self.dropout } else { 0. };
        let seen = Tensor::scaled_dot_product_attention::<Tensor>(
            &queries, &keys, &values, None, dropout, false, None, false,
        );
        let joined = seen.permute([0, 2, 1, 3]).reshape([-1, length, width]);
        joined.linear(&self.out_weight, Some(&self.out_bias))
    }

    fn script(&self) -> Script {
        let (heads, width) = (self.heads, self.width());
        let forward = format!(
            r#"  def forward(self: {{class}}, x: Tensor) -> Tensor:
    length = torch.size(x, 1)
    all = torch.permute(torch.reshape(torch.linear(x, self.in_proj_weight, self.in_proj_bias), [-1, length, 3, {heads}, {head}]), [2, 0, 3, 1, 4])
    dropout = {dropout:?} if self.training else 0.0
    seen = torch.scaled_dot_product_attention(torch.select(all, 0, 0), torch.select(all, 0, 1), torch.select(all, 0, 2), None, dropout, False)
    joined = torch.reshape(torch.permute(seen, [0, 2, 1, 3]), [-1, length, {width}])
    return torch.linear(joined, self.out_proj.weight, self.out_proj.bias)
"#,
            head = width / heads,
            dropout = self.dropout,
        );
        let out = Class::new("Projection", "")
            .parameter("weight", &self.out_weight)
            .parameter("bias", &self.out_bias);
        let class = Class::new("SelfAttention", forward)
            .parameter("in_proj_weight", &self.in_proj_weight)
            .parameter("in_proj_bias", &self.in_proj_bias)
            .child("out_proj", out);
        Script::Class(class)
    }

    fn describe(&self) -> String {
        format!("self-attention {}, {} heads", self.width(), self.heads)
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        let (length, width) = (input[1] as u64, self.width() as u64);
        // The input and output projections, and the two token-by-token matrix products.
        product(input) * 4 * width + 2 * input[0] as u64 * length * length * width
    }
}
