//! Normalization.

use std::sync::OnceLock;

use cresset_bridge::kernels::norm;
use tch::nn::{self, Init};
use tch::{Kind, Tensor};

use super::{Channels, Layer};
use crate::distributed::World;
use crate::error::Result;
use crate::model::script::{Class, Script};

/// How fast the running figures follow the batches, as in PyTorch.
const MOMENTUM: f64 = 0.1;

const EPS: f64 = 1e-5;

/// Batch normalization of images (Ioffe and Szegedy, 2015): each channel to mean 0 and deviation 1, over the batch in
/// training, by running figures in evaluation; then scaled and shifted as is learned.
#[derive(Debug)]
pub struct BatchNorm2d {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    /// Int64. Nothing reads it here; PyTorch's modules have it, and their `load_state_dict` wants it.
    num_batches_tracked: Tensor,
    /// The processes whose batches are normalized as one.
    world: OnceLock<World>,
}

impl BatchNorm2d {
    /// For `channels` channels, with PyTorch's names: parameters `weight` and `bias`, buffers `running_mean`, `running_var`
    /// and `num_batches_tracked`.
    pub fn new(path: &nn::Path, channels: i64) -> Self {
        let count = Tensor::zeros([], (Kind::Int64, path.device()));
        BatchNorm2d {
            weight: path.var("weight", &[channels], Init::Const(1.)),
            bias: path.var("bias", &[channels], Init::Const(0.)),
            running_mean: path.zeros_no_train("running_mean", &[channels]),
            running_var: path.ones_no_train("running_var", &[channels]),
            num_batches_tracked: path.add("num_batches_tracked", count, false),
            world: OnceLock::new(),
        }
    }

    /// Normalises a batch in training, and rectifies it if wanted, by our own loops; none where they do not fit.
    fn by_own_loops(&self, x: &Tensor, is_rectified: bool) -> Option<Tensor> {
        if self.world.get().is_some() {
            return None;
        }
        let norm = norm::BatchNorm {
            weight: &self.weight,
            bias: &self.bias,
            running_mean: &self.running_mean,
            running_variance: &self.running_var,
            momentum: MOMENTUM,
            epsilon: EPS,
        };
        // What libtorch refuses in them, it says in its own operation.
        norm.normalize(x, is_rectified).ok().flatten()
    }

    fn count_batch(&self) {
        let _ = self.num_batches_tracked.shallow_clone().g_add_scalar_(1);
    }

    /// Normalises the batches (N, channels, height, width) of all processes as one. The mean is found first and the
    /// variance by it: the mean of squares less the square of the mean would lose the small variances.
    fn across(&self, x: &Tensor, world: &World) -> Result<Tensor> {
        let (channels, places) = (self.weight.numel() as i64, [0, 2, 3]);
        let wide = x.to_kind(Kind::Float);
        let own = Tensor::full([1], (wide.numel() as i64 / channels) as f64, (Kind::Float, x.device()));
        let sums = wide.sum_dim_intlist(&places[..], false, Kind::Float);
        let sums = world.summed(&Tensor::cat(&[sums, own], 0))?;
        let count = sums.narrow(0, channels, 1);
        let mean = sums.narrow(0, 0, channels) / &count;
        let centered = wide - mean.view([1, channels, 1, 1]);
        let squares = centered.square().sum_dim_intlist(&places[..], false, Kind::Float);
        let variance = world.summed(&squares)? / &count;
        tch::no_grad(|| {
            let unbiased = &variance * (&count / (&count - 1.).clamp_min(1.));
            let _ = self.running_mean.shallow_clone().lerp_(&mean, MOMENTUM);
            let _ = self.running_var.shallow_clone().lerp_(&unbiased, MOMENTUM);
        });
        let scale = (variance + EPS).rsqrt() * &self.weight;
        let output = centered * scale.view([1, channels, 1, 1]) + self.bias.view([1, channels, 1, 1]);
        Ok(output.to_kind(x.kind()))
    }
}

impl Layer for BatchNorm2d {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        if train {
            self.count_batch();
            if let Some(normalized) = self.by_own_loops(x, false) {
                return normalized;
            }
        }
        if let Some(world) = self.world.get().filter(|_| train) {
            return self.across(x, world).unwrap_or_else(|error| std::panic::panic_any(error));
        }
        let (mean, variance) = (Some(&self.running_mean), Some(&self.running_var));
        x.batch_norm(Some(&self.weight), Some(&self.bias), mean, variance, train, MOMENTUM, EPS, true)
    }

    fn train_rectified(&self, x: &Tensor) -> Option<Tensor> {
        self.by_own_loops(x, true).inspect(|_| self.count_batch())
    }

    fn script(&self) -> Script {
        let forward = format!(
            r#"  def forward(self: {{class}}, x: Tensor) -> Tensor:
    if self.training:
      _0 = torch.add_(self.num_batches_tracked, 1)
    else:
      pass
    return torch.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var, self.training, {MOMENTUM:?}, {EPS:?}, True)
"#
        );
        let class = Class::new("BatchNorm2d", forward)
            .parameter("weight", &self.weight)
            .parameter("bias", &self.bias)
            .buffer("running_mean", &self.running_mean)
            .buffer("running_var", &self.running_var)
            .buffer("num_batches_tracked", &self.num_batches_tracked);
        Script::Class(class)
    }

    fn channels(&self) -> Channels {
        Channels::Follows
    }

    fn span(&self, world: &World) {
        if !world.is_alone() {
            let _ = self.world.set(world.clone());
        }
    }

    fn describe(&self) -> String {
        format!("BatchNorm2d {}", self.weight.numel())
    }
}

/// Layer normalization (Ba, Kiros and Hinton, 2016): the values of each token to mean 0 and deviation 1, (…, width).
#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

/// As torchvision's vision transformers have it.
const LAYER_NORM_EPS: f64 = 1e-6;

impl LayerNorm {
    /// For tokens of `width` values.
    pub fn new(path: &nn::Path, width: i64) -> Self {
        LayerNorm {
            weight: path.var("weight", &[width], Init::Const(1.)),
            bias: path.var("bias", &[width], Init::Const(0.)),
        }
    }

    fn width(&self) -> i64 {
        self.weight.numel() as i64
    }
}

impl Layer for LayerNorm {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.layer_norm([self.width()], Some(&self.weight), Some(&self.bias), LAYER_NORM_EPS, true)
    }

    fn script(&self) -> Script {
        let forward = format!(
            "  def forward(self: {{class}}, x: Tensor) -> Tensor:\n    return torch.layer_norm(x, [{}], self.weight, self.bias, {LAYER_NORM_EPS:?}, True)\n",
            self.width()
        );
        let class = Class::new("LayerNorm", forward);
        Script::Class(class.parameter("weight", &self.weight).parameter("bias", &self.bias))
    }

    fn describe(&self) -> String {
        format!("LayerNorm {}", self.width())
    }
}
