//! Common code of the residual networks of He et al., "Deep Residual Learning for Image Recognition" (2016), with
//! torchvision's names, shapes and initialization, so that its weights can be loaded; and their variant D (He et al., "Bag of
//! Tricks for Image Classification with Convolutional Neural Networks", 2019), with timm's names: the stem has three 3×3
//! convolutions, and shortcuts halve the image by average pooling.

use tch::nn;

use super::{NumberOption, Options, image, normalized};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{
    BatchNorm2d, Convolution, Flatten, GlobalAverage, HalvingAverage, Linear, MaxPool2d, Relu, Sequential,
};

/// Options of the residual networks, apart from those of variant D.
pub const OPTIONS: &[NumberOption] = &[NumberOption::whole(
    "stem",
    7,
    (3, 7),
    "7: a 7×7 convolution and max pooling, which divide each side by 4; 3: a 3×3 convolution without pooling, for images \
     of about 32×32",
)];

/// The sizes of a network.
pub struct Form {
    pub name: &'static str,
    pub block: Block,
    /// Blocks per stage.
    pub depths: [usize; 4],
    /// Whether it is variant D.
    pub is_d: bool,
}

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
            layers = layers.then_all(normalized(path, &conv, &bn, convolution, *outputs));
            if index < convolutions.len() {
                layers = layers.then("relu", Relu);
            }
            inputs = *outputs;
        }
        layers
    }

    /// The block with its shortcut, which has a projection only if the body changes the size.
    fn make(self, path: &nn::Path, inputs: i64, channels: i64, stride: i64, is_d: bool) -> Sequential {
        let outputs = channels * self.expansion();
        let mut shortcut = Sequential::default();
        if stride != 1 || inputs != outputs {
            let at = path / "downsample";
            let mut projection = Sequential::default();
            if is_d && stride != 1 {
                projection = projection.then("0", HalvingAverage);
            }
            // In variant D, the first place is that of the pooling, even if there is none.
            let (conv, bn) = if is_d { ("1", "2") } else { ("0", "1") };
            let convolution = Convolution::new(inputs, outputs, 1).stride(if is_d { 1 } else { stride });
            projection = projection.then_all(normalized(&at, conv, bn, convolution, outputs));
            shortcut = shortcut.then("downsample", projection);
        }
        let body = self.body(path, inputs, channels, stride);
        Sequential::default().then_sum(body, shortcut).then("relu", Relu)
    }
}

impl Form {
    /// The network. The option `stem` is that of [`OPTIONS`]; variant D does not have it.
    pub fn network(&self, path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
        let [inputs, ..] = image(task, self.name)?;
        let mut layers = Sequential::default();
        let mut pools = true;
        if self.is_d {
            layers = layers.then("conv1", deep_stem(&(path / "conv1"), inputs));
        } else {
            let kernel = options.whole("stem");
            pools = kernel == 7;
            let stem = Convolution::new(inputs, 64, kernel).stride(if pools { 2 } else { 1 });
            layers = layers.then("conv1", stem.make_he(&(path / "conv1")));
        }
        layers = layers.then("bn1", BatchNorm2d::new(&(path / "bn1"), 64)).then("relu", Relu);
        if pools {
            layers = layers.then("maxpool", MaxPool2d::new(3, 2, 1));
        }
        let mut channels = 64;
        for (stage, count) in self.depths.into_iter().enumerate() {
            let name = format!("layer{}", stage + 1);
            let (at, width) = (path / &name, 64 << stage);
            let mut parts = Sequential::default();
            for index in 0..count {
                let stride = if index == 0 && stage > 0 { 2 } else { 1 };
                let part = self.block.make(&(&at / index), channels, width, stride, self.is_d);
                parts = parts.then(index.to_string(), part);
                channels = width * self.block.expansion();
            }
            layers = layers.then(name, parts);
        }
        Ok(layers
            .then("avgpool", GlobalAverage)
            .then("flatten", Flatten)
            .then("fc", Linear::new(&(path / "fc"), channels, task.classes)))
    }
}

/// Three 3×3 convolutions, the first with stride 2. Batch normalization and ReLU follow.
fn deep_stem(path: &nn::Path, inputs: i64) -> Sequential {
    Sequential::default()
        .then("0", Convolution::new(inputs, 32, 3).stride(2).make_he(&(path / "0")))
        .then("1", BatchNorm2d::new(&(path / "1"), 32))
        .then("2", Relu)
        .then("3", Convolution::new(32, 32, 3).make_he(&(path / "3")))
        .then("4", BatchNorm2d::new(&(path / "4"), 32))
        .then("5", Relu)
        .then("6", Convolution::new(32, 64, 3).make_he(&(path / "6")))
}
