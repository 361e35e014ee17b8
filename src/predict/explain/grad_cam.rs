//! Grad-CAM (Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", 2017): the
//! channels of the last feature map, each weighted by how much the logit depends on it.

use tch::{Kind, Tensor};

use super::subject::gradient;
use super::{ExplainerKind, Subject};
use crate::error::{Error, Result};
use cresset_options::number::Options;

/// The way.
pub const GRAD_CAM: ExplainerKind = ExplainerKind {
    name: "grad-cam",
    summary: "where in the picture the last feature map speaks for the class",
    options: &[],
    attribute,
};

fn attribute(_: &Options, subject: &Subject, input: &Tensor) -> Result<Tensor> {
    let (made, score) = subject.intermediates(input)?;
    let map = made.iter().rfind(|tensor| is_feature_map(tensor, input)).ok_or_else(|| {
        let problem = "grad-cam needs a model with convolutions, whose last feature map still shows places of the picture; \
                       `--method integrated-gradients` explains any model";
        Error::Usage(problem.to_string())
    })?;
    let weights = gradient(&score, map)?.mean_dim([2i64, 3].as_slice(), true, Kind::Float);
    let places = (map.detach() * weights).sum_dim_intlist(1, true, Kind::Float).relu();
    let size = &input.size()[2..];
    Ok(places.upsample_bilinear2d(size, false, None, None).squeeze_dim(0).detach())
}

/// Whether a tensor shows places of the picture by channels: not the picture itself, no smaller in one direction than in the
/// other, and more than one place.
fn is_feature_map(tensor: &Tensor, input: &Tensor) -> bool {
    let (size, of) = (tensor.size(), input.size());
    let ([1, channels, height, width], [_, own_channels, own_height, own_width]) = (&size[..], &of[..])
    else {
        return false;
    };
    let is_smaller = height <= own_height && width <= own_width && height * width > 1;
    let is_as_wide = (height * own_width - width * own_height).abs() <= (*own_height).max(*own_width);
    let is_picture = (channels, height, width) == (own_channels, own_height, own_width);
    tensor.requires_grad() && is_smaller && is_as_wide && !is_picture
}
