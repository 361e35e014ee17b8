//! Attention within windows of an image.

use tch::nn::{self, Init};
use tch::{Device, Kind, Tensor};

use super::{Constant, Layer, Parameters, product};
use crate::model::script::{Class, Script};

/// The side of a window.
const SIDE: i64 = 7;
/// Tokens of a window.
const LENGTH: i64 = SIDE * SIDE;
/// Relative positions along one side, from -6 to 6.
const RELATIVE: i64 = 2 * SIDE - 1;

/// Multi-head self-attention within windows of 7×7 positions (Liu et al., "Swin Transformer", 2021), (N, height, width,
/// channels), with a learned bias for each relative position, and the names, shapes and initialization of torchvision. The image
/// is padded to whole windows. With a shift, the windows start at position 3 and continue at the opposite side; positions that
/// are not neighbors do not attend to each other.
///
/// ```
/// use cresset::model::layer::{Layer, WindowAttention};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let attention = WindowAttention::new(&variables.root(), 16, 4, [9, 14], true);
/// let image = Tensor::rand([2, 9, 14, 16], (Kind::Float, Device::Cpu));
/// assert_eq!(attention.forward(&image, false).size(), [2, 9, 14, 16]);
/// ```
#[derive(Debug)]
pub struct WindowAttention {
    heads: i64,
    /// Height and width of the image.
    size: [i64; 2],
    /// The shift of the windows along each side.
    shift: [i64; 2],
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    out_weight: Tensor,
    out_bias: Tensor,
    /// (169, heads).
    bias_table: Tensor,
    /// Int64 (2401): the row of the table for each pair of positions.
    bias_index: Tensor,
    /// (windows, 1, 49, 49): -100 for pairs of positions that are not neighbors, 0 for the others. Only with a shift.
    mask: Option<Constant>,
}

impl WindowAttention {
    /// For an image of `size` (height, width) with `channels` channels, a multiple of `heads`.
    pub fn new(path: &nn::Path, channels: i64, heads: i64, size: [i64; 2], shifts: bool) -> Self {
        let init = Init::Randn { mean: 0., stdev: 0.02 };
        let (qkv, proj) = (path / "qkv", path / "proj");
        // A side of one window has no shift.
        let shift = size.map(|side| if shifts && side > SIDE { SIDE / 2 } else { 0 });
        WindowAttention {
            heads,
            size,
            shift,
            qkv_weight: qkv.parameter("weight", &[3 * channels, channels], init),
            qkv_bias: qkv.parameter("bias", &[3 * channels], Init::Const(0.)),
            out_weight: proj.parameter("weight", &[channels, channels], init),
            out_bias: proj.parameter("bias", &[channels], Init::Const(0.)),
            bias_table: path.parameter("relative_position_bias_table", &[RELATIVE * RELATIVE, heads], init),
            bias_index: path.add("relative_position_index", relative_positions(), false),
            mask: (shift != [0, 0]).then(|| Constant::new(mask(size, shift))),
        }
    }

    fn channels(&self) -> i64 {
        self.out_bias.numel() as i64
    }

    /// Height and width in windows.
    fn windows(&self) -> [i64; 2] {
        windows(self.size)
    }
}

/// Height and width in windows, rounded up.
fn windows(size: [i64; 2]) -> [i64; 2] {
    size.map(|side| (side + SIDE - 1) / SIDE)
}

/// The row of the table of biases for each pair of positions in a window: the difference of their rows, then that of their
/// columns.
fn relative_positions() -> Tensor {
    let places = || (0..SIDE).flat_map(|row| (0..SIDE).map(move |column| (row, column)));
    let row_of = |(a, b): (i64, i64), (c, d): (i64, i64)| (a - c + SIDE - 1) * RELATIVE + b - d + SIDE - 1;
    let index: Vec<i64> = places().flat_map(|from| places().map(move |to| row_of(from, to))).collect();
    Tensor::from_slice(&index)
}

