//! Batch normalization.

use std::sync::OnceLock;

use cresset_bridge::kernels::norm;
use tch::nn::{self, Init};
use tch::{Kind, Tensor};

use super::{ChannelEffect, Layer, Parameters};
use crate::distributed::World;
use crate::error::Result;
use crate::model::script::{Class, Script};

/// Momentum of the running statistics, as in PyTorch.
const MOMENTUM: f64 = 0.1;

/// Added to the variance, as in PyTorch.
const EPS: f64 = 1e-5;

/// Batch normalization (Ioffe and Szegedy, 2015) of images, (N, channels, height, width), or of vectors, (N, channels): normalizes each channel with the
/// statistics of the batch in training and with the running statistics in evaluation, then applies a learned scale and shift.
///
/// ```
/// use cresset::model::layer::{BatchNorm2d, Layer};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let norm = BatchNorm2d::new(&variables.root(), 3);
/// let images = 5. + Tensor::rand([8, 3, 4, 4], (Kind::Float, Device::Cpu));
/// let mean = norm.forward(&images, true).mean(Kind::Float).double_value(&[]);
/// assert!(mean.abs() < 1e-4);
/// ```
#[derive(Debug)]
pub struct BatchNorm2d {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    /// Int64. Unused here, but required by `load_state_dict` in PyTorch.
    num_batches_tracked: Tensor,
    eps: f64,
    /// The ranks whose batches are normalized together.
    world: OnceLock<World>,
}

impl BatchNorm2d {
    /// For `channels` channels, with PyTorch's names: parameters `weight` and `bias`, buffers `running_mean`, `running_var`
    /// and `num_batches_tracked`.
    pub fn new(path: &nn::Path, channels: i64) -> Self {
        BatchNorm2d::with_eps(path, channels, EPS)
    }

    /// Like [`BatchNorm2d::new`], with another value that is added to the variance.
    pub fn with_eps(path: &nn::Path, channels: i64, eps: f64) -> Self {
        let count = Tensor::zeros([], (Kind::Int64, path.device()));
        BatchNorm2d {
            weight: path.parameter("weight", &[channels], Init::Const(1.)),
            bias: path.parameter("bias", &[channels], Init::Const(0.)),
            running_mean: path.zeros_no_train("running_mean", &[channels]),
            running_var: path.ones_no_train("running_var", &[channels]),
            num_batches_tracked: path.add("num_batches_tracked", count, false),
            eps,
            world: OnceLock::new(),
        }
    }

    /// Normalizes a batch in training, optionally followed by ReLU, with a fused kernel. None if the kernel does not apply.
    fn fused(&self, x: &Tensor, with_relu: bool) -> Option<Tensor> {
        if self.world.get().is_some() {
            return None;
        }
        let norm = norm::BatchNorm {
            weight: &self.weight,
            bias: &self.bias,
            running_mean: &self.running_mean,
            running_variance: &self.running_var,
            momentum: MOMENTUM,
            epsilon: self.eps,
        };
        // On an error, libtorch's operation reports it.
        norm.normalise(x, with_relu).ok().flatten()
    }

    fn count_batch(&self) {
        let _ = self.num_batches_tracked.shallow_clone().g_add_scalar_(1);
    }

    /// Normalizes the batches (N, channels, …) of all ranks together. Computes the mean first and the variance
    /// from the centered values: the mean of squares minus the squared mean is inaccurate for small variances.
    fn across(&self, x: &Tensor, world: &World) -> Result<Tensor> {
        let channels = self.weight.numel() as i64;
        let places: Vec<i64> = (0..x.dim() as i64).filter(|dimension| *dimension != 1).collect();
        let mut sizes = vec![1; x.dim()];
        sizes[1] = channels;
        let wide = x.to_kind(Kind::Float);
        let own = Tensor::full([1], (wide.numel() as i64 / channels) as f64, (Kind::Float, x.device()));
        let sums = wide.sum_dim_intlist(&places[..], false, Kind::Float);
        let sums = world.all_reduce_with_grad(&Tensor::cat(&[sums, own], 0))?;
        let count = sums.narrow(0, channels, 1);
        let mean = sums.narrow(0, 0, channels) / &count;
        let centered = wide - mean.view(&sizes[..]);
        let squares = centered.square().sum_dim_intlist(&places[..], false, Kind::Float);
        let variance = world.all_reduce_with_grad(&squares)? / &count;
        tch::no_grad(|| {
            let unbiased = &variance * (&count / (&count - 1.).clamp_min(1.));
            let _ = self.running_mean.shallow_clone().lerp_(&mean, MOMENTUM);
            let _ = self.running_var.shallow_clone().lerp_(&unbiased, MOMENTUM);
        });
        let scale = (variance + self.eps).rsqrt() * &self.weight;
        let output = centered * scale.view(&sizes[..]) + self.bias.view(&sizes[..]);
        Ok(output.to_kind(x.kind()))
    }
}

impl Layer for BatchNorm2d {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        if train {
            self.count_batch();
            if let Some(normalized) = self.fused(x, false) {
                return normalized;
            }
        }
        if let Some(world) = self.world.get().filter(|_| train) {
            return self.across(x, world).unwrap_or_else(|error| std::panic::panic_any(error));
        }
        let (mean, variance) = (Some(&self.running_mean), Some(&self.running_var));
        x.batch_norm(Some(&self.weight), Some(&self.bias), mean, variance, train, MOMENTUM, self.eps, true)
    }

    fn train_with_relu(&self, x: &Tensor) -> Option<Tensor> {
        self.fused(x, true).inspect(|_| self.count_batch())
    }

    fn script(&self) -> Script {
        let eps = self.eps;
        let forward = format!(
            r#"  def forward(self: {{class}}, x: Tensor) -> Tensor:
    if self.training:
      _0 = torch.add_(self.num_batches_tracked, 1)
    else:
      pass
    return torch.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var, self.training, {MOMENTUM:?}, {eps:?}, True)
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

    fn channel_effect(&self) -> ChannelEffect {
        ChannelEffect::PerChannel
    }

    fn synchronize(&self, world: &World) {
        if !world.is_alone() {
            let _ = self.world.set(world.clone());
        }
    }

    fn describe(&self) -> String {
        format!("BatchNorm2d {}", self.weight.numel())
    }
}
