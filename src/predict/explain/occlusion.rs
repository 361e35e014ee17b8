//! Occlusion (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014): how much the logit falls when
//! a part of the input is covered.

use tch::{Kind, Tensor};

use super::{ExplainerKind, Subject};
use crate::error::Result;
use cresset_options::number::{NumberOption, Options};

/// The way.
pub const OCCLUSION: ExplainerKind = ExplainerKind {
    name: "occlusion",
    summary: "how much the logit falls when a part is covered; needs no gradients",
    options: &[
        NumberOption::whole(
            "window",
            0,
            (0, 4096),
            "side of what is covered; 0: an eighth of the shorter side, 2 at least",
        ),
        NumberOption::whole("stride", 0, (0, 4096), "pixels from one place to the next; 0: half a window"),
    ],
    attribute,
};

/// Inputs that are held in memory at once.
const TOGETHER: usize = 64;

/// A part of an input: a range (start, length) of each of its last dimensions.
type Part = Vec<(i64, i64)>;

fn attribute(options: &Options, subject: &Subject, input: &Tensor) -> Result<Tensor> {
    let shape = &input.size()[1..];
    let parts = match shape {
        [_, height, width] => windows(options, *height, *width),
        _ => (0..shape[0]).map(|column| vec![(column, 1)]).collect(),
    };
    let score = subject.scores(input)?.double_value(&[0]);
    let baseline = subject.baseline();
    let options = (Kind::Float, input.device());
    let (sum, count) = (Tensor::zeros(shape, options), Tensor::zeros(shape, options));
    for some in parts.chunks(TOGETHER) {
        let covered: Vec<_> = some.iter().map(|part| covered(input, &baseline, part)).collect();
        let scores = Vec::<f32>::try_from(subject.scores(&Tensor::cat(&covered, 0))?)?;
        for (part, covered_score) in some.iter().zip(scores) {
            let _ = within(&sum, part).g_add_scalar_(score - f64::from(covered_score));
            let _ = within(&count, part).g_add_scalar_(1.);
        }
    }
    Ok(sum / count)
}

/// Windows all over a picture, the last ones flush with its edges.
fn windows(options: &Options, height: i64, width: i64) -> Vec<Part> {
    let side = match options.whole("window") {
        0 => (height.min(width) / 8).max(2),
        side => side,
    };
    let stride = match options.whole("stride") {
        0 => (side / 2).max(1),
        // Nothing may be left uncovered.
        stride => stride.min(side),
    };
    let starts = |length: i64| {
        let last = (length - side).max(0);
        (0..last).step_by(stride as usize).chain([last]).map(move |start| (start, side.min(length)))
    };
    starts(height).flat_map(|rows| starts(width).map(move |columns| vec![rows, columns])).collect()
}

/// The input with a part of it replaced by the baseline.
fn covered(input: &Tensor, baseline: &Tensor, part: &Part) -> Tensor {
    let covered = input.copy();
    within(&covered, part).copy_(&within(&baseline.unsqueeze(0), part));
    covered
}

/// The part of a tensor, as a view.
fn within(tensor: &Tensor, part: &Part) -> Tensor {
    let first = tensor.dim() - part.len();
    part.iter().enumerate().fold(tensor.shallow_clone(), |tensor, (index, (start, length))| {
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
                for part in windows(&options, height, width) {
                    let _ = within(&count, &part).g_add_scalar_(1);
                }
                assert!(count.min().int64_value(&[]) >= 1, "{height} {width} {text}");
            }
        }
    }
}
