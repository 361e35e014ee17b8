//! Pooling of images.

use tch::Tensor;

use super::{ChannelEffect, Layer};
use crate::model::script::Script;

/// Max pooling.
///
/// ```
/// use cresset::model::layer::{Layer, MaxPool2d};
/// use tch::{Device, Kind, Tensor};
///
/// let images = Tensor::rand([2, 3, 8, 1], (Kind::Float, Device::Cpu));
/// // The width is one pixel, so only the height is halved.
/// assert_eq!(MaxPool2d::halving(8, 1).forward(&images, false).size(), [2, 3, 4, 1]);
/// ```
#[derive(Debug)]
pub struct MaxPool2d {
    kernel: [i64; 2],
    stride: i64,
    padding: i64,
}

impl MaxPool2d {
    /// A square window with a stride and implicit padding by negative infinity, all in pixels.
    pub fn new(kernel: i64, stride: i64, padding: i64) -> Self {
        MaxPool2d { kernel: [kernel, kernel], stride, padding }
    }

    /// A 2×2 window with stride 2 for an image of this size. A side of one pixel is kept.
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

    fn channel_effect(&self) -> ChannelEffect {
        ChannelEffect::Keeps
    }

    fn describe(&self) -> String {
        let MaxPool2d { kernel: [height, width], stride, .. } = self;
        format!("MaxPool2d {height}×{width}, stride {stride}")
    }
}

/// Average pooling with a 2×2 window and stride 2, (N, channels, height, width) to (N, channels, ⌈height / 2⌉, ⌈width / 2⌉). A
/// window at the border has only the pixels inside.
///
/// ```
/// use cresset::model::layer::{HalvingAverage, Layer};
/// use tch::Tensor;
///
/// let image = Tensor::from_slice(&[1f32, 3., 5.]).view([1, 1, 1, 3]);
/// assert_eq!(HalvingAverage.forward(&image, false).view(-1), Tensor::from_slice(&[2f32, 5.]));
/// ```
#[derive(Debug)]
pub struct HalvingAverage;

impl Layer for HalvingAverage {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.avg_pool2d([2, 2], [2, 2], [0, 0], true, false, None)
    }

    fn script(&self) -> Script {
        Script::expression("torch.avg_pool2d({x}, [2, 2], [2, 2], [0, 0], True, False, None)")
    }

    fn channel_effect(&self) -> ChannelEffect {
        ChannelEffect::Keeps
    }

    fn describe(&self) -> String {
        "AvgPool2d 2×2, stride 2".to_string()
    }
}

/// Global average pooling, (N, channels, height, width) to (N, channels, 1, 1).
///
/// ```
/// use cresset::model::layer::{GlobalAverage, Layer};
/// use tch::Tensor;
///
/// let image = Tensor::from_slice(&[1f32, 2., 3., 6.]).view([1, 1, 2, 2]);
/// assert_eq!(GlobalAverage.forward(&image, false).double_value(&[0, 0, 0, 0]), 3.);
/// ```
#[derive(Debug)]
pub struct GlobalAverage;

impl Layer for GlobalAverage {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.adaptive_avg_pool2d([1, 1])
    }

    fn script(&self) -> Script {
        Script::expression("torch.adaptive_avg_pool2d({x}, [1, 1])")
    }

    fn channel_effect(&self) -> ChannelEffect {
        ChannelEffect::Keeps
    }

    fn describe(&self) -> String {
        "global average pooling".to_string()
    }
}

/// Global max pooling, (N, channels, height, width) to (N, channels, 1, 1).
///
/// ```
/// use cresset::model::layer::{GlobalMax, Layer};
/// use tch::Tensor;
///
/// let image = Tensor::from_slice(&[1f32, 2., 3., 6.]).view([1, 1, 2, 2]);
/// assert_eq!(GlobalMax.forward(&image, false).double_value(&[0, 0, 0, 0]), 6.);
/// ```
#[derive(Debug)]
pub struct GlobalMax;

impl Layer for GlobalMax {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.amax([-2, -1], true)
    }

    fn script(&self) -> Script {
        Script::expression("torch.amax({x}, [-2, -1], True)")
    }

    fn channel_effect(&self) -> ChannelEffect {
        ChannelEffect::Keeps
    }

    fn describe(&self) -> String {
        "global max pooling".to_string()
    }
}
