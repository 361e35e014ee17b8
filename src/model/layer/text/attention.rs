//! Attention of text encoders, in Rust and in TorchScript.

use tch::{Device, Kind, Tensor};

/// Attention of `heads` heads: queries, keys and values (N, tokens, width) to (N, tokens, width). `bias` is added to the scores, and
/// `dropout` drops weights.
pub fn attention([queries, keys, values]: [&Tensor; 3], heads: i64, bias: &Tensor, dropout: f64) -> Tensor {
    let (length, width) = (queries.size()[1], queries.size()[2]);
    let split = |x: &Tensor| x.reshape([-1, length, heads, width / heads]).transpose(1, 2);
    let seen = Tensor::scaled_dot_product_attention(
        &split(queries),
        &split(keys),
        &split(values),
        Some(bias),
        dropout,
        false,
        None,
        false,
    );
    seen.transpose(1, 2).reshape([-1, length, width])
}

/// The equivalent of [`attention`] for `queries`, `keys`, `values` and `bias` in TorchScript, as lines of a method that assign `joined`.
pub fn attention_script(heads: i64, width: i64, dropout: f64) -> String {
    let split = |name: &str| {
        let head = width / heads;
        format!("torch.transpose(torch.reshape({name}, [-1, length, {heads}, {head}]), 1, 2)")
    };
    format!(
        "    length = torch.size(queries, 1)\n    \
         seen = torch.scaled_dot_product_attention({}, {}, {}, bias, {dropout:?} if self.training else 0.0, False)\n    \
         joined = torch.reshape(torch.transpose(seen, 1, 2), [-1, length, {width}])\n",
        split("queries"),
        split("keys"),
        split("values"),
    )
}

/// What is added to the scores of keys (N, 1, 1, tokens): 0 for tokens and -∞ for padding. `mask` is bool (N, tokens).
pub fn padding_bias(mask: &Tensor, kind: Kind) -> Tensor {
    mask.to_kind(kind).log().unsqueeze(1).unsqueeze(1)
}

/// The equivalent of [`padding_bias`] for `mask` and vectors `x` in TorchScript.
pub const PADDING_BIAS: &str =
    "torch.unsqueeze(torch.unsqueeze(torch.log(mask.to(ops.prim.dtype(x))), 1), 1)";

/// Cosines and sines of the angles of rotary position embeddings (Su et al., 2021) with this base, (positions, width).
pub fn rotations(positions: i64, width: i64, base: f64) -> [Tensor; 2] {
    let options = (Kind::Double, Device::Cpu);
    let exponents = Tensor::arange(width / 2, options) * 2. / width as f64;
    let frequencies = Tensor::from(base).pow(&-exponents);
    let angles = (Tensor::arange(positions, options).unsqueeze(1) * frequencies).repeat([1, 2]);
    [angles.cos().to_kind(Kind::Float), angles.sin().to_kind(Kind::Float)]
}

/// Cosines and sines of the angles of positions, (tokens, width of a head).
#[derive(Debug)]
pub struct Turns<'a> {
    pub cosines: &'a Tensor,
    pub sines: &'a Tensor,
}

impl Turns<'_> {
    /// Rotates queries or keys (N, heads, tokens, width of a head).
    pub fn apply(&self, x: &Tensor) -> Tensor {
        let halves = x.chunk(2, -1);
        x * self.cosines + Tensor::cat(&[-&halves[1], halves[0].shallow_clone()], -1) * self.sines
    }

    /// The equivalent of [`Turns::apply`] in TorchScript: replaces the tensor `name` by the rotated one, by `cosines` and `sines`.
    pub fn script(name: &str) -> String {
        format!(
            "    {name}_a, {name}_b = torch.chunk({name}, 2, -1)\n    {name} = torch.add(torch.mul({name}, cosines), \
             torch.mul(torch.cat([torch.neg({name}_b), {name}_a], -1), sines))\n"
        )
    }
}
