//! Pooling of images.

use tch::Tensor;

use super::{Channels, Layer};
use crate::model::script::Script;

/// The greatest value under a window, channel by channel.
#[derive(Debug)]
pub struct MaxPool2d {
    kernel: [i64; 2],
    stride: i64,
    padding: i64,
}

impl MaxPool2d {
    /// A square window that is moved by `stride` pixels, over a border of `padding` pixels that never win.
    pub fn new(kernel: i64, stride: i64, padding: i64) -> Self {
        MaxPool2d { kernel: [kernel, kernel], stride, padding }
    }

    /// Halves an image of this height and width; a side of one pixel stays.
    pub fn halving(height: i64, width: i64) -> Self {
        MaxPool2d { kernel: [height.min(2), width.min(2)], stride: 2, padding: 0 }
    }
}

impl Layer for MaxPool2d {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        let (stride, padding) = (self.stride, self.padding);
        x.max_pool2d(self.kernel, [stride, stride], [padding, padding], [1, 1], false)
    }

    fn script(&self) -> Script {
        let MaxPool2d { kernel: [height, width], stride, padding } = self;
        Script::expression(format!(
            "torch.max_pool2d({{x}}, [{height}, {width}], [{stride}, {stride}], [{padding}, {padding}], [1, 1], False)"
        ))
    }

    fn channels(&self) -> Channels {
        Channels::Keeps
    }

    fn describe(&self) -> String {
        let MaxPool2d { kernel: [height, width], stride, .. } = self;
        format!("MaxPool2d {height}×{width}, stride {stride}")
    }
}

/// The mean of each channel, (N, channels, height, width) to (N, channels, 1, 1).
#[derive(Debug)]
pub struct GlobalAverage;

impl Layer for GlobalAverage {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.adaptive_avg_pool2d([1, 1])
    }

    fn script(&self) -> Script {
        Script::expression("torch.adaptive_avg_pool2d({x}, [1, 1])")
    }

    fn channels(&self) -> Channels {
        Channels::Keeps
    }

    fn describe(&self) -> String {
        "global average".to_string()
    }
}

/// The greatest value of each channel, (N, channels, height, width) to (N, channels, 1, 1).
#[derive(Debug)]
pub struct GlobalMax;

impl Layer for GlobalMax {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.amax([-2, -1], true)
    }

    fn script(&self) -> Script {
        Script::expression("torch.amax({x}, [-2, -1], True)")
    }

    fn channels(&self) -> Channels {
        Channels::Keeps
    }

    fn describe(&self) -> String {
        "global maximum".to_string()
    }
}
