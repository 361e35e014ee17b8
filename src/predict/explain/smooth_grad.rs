//! SmoothGrad (Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017): the gradient, averaged over noisy
//! copies of the input.

use rand_distr::{Distribution, StandardNormal};
use tch::{Kind, Tensor};

use super::{ExplainerKind, Subject};
use crate::data::random::{Purpose, stream};
use crate::error::Result;
use cresset_options::number::{NumberOption, Options};

/// The method.
pub(crate) const SMOOTH_GRAD: ExplainerKind = ExplainerKind {
    name: "smooth-grad",
    summary: "gradients averaged over noisy copies of the input",
    options: &[
        NumberOption::whole("samples", 50, (1, 10_000), "noisy copies"),
        NumberOption::real(
            "noise",
            0.15,
            (0., 10.),
            "standard deviation of the noise, as a fraction of the value range",
        ),
        NumberOption::whole("seed", 0, (0, i64::MAX >> 12), "random seed of the noise"),
    ],
    is_for_tables: false,
    attribute,
};

fn attribute(options: &Options, subject: &Subject, input: &Tensor) -> Result<Tensor> {
    subject.require_gradients()?;
    let samples = options.whole("samples");
    let generator = stream(options.whole("seed") as u64, Purpose::Noise, 0);
    let count = samples as usize * input.numel();
    let noise: Vec<f32> = StandardNormal.sample_iter(generator).take(count).collect();
    let sizes: Vec<i64> = std::iter::once(samples).chain(input.size()[1..].iter().copied()).collect();
    let noise = Tensor::from_slice(&noise).to_device(input.device()).view(&sizes[..]);
    let noisy = input + noise * subject.spread() * options.number("noise");
    Ok(subject.gradients(&noisy)?.mean_dim(0, false, Kind::Float))
}