/// The mask of shifted windows, (windows, 1, 49, 49).
fn mask(size: [i64; 2], shift: [i64; 2]) -> Tensor {
    let windows = windows(size);
    // The image consists of up to three parts per side: before the last window, and the two parts of the last window.
    let part = |place: i64, axis: usize| {
        let side = windows[axis] * SIDE;
        i64::from(place >= side - SIDE) + i64::from(place >= side - shift[axis])
    };
    let [rows, columns] = windows.map(|count| count * SIDE);
    let parts: Vec<i64> = (0..rows)
        .flat_map(|row| (0..columns).map(move |column| part(row, 0) * 3 + part(column, 1)))
        .collect();
    let parts = Tensor::from_slice(&parts)
        .view([windows[0], SIDE, windows[1], SIDE])
        .permute([0, 2, 1, 3])
        .reshape([-1, LENGTH]);
    let differs = parts.unsqueeze(1).not_equal_tensor(&parts.unsqueeze(2));
    let zeros = Tensor::zeros(differs.size(), (Kind::Float, Device::Cpu));
    zeros.masked_fill(&differs, -100.).unsqueeze(1)
}

impl Layer for WindowAttention {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        let ([height, width], [rows, columns], channels) = (self.size, self.windows(), self.channels());
        let (head, [down, right]) = (channels / self.heads, self.shift);
        let padded = x.constant_pad_nd([0, 0, 0, columns * SIDE - width, 0, rows * SIDE - height]);
        let shifted = padded.roll([-down, -right], [1, 2]);
        // (N, windows, 49, channels)
        let parts = shifted
            .reshape([-1, rows, SIDE, columns, SIDE, channels])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([-1, rows * columns, LENGTH, channels]);
        // (3, N, windows, heads, 49, width of a head)
        let all = parts
            .linear(&self.qkv_weight, Some(&self.qkv_bias))
            .reshape([-1, rows * columns, LENGTH, 3, self.heads, head])
            .permute([3, 0, 1, 4, 2, 5]);
        let (queries, keys, values) = (all.get(0), all.get(1), all.get(2));
        let scale = (head as f64).powf(-0.5);
        let bias = self.bias_table.index_select(0, &self.bias_index).reshape([LENGTH, LENGTH, self.heads]);
        let mut scores = (queries * scale).matmul(&keys.transpose(-2, -1)) + bias.permute([2, 0, 1]);
        if let Some(mask) = &self.mask {
            scores = &scores + mask.like(&scores);
        }
        let kind = scores.kind();
        let seen = scores.softmax(-1, kind).matmul(&values);
        let joined = seen.permute([0, 1, 3, 2, 4]).reshape([-1, rows * columns, LENGTH, channels]);
        joined
            .linear(&self.out_weight, Some(&self.out_bias))
            .reshape([-1, rows, columns, SIDE, SIDE, channels])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([-1, rows * SIDE, columns * SIDE, channels])
            .roll([down, right], [1, 2])
            .narrow(1, 0, height)
            .narrow(2, 0, width)
    }

    fn script(&self) -> Script {
        let ([height, width], [rows, columns], channels) = (self.size, self.windows(), self.channels());
        let (heads, head, [down, right]) = (self.heads, channels / self.heads, self.shift);
        let (bottom, side) = (rows * SIDE - height, columns * SIDE - width);
        let (padded_rows, padded_columns, count) = (rows * SIDE, columns * SIDE, rows * columns);
        let scale = (head as f64).powf(-0.5);
        let masked = match &self.mask {
            Some(_) => "    scores = torch.add(scores, torch.type_as(self.mask, scores))\n",
            None => "",
        };
        let forward = format!(
            r#"  def forward(self: {{class}}, x: Tensor) -> Tensor:
    padded = torch.constant_pad_nd(x, [0, 0, 0, {side}, 0, {bottom}], 0)
    shifted = torch.roll(padded, [{up}, {left}], [1, 2])
    parts = torch.permute(torch.reshape(shifted, [-1, {rows}, {SIDE}, {columns}, {SIDE}, {channels}]), [0, 1, 3, 2, 4, 5])
    parts = torch.reshape(parts, [-1, {count}, {LENGTH}, {channels}])
    all = torch.reshape(torch.linear(parts, self.qkv.weight, self.qkv.bias), [-1, {count}, {LENGTH}, 3, {heads}, {head}])
    all = torch.permute(all, [3, 0, 1, 4, 2, 5])
    bias = torch.index_select(self.relative_position_bias_table, 0, self.relative_position_index)
    bias = torch.permute(torch.reshape(bias, [{LENGTH}, {LENGTH}, {heads}]), [2, 0, 1])
    keys = torch.transpose(torch.select(all, 0, 1), -2, -1)
    scores = torch.add(torch.matmul(torch.mul(torch.select(all, 0, 0), {scale:?}), keys), bias)
{masked}    seen = torch.matmul(torch.softmax(scores, -1), torch.select(all, 0, 2))
    joined = torch.reshape(torch.permute(seen, [0, 1, 3, 2, 4]), [-1, {count}, {LENGTH}, {channels}])
    output = torch.linear(joined, self.proj.weight, self.proj.bias)
    output = torch.permute(torch.reshape(output, [-1, {rows}, {columns}, {SIDE}, {SIDE}, {channels}]), [0, 1, 3, 2, 4, 5])
    output = torch.roll(torch.reshape(output, [-1, {padded_rows}, {padded_columns}, {channels}]), [{down}, {right}], [1, 2])
    return torch.narrow(torch.narrow(output, 1, 0, {height}), 2, 0, {width})
"#,
            up = -down,
            left = -right,
        );
        let projection = |weight: &Tensor, bias: &Tensor| {
            Class::new("Projection", "").parameter("weight", weight).parameter("bias", bias)
        };
        let class = Class::new("WindowAttention", forward)
            .parameter("relative_position_bias_table", &self.bias_table)
            .buffer("relative_position_index", &self.bias_index)
            .child("qkv", projection(&self.qkv_weight, &self.qkv_bias))
            .child("proj", projection(&self.out_weight, &self.out_bias));
        Script::Class(match &self.mask {
            Some(mask) => class.constant("mask", mask.value()),
            None => class,
        })
    }

    fn describe(&self) -> String {
        let shifted = if self.mask.is_some() { ", shifted" } else { "" };
        format!("attention in windows {}, {} heads{shifted}", self.channels(), self.heads)
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        let channels = self.channels() as u64;
        let tokens = product(&[&input[..1], &self.windows()].concat()) * LENGTH as u64;
        // The input and output projections, and the two matrix products in each window.
        tokens * channels * (4 * channels + 2 * LENGTH as u64)
    }
}

