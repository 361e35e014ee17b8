//! The most confident errors of a model, each with its attribution.

use image::RgbImage;
use image::imageops::{FilterType, resize};
use tch::{Kind, Tensor};

use crate::data::Dataset;
use crate::error::Result;
use crate::evaluate::Evaluation;
use crate::loader::Batch;
use crate::options::Config;
use crate::predict::Classifier;
use crate::predict::explain::{Explainer, Subject, heat_map, plain};
use crate::run::Examples;

/// A misclassified example.
pub struct Mistake {
    /// Name of the example in the data.
    pub name: String,
    /// The actual class.
    pub truth: usize,
    /// The predicted class.
    pub predicted: usize,
    /// Probability of the predicted class.
    pub confidence: f64,
    /// The image and its attribution to the predicted class; `None` for tables.
    pub seen: Option<(RgbImage, Option<RgbImage>)>,
    /// The columns of a table with the largest attribution to the predicted class: name, value, attribution.
    pub columns: Vec<(String, f32, f64)>,
}

/// Maximum number of errors shown.
const SHOWN: i64 = 24;

/// Maximum side of a shown image in pixels.
const SIDE: u32 = 160;

/// Number of columns named per example.
const COLUMNS: usize = 4;

/// Minimum image side for Grad-CAM: the last feature map of a smaller image is too coarse.
const LEAST_FOR_GRAD_CAM: i64 = 64;

/// The most confident errors in an evaluation, most confident first. `rows` maps its examples to the dataset.
pub fn surest(
    classifier: &Classifier,
    examples: &Examples,
    config: &Config,
    found: &Evaluation,
    rows: &[i64],
) -> Result<Vec<Mistake>> {
    let Some(scores) = &found.scores else { return Ok(Vec::new()) };
    let (confidence, predicted) = scores.probabilities(1.).max_dim(1, false);
    let wrong = predicted.ne_tensor(&scores.labels).nonzero().view(-1);
    let order = confidence.index_select(0, &wrong).argsort(0, true);
    let wrong = wrong.index_select(0, &order.narrow(0, 0, SHOWN.min(order.numel() as i64)));
    let places = Vec::<i64>::try_from(&wrong)?;
    let chosen: Vec<i64> = places.iter().map(|place| rows[*place as usize]).collect();

    let mut mistakes = Vec::new();
    let feed = examples.raw(&chosen, config, classifier.device());
    for batch in feed.in_order() {
        let Batch { inputs, .. } = batch?;
        for raw in inputs.split(1, 0) {
            let (place, row) = (places[mistakes.len()], chosen[mistakes.len()]);
            let predicted = predicted.int64_value(&[place]) as usize;
            let mistake = Mistake {
                name: examples.dataset.names.name(row as usize),
                truth: scores.labels.int64_value(&[place]) as usize,
                predicted,
                confidence: confidence.double_value(&[place]),
                seen: None,
                columns: Vec::new(),
            };
            mistakes.push(explained(mistake, classifier, &examples.dataset, &raw)?);
        }
    }
    Ok(mistakes)
}

fn explained(mistake: Mistake, classifier: &Classifier, dataset: &Dataset, raw: &Tensor) -> Result<Mistake> {
    let subject = Subject::new(classifier, mistake.predicted);
    let attribution = attribution(&subject, raw);
    let picture = classifier.metadata().input.value_range.filter(|_| dataset.shape.image().is_some());
    if let Some(range) = picture {
        let raw = raw.to_device(tch::Device::Cpu).view(subject.shape());
        let heat = attribution.map(|attribution| heat_map(&raw, &attribution, range)).transpose()?;
        let seen = Some((small(plain(&raw, range)?), heat.map(small)));
        return Ok(Mistake { seen, ..mistake });
    }
    let names = classifier.metadata().input.table.as_ref().map(|table| table.feature_names());
    let columns = match (attribution, names) {
        (Some(attribution), Some(names)) => strongest(&attribution, raw, names)?,
        _ => Vec::new(),
    };
    Ok(Mistake { columns, ..mistake })
}

/// The attribution to the predicted class; `None` if no method supports the model.
fn attribution(subject: &Subject, raw: &Tensor) -> Option<Tensor> {
    let side = subject.shape().iter().skip(1).min().copied().unwrap_or(0);
    // Integrated gradients run the model about 50 times, which takes seconds for a large image.
    let ways: &[(&str, &str)] = match side >= LEAST_FOR_GRAD_CAM {
        true => &[("grad-cam", ""), ("integrated-gradients", "steps=8")],
        false => &[("integrated-gradients", "")],
    };
    ways.iter().find_map(|(name, options)| Explainer::new(name, options).ok()?.attribute(subject, raw).ok())
}

/// The columns with the largest attribution.
fn strongest(attribution: &Tensor, raw: &Tensor, names: Vec<String>) -> Result<Vec<(String, f32, f64)>> {
    let weights = Vec::<f64>::try_from(attribution.to_kind(Kind::Double).view(-1))?;
    let values = Vec::<f32>::try_from(raw.to_device(tch::Device::Cpu).to_kind(Kind::Float).view(-1))?;
    let mut columns: Vec<_> = names
        .into_iter()
        .zip(values)
        .zip(weights)
        .map(|((name, value), weight)| (name, value, weight))
        .collect();
    columns.sort_by(|a, b| b.2.total_cmp(&a.2));
    columns.truncate(COLUMNS);
    Ok(columns)
}

fn small(picture: RgbImage) -> RgbImage {
    let side = picture.width().max(picture.height());
    if side <= SIDE {
        return picture;
    }
    let shrunk = |length: u32| (length * SIDE / side).max(1);
    resize(&picture, shrunk(picture.width()), shrunk(picture.height()), FilterType::Triangle)
}
