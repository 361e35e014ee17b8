//! Grad-CAM (Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", 2017): the
//! channels of the last feature map, weighted by the mean gradient of the logit.

use tch::{Kind, Tensor};

use super::subject::gradient;
use super::{ExplainerKind, Subject};
use crate::error::{Error, Result};
use cresset_options::number::Options;

/// The method.
pub(crate) const GRAD_CAM: ExplainerKind = ExplainerKind {
    name: "grad-cam",
    summary: "image regions where the last feature map supports the class",
    options: &[],
    is_for_tables: false,
    attribute,
};

fn attribute(_: &Options, subject: &Subject, input: &Tensor) -> Result<Tensor> {
    let (intermediates, score) = subject.intermediates(input)?;
    let map = intermediates.iter().rfind(|tensor| is_feature_map(tensor, input)).ok_or_else(|| {
        let problem = "grad-cam needs a model with convolutions and a last feature map larger than 1×1; \
                       `--method integrated-gradients` explains any model";
        Error::Usage(problem.to_string())
    })?;
    let weights = gradient(&score, map)?.mean_dim([2i64, 3].as_slice(), true, Kind::Float);
    let saliency = (map.detach() * weights).sum_dim_intlist(1, true, Kind::Float).relu();
    let size = &input.size()[2..];
    Ok(saliency.upsample_bilinear2d(size, false, None, None).squeeze_dim(0).detach())
}

/// Whether a tensor is a feature map (1, channels, height, width): not the input itself, larger than 1×1, no larger than the input,
/// and with the same aspect ratio.
fn is_feature_map(tensor: &Tensor, input: &Tensor) -> bool {
    let (size, input_size) = (tensor.size(), input.size());
    let ([1, channels, height, width], [_, input_channels, input_height, input_width]) =
        (&size[..], &input_size[..])
    else {
        return false;
    };
    let is_smaller = height <= input_height && width <= input_width && height * width > 1;
    let has_same_ratio =
        (height * input_width - width * input_height).abs() <= (*input_height).max(*input_width);
    let is_input = (channels, height, width) == (input_channels, input_height, input_width);
    tensor.requires_grad() && is_smaller && has_same_ratio && !is_input
}