/// Joins each 2×2 positions of an image, (N, height, width, channels), to one of four times the channels. An odd side is padded
/// with zeros.
#[derive(Debug)]
pub struct MergePatches {
    /// Height and width of the image.
    pub size: [i64; 2],
}

impl Layer for MergePatches {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        let [height, width] = self.size;
        let padded = x.constant_pad_nd([0, 0, 0, width % 2, 0, height % 2]);
        let part = |row, column| padded.slice(1, row, None, 2).slice(2, column, None, 2);
        Tensor::cat(&[part(0, 0), part(1, 0), part(0, 1), part(1, 1)], -1)
    }

    fn script(&self) -> Script {
        let [height, width] = self.size;
        let last = i64::MAX;
        let part = |row: i64, column: i64| {
            format!("torch.slice(torch.slice(padded, 1, {row}, {last}, 2), 2, {column}, {last}, 2)")
        };
        let parts = [part(0, 0), part(1, 0), part(0, 1), part(1, 1)].join(", ");
        let forward = format!(
            r#"  def forward(self: {{class}}, x: Tensor) -> Tensor:
    padded = torch.constant_pad_nd(x, [0, 0, 0, {right}, 0, {bottom}], 0)
    return torch.cat([{parts}], -1)
"#,
            right = width % 2,
            bottom = height % 2,
        );
        Script::Class(Class::new("MergePatches", forward))
    }

    fn describe(&self) -> String {
        "joins 2×2 positions".to_string()
    }
}
