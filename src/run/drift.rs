//! The drift reference of an exported model: histograms of its training data.

use tch::{Device, Kind, Tensor};

use super::Prepared;
use crate::data::image::Channels;
use crate::data::{Dataset, Inputs, Targets};
use crate::error::Result;
use crate::evaluate::drift::{Decision, DriftReference, ReferenceOutputs, image_statistics};
use crate::export::Evaluations;
use crate::loader::Batch;
use crate::options::Config;

/// The most training rows of a table in the histograms.
const MAX_ROWS: usize = 20_000;

/// The most labels and predictions of a table that is streamed.
const MAX_OUTPUTS: usize = 1 << 20;

/// The most values in memory.
const MAX_VALUES: usize = 1 << 25;

/// The most images, which may have to be decoded.
const MAX_IMAGES: usize = 1024;

/// The reference of a model with these evaluations.
///
/// # Errors
/// Training examples that cannot be read.
pub(crate) fn reference(
    config: &Config,
    prepared: &Prepared,
    evaluations: &Evaluations,
) -> Result<DriftReference> {
    let dataset = &prepared.dataset;
    let features = dataset.shape.features().max(1) as usize;
    let channels =
        Channels::of(&dataset.shape).and_then(|_| dataset.shape.image()).map(|(count, ..)| count as usize);
    let most = match channels {
        Some(_) => MAX_IMAGES,
        None => MAX_ROWS.min(MAX_VALUES / features).max(1),
    };
    let mut values = Vec::new();
    for batch in prepared.training_sample(config, most).in_order() {
        let Batch { inputs, .. } = batch?;
        let raw = floats(&inputs)?;
        match channels {
            Some(channels) => {
                let statistics = |image: &[f32]| image_statistics(image, channels);
                values.extend(raw.chunks_exact(features).flat_map(statistics).map(|(_, value)| value));
            }
            None => values.extend(raw),
        }
    }
    let width = channels.map_or(features, |channels| image_statistics(&[0.; 3], channels).len());
    let outputs = ReferenceOutputs {
        outputs: &evaluations.outputs,
        classes: &dataset.classes,
        labels: evenly(dataset, &prepared.split.train).map(|row| label(dataset, *row as usize)).collect(),
        validation: validation(dataset, evaluations)?,
    };
    Ok(DriftReference::fit(&values, width, dataset.table.as_ref(), channels, &outputs))
}

/// The probabilities or the number of each validation example, if they were kept.
fn validation(dataset: &Dataset, evaluations: &Evaluations) -> Result<Vec<Vec<f64>>> {
    let Some(scores) = &evaluations.validation.scores else { return Ok(Vec::new()) };
    let rows: Vec<i64> = (0..scores.logits.size()[0]).collect();
    let rows: Vec<i64> = evenly(dataset, &rows).copied().collect();
    let logits = match rows.len() as i64 == scores.logits.size()[0] {
        true => scores.logits.shallow_clone(),
        false => scores.logits.index_select(0, &Tensor::from_slice(&rows).to_device(scores.logits.device())),
    };
    let probabilities = evaluations.outputs.probabilities(&logits);
    let width = probabilities.size().get(1).copied().unwrap_or(1).max(1) as usize;
    let all: Vec<f64> = Vec::try_from(probabilities.to_kind(Kind::Double).contiguous().view(-1))?;
    let finite = |row: &&[f64]| row.iter().all(|value| value.is_finite());
    Ok(all.chunks_exact(width).filter(finite).map(<[f64]>::to_vec).collect())
}

/// All rows, or an evenly spaced sample of many rows of a table that is streamed.
fn evenly<'a>(dataset: &Dataset, rows: &'a [i64]) -> impl Iterator<Item = &'a i64> {
    let every = match dataset.inputs {
        Inputs::Stored(_) => rows.len().div_ceil(MAX_OUTPUTS).max(1),
        _ => 1,
    };
    rows.iter().step_by(every)
}

fn label(dataset: &Dataset, row: usize) -> Decision {
    let label = dataset.labels[row] as usize;
    match &dataset.targets {
        Targets::Classes => Decision::Indexes(vec![label]),
        Targets::Sets(sets) => Decision::Indexes(sets[label].clone()),
        Targets::Values(values) => Decision::Number(values[label]),
        Targets::Interactions => unreachable!("the drift of recommendations is not measured"),
    }
}

fn floats(inputs: &Tensor) -> Result<Vec<f32>> {
    Ok(Vec::try_from(inputs.to_device(Device::Cpu).to_kind(Kind::Float).contiguous().view(-1))?)
}
