//! Swin transformer (Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", 2021), with
//! torchvision's names, shapes and initialization.

use tch::nn;

use super::{Architecture, NumberOption, Options, at_least, image, rates};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{
    ChannelsFirst, ChannelsLast, Convolution, Dropout, Flatten, Gelu, GlobalAverage, LayerNorm, Linear,
    MergePatches, Sequential, StochasticDepth, WindowAttention,
};

/// Swin-Tiny.
pub const TINY: Architecture = Architecture {
    name: "swin_t",
    summary: "Swin-Tiny: transformer with attention in shifted windows of 7×7 (torchvision)",
    options: &[NumberOption::dropout(0.), NumberOption::drop_path(0.2)],
    build,
};

/// Blocks and attention heads of each stage.
const STAGES: [(usize, i64); 4] = [(2, 3), (2, 6), (6, 12), (2, 24)];

/// Channels of the first stage; the number doubles with each stage.
const WIDTH: i64 = 96;

/// The side of a patch in pixels.
const PATCH: i64 = 4;

/// Added to the variance in layer normalization.
const EPS: f64 = 1e-5;

fn build(path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
    let [channels, height, width] = image(task, "swin_t")?;
    let mut size = [height, width].map(|side| side.max(PATCH) / PATCH);
    let at = path / "features";
    let convolution = Convolution::new(channels, WIDTH, PATCH).patches().bias();
    let stem = Sequential::default()
        .then("0", convolution.make(&(&at / "0" / "0")))
        .then("1", ChannelsLast)
        .then("2", LayerNorm::with_eps(&(&at / "0" / "2"), WIDTH, EPS));
    let mut features = Sequential::default().then("0", stem);
    let depth = STAGES.iter().map(|(blocks, _)| blocks).sum();
    let mut rates = rates(options.number("drop_path"), depth).into_iter();
    for (stage, (blocks, heads)) in STAGES.into_iter().enumerate() {
        let width = WIDTH << stage;
        if stage > 0 {
            let name = (2 * stage).to_string();
            features = features.then(&name, merging(&(&at / &name), width / 2, size));
            size = size.map(|side| (side + 1) / 2);
        }
        let name = (2 * stage + 1).to_string();
        let mut parts = Sequential::default();
        for (index, rate) in (0..blocks).zip(rates.by_ref()) {
            let attention = |path: &nn::Path| WindowAttention::new(path, width, heads, size, index % 2 == 1);
            parts = parts.then(index.to_string(), block(&(&at / &name / index), width, attention, rate));
        }
        features = features.then(name, parts);
    }
    let outputs = WIDTH << 3;
    Ok(at_least(PATCH, height, width)
        .then("features", features)
        .then("norm", LayerNorm::with_eps(&(path / "norm"), outputs, EPS))
        .then("permute", ChannelsFirst)
        .then("avgpool", GlobalAverage)
        .then("flatten", Flatten)
        .then("dropout", Dropout(options.number("dropout")))
        .then("head", Linear::normal(&(path / "head"), outputs, task.classes)))
}

/// Halves the sides of the image and doubles the `channels`.
fn merging(path: &nn::Path, channels: i64, size: [i64; 2]) -> Sequential {
    Sequential::default()
        .then("merge", MergePatches { size })
        .then("norm", LayerNorm::with_eps(&(path / "norm"), 4 * channels, EPS))
        .then("reduction", Linear::without_bias(&(path / "reduction"), 4 * channels, 2 * channels))
}

fn block(
    path: &nn::Path,
    width: i64,
    attention: impl Fn(&nn::Path) -> WindowAttention,
    rate: f64,
) -> Sequential {
    let norm = |name: &str| LayerNorm::with_eps(&(path / name), width, EPS);
    let at = path / "mlp";
    let mlp = Sequential::default()
        .then("0", Linear::normal(&(&at / "0"), width, 4 * width))
        .then("1", Gelu)
        .then("3", Linear::normal(&(&at / "3"), 4 * width, width));
    let mut attend =
        Sequential::default().then("norm1", norm("norm1")).then("attn", attention(&(path / "attn")));
    let mut feed_forward = Sequential::default().then("norm2", norm("norm2")).then("mlp", mlp);
    if rate > 0. {
        attend = attend.then("stochastic_depth1", StochasticDepth::new(rate, 4));
        feed_forward = feed_forward.then("stochastic_depth2", StochasticDepth::new(rate, 4));
    }
    Sequential::default()
        .then_sum(attend, Sequential::default())
        .then_sum(feed_forward, Sequential::default())
}
