//! Occlusion (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014): the drop of the logit when
//! a region of the input is replaced by the baseline.

use tch::{Kind, Tensor};

use super::{ExplainerKind, Subject};
use crate::error::Result;
use cresset_options::number::{NumberOption, Options};

/// The method.
pub(crate) const OCCLUSION: ExplainerKind = ExplainerKind {
    name: "occlusion",
    summary: "drop of the logit when a region is occluded; needs no gradients",
    options: &[
        NumberOption::whole(
            "window",
            0,
            (0, 4096),
            "side of the occluded window; 0: an eighth of the shorter side, at least 2",
        ),
        NumberOption::whole("stride", 0, (0, 4096), "pixels between windows; 0: half a window"),
    ],
    is_for_tables: false,
    attribute,
};

/// Batch size.
const BATCH_SIZE: usize = 64;

/// A region of an input: a range (start, length) for each of its last dimensions.
type Region = Vec<(i64, i64)>;

fn attribute(options: &Options, subject: &Subject, input: &Tensor) -> Result<Tensor> {
    let shape = &input.size()[1..];
    let regions = match shape {
        [_, height, width] => windows(options, *height, *width),
        _ => (0..shape[0]).map(|column| vec![(column, 1)]).collect(),
    };
    let score = subject.scores(input)?.double_value(&[0]);
    let baseline = subject.baseline();
    let options = (Kind::Float, input.device());
    let (sum, count) = (Tensor::zeros(shape, options), Tensor::zeros(shape, options));
    for chunk in regions.chunks(BATCH_SIZE) {
        let occluded: Vec<_> = chunk.iter().map(|region| occlude(input, &baseline, region)).collect();
        let scores = Vec::<f32>::try_from(subject.scores(&Tensor::cat(&occluded, 0))?)?;
        for (region, occluded_score) in chunk.iter().zip(scores) {
            let _ = narrow(&sum, region).g_add_scalar_(score - f64::from(occluded_score));
            let _ = narrow(&count, region).g_add_scalar_(1.);
        }
    }
    Ok(sum / count)
}

/// Windows that cover an image; the last ones are flush with its edges.
fn windows(options: &Options, height: i64, width: i64) -> Vec<Region> {
    let side = match options.whole("window") {
        0 => (height.min(width) / 8).max(2),
        side => side,
    };
    let stride = match options.whole("stride") {
        0 => (side / 2).max(1),
        // Leave no gaps between windows.
        stride => stride.min(side),
    };
    let starts = |length: i64| {
        let last = (length - side).max(0);
        (0..last).step_by(stride as usize).chain([last]).map(move |start| (start, side.min(length)))
    };
    starts(height).flat_map(|rows| starts(width).map(move |columns| vec![rows, columns])).collect()
}

/// A copy of the input with a region replaced by the baseline.
fn occlude(input: &Tensor, baseline: &Tensor, region: &Region) -> Tensor {
    let occluded = input.copy();
    narrow(&occluded, region).copy_(&narrow(&baseline.unsqueeze(0), region));
    occluded
}

/// A view of a region of a tensor.
fn narrow(tensor: &Tensor, region: &Region) -> Tensor {
    let first = tensor.dim() - region.len();
    region.iter().enumerate().fold(tensor.shallow_clone(), |tensor, (index, (start, length))| {
        tensor.narrow((first + index) as i64, *start, *length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_every_pixel_and_stay_within() {
        for (height, width) in [(8, 8), (1, 5), (33, 17), (224, 224)] {
            for text in ["", "window=3,stride=9", "window=300"] {
                let options = Options::parse(text, "the method occlusion", OCCLUSION.options).unwrap();
                let count = Tensor::zeros([height, width], (Kind::Int64, tch::Device::Cpu));
                for region in windows(&options, height, width) {
                    let _ = narrow(&count, &region).g_add_scalar_(1);
                }
                assert!(count.min().int64_value(&[]) >= 1, "{height} {width} {text}");
            }
        }
    }
}
