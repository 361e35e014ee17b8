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
use crate::predict::explain::{Explainer, Subject, draw_heat_map, plain};
use crate::run::Examples;

/// A misclassified example.
pub(crate) struct ConfidentError {
    /// Name of the example in the data.
    pub name: String,
    /// The actual class.
    pub actual: usize,
    /// The predicted class.
    pub predicted: usize,
    /// Probability of the predicted class.
    pub confidence: f64,
    /// The image and its attribution to the predicted class; `None` for tables.
    pub images: Option<(RgbImage, Option<RgbImage>)>,
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
const MIN_FOR_GRAD_CAM: i64 = 64;

/// The most confident errors in an evaluation, most confident first. `rows` maps its examples to the dataset.
pub(crate) fn most_confident_errors(
    classifier: &Classifier,
    examples: &Examples,
    config: &Config,
    evaluation: &Evaluation,
    rows: &[i64],
) -> Result<Vec<ConfidentError>> {
    let Some(scores) = evaluation.class_scores() else { return Ok(Vec::new()) };
    let (confidence, predicted) = scores.probabilities(1.).max_dim(1, false);
    let wrong = predicted.ne_tensor(&scores.labels).nonzero().view(-1);
    let order = confidence.index_select(0, &wrong).argsort(0, true);
    let wrong = wrong.index_select(0, &order.narrow(0, 0, SHOWN.min(order.numel() as i64)));
    let indices = Vec::<i64>::try_from(&wrong)?;
    let error_rows: Vec<i64> = indices.iter().map(|index| rows[*index as usize]).collect();

    let mut errors = Vec::new();
    let feed = examples.raw(&error_rows, config, classifier.device());
    for batch in feed.in_order() {
        let Batch { inputs, .. } = batch?;
        for raw in inputs.split(1, 0) {
            let (index, row) = (indices[errors.len()], error_rows[errors.len()]);
            let predicted = predicted.int64_value(&[index]) as usize;
            let error = ConfidentError {
                name: examples.dataset.names.name(row as usize),
                actual: scores.labels.int64_value(&[index]) as usize,
                predicted,
                confidence: confidence.double_value(&[index]),
                images: None,
                columns: Vec::new(),
            };
            errors.push(explain(error, classifier, &examples.dataset, &raw)?);
        }
    }
    Ok(errors)
}

fn explain(
    error: ConfidentError,
    classifier: &Classifier,
    dataset: &Dataset,
    raw: &Tensor,
) -> Result<ConfidentError> {
    let subject = Subject::new(classifier, error.predicted);
    let attribution = attribution(&subject, raw);
    let image_range = classifier.metadata().input.value_range.filter(|_| dataset.shape.image().is_some());
    if let Some(range) = image_range {
        let raw = raw.to_device(tch::Device::Cpu).view(subject.shape());
        let heat = attribution.map(|attribution| draw_heat_map(&raw, &attribution, range)).transpose()?;
        let images = Some((shrink(plain(&raw, range)?), heat.map(shrink)));
        return Ok(ConfidentError { images, ..error });
    }
    let names = classifier.metadata().input.table.as_ref().map(|table| table.feature_names());
    let columns = match (attribution, names) {
        (Some(attribution), Some(names)) => top_columns(&attribution, raw, names)?,
        _ => Vec::new(),
    };
    Ok(ConfidentError { columns, ..error })
}

/// The attribution to the predicted class; `None` if no method supports the model.
fn attribution(subject: &Subject, raw: &Tensor) -> Option<Tensor> {
    let side = subject.shape().iter().skip(1).min().copied().unwrap_or(0);
    // Integrated gradients run the model about 50 times, which takes seconds for a large image.
    let methods: &[(&str, &str)] = match side >= MIN_FOR_GRAD_CAM {
        true => &[("grad-cam", ""), ("integrated-gradients", "steps=8")],
        false => &[("integrated-gradients", "")],
    };
    methods
        .iter()
        .find_map(|(name, options)| Explainer::new(name, options).ok()?.attribute(subject, raw).ok())
}

/// The columns with the largest attribution.
fn top_columns(attribution: &Tensor, raw: &Tensor, names: Vec<String>) -> Result<Vec<(String, f32, f64)>> {
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

fn shrink(image: RgbImage) -> RgbImage {
    let side = image.width().max(image.height());
    if side <= SIDE {
        return image;
    }
    let shrunk = |length: u32| (length * SIDE / side).max(1);
    resize(&image, shrunk(image.width()), shrunk(image.height()), FilterType::Triangle)
}
