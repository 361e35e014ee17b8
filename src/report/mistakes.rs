//! The mistakes that a model is surest of, with what it saw.

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

/// An example that was taken for another class.
pub struct Mistake {
    /// What it is called in the data.
    pub name: String,
    /// Its class, and the one that it was taken for.
    pub truth: usize,
    /// The class that it was taken for.
    pub predicted: usize,
    /// The probability of that class.
    pub confidence: f64,
    /// The picture, and what in it speaks for that class; none of a table.
    pub seen: Option<(RgbImage, Option<RgbImage>)>,
    /// The columns of a table that speak for that class most, with their values and shares.
    pub columns: Vec<(String, f32, f64)>,
}

/// Mistakes that are shown.
const SHOWN: i64 = 24;

/// The greatest side of a shown picture.
const SIDE: u32 = 160;

/// Columns that are named.
const COLUMNS: usize = 4;

/// Below this side, a map of the last convolution has too few places to show anything.
const LEAST_FOR_GRAD_CAM: i64 = 64;

/// The surest mistakes among examples, whose figures are `found` and whose rows in the data are `rows`, the surest first.
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

/// What of an input speaks for the class; none of a model that no way can explain.
fn attribution(subject: &Subject, raw: &Tensor) -> Option<Tensor> {
    let side = subject.shape().iter().skip(1).min().copied().unwrap_or(0);
    // Integrated gradients go through the model some 50 times, which takes seconds for a large picture.
    let ways: &[(&str, &str)] = match side >= LEAST_FOR_GRAD_CAM {
        true => &[("grad-cam", ""), ("integrated-gradients", "steps=8")],
        false => &[("integrated-gradients", "")],
    };
    ways.iter().find_map(|(name, options)| Explainer::new(name, options).ok()?.attribute(subject, raw).ok())
}

/// The columns that speak for the class most.
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
