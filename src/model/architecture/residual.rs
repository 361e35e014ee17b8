//! Common code of the residual networks of He et al., "Deep Residual Learning for Image Recognition" (2016), with
//! torchvision's names, shapes and initialization, so that its weights can be loaded.

use tch::nn;

use super::{NumberOption, Options, image};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{
    BatchNorm2d, Convolution, Flatten, GlobalAverage, Linear, MaxPool2d, Relu, Sequential,
};

/// Options of the residual networks.
pub const OPTIONS: &[NumberOption] = &[NumberOption::whole(
    "stem",
    7,
    (3, 7),
    "7: a 7×7 convolution and max pooling, which divide each side by 4; 3: a 3×3 convolution without pooling, for images \
     of about 32×32",
)];

/// The two kinds of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3 and 1×1 convolutions, the last with four times the channels; the 3×3 one has the stride.
    Bottleneck,
}

impl Block {
    fn expansion(self) -> i64 {
        match self {
            Block::Basic => 1,
            Block::Bottleneck => 4,
        }
    }

    /// The convolutions: kernel size, stride and output channels.
    fn convolutions(self, channels: i64, stride: i64) -> Vec<(i64, i64, i64)> {
        match self {
            Block::Basic => vec![(3, stride, channels), (3, 1, channels)],
            Block::Bottleneck => vec![(1, 1, channels), (3, stride, channels), (1, 1, 4 * channels)],
        }
    }

    fn body(self, path: &nn::Path, mut inputs: i64, channels: i64, stride: i64) -> Sequential {
        let mut layers = Sequential::default();
        let convolutions = self.convolutions(channels, stride);
        for (index, (kernel, stride, outputs)) in (1..).zip(&convolutions) {
            let (conv, bn) = (format!("conv{index}"), format!("bn{index}"));
            let convolution = Convolution::new(inputs, *outputs, *kernel).stride(*stride);
            layers = layers.then(&conv, convolution.make_he(&(path / &conv)));
            layers = layers.then(&bn, BatchNorm2d::new(&(path / &bn), *outputs));
            if index < convolutions.len() {
                layers = layers.then("relu", Relu);
            }
            inputs = *outputs;
        }
        layers
    }

    /// The block with its shortcut, which has a projection only if the body changes the size.
    fn make(self, path: &nn::Path, inputs: i64, channels: i64, stride: i64) -> Sequential {
        let outputs = channels * self.expansion();
        let mut shortcut = Sequential::default();
        if stride != 1 || inputs != outputs {
            let at = path / "downsample";
            let convolution = Convolution::new(inputs, outputs, 1).stride(stride);
            let projection = Sequential::default()
                .then("0", convolution.make_he(&(&at / "0")))
                .then("1", BatchNorm2d::new(&(&at / "1"), outputs));
            shortcut = shortcut.then("downsample", projection);
        }
        let body = self.body(path, inputs, channels, stride);
        Sequential::default().then_sum(body, shortcut).then("relu", Relu)
    }
}

/// The network with the given number of blocks in each of its four stages.
pub fn network(
    path: &nn::Path,
    task: &Task,
    options: &Options,
    block: Block,
    blocks: [usize; 4],
    name: &str,
) -> Result<Sequential> {
    let [inputs, ..] = image(task, name)?;
    let stem = match options.whole("stem") {
        7 => Convolution::new(inputs, 64, 7).stride(2),
        kernel => Convolution::new(inputs, 64, kernel),
    };
    let mut layers = Sequential::default()
        .then("conv1", stem.make_he(&(path / "conv1")))
        .then("bn1", BatchNorm2d::new(&(path / "bn1"), 64))
        .then("relu", Relu);
    if options.whole("stem") == 7 {
        layers = layers.then("maxpool", MaxPool2d::new(3, 2, 1));
    }
    let mut channels = 64;
    for (stage, count) in blocks.into_iter().enumerate() {
        let name = format!("layer{}", stage + 1);
        let (at, width) = (path / &name, 64 << stage);
        let mut parts = Sequential::default();
        for index in 0..count {
            let stride = if index == 0 && stage > 0 { 2 } else { 1 };
            let part = block.make(&(&at / index), channels, width, stride);
            parts = parts.then(index.to_string(), part);
            channels = width * block.expansion();
        }
        layers = layers.then(name, parts);
    }
    Ok(layers
        .then("avgpool", GlobalAverage)
        .then("flatten", Flatten)
        .then("fc", Linear::new(&(path / "fc"), channels, task.classes)))
}
