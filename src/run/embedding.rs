//! Embeddings of labeled examples: the inputs of the last layer of a model, with the names and labels of the examples.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use tch::{Device, Tensor};

use super::features::{Features, Subject};
use super::prepared::{init, named};
use super::resolve_pretrained;
use crate::data::image::Channels;
use crate::data::options::ImageSize;
use crate::data::{self, DataOptions, Dataset, Inputs, atomic, npy};
use crate::error::{Error, Result, catch_panics};
use crate::loader::{Batch, EncodedExamples, EvaluationLoader, MemoryExamples, StreamEvaluationLoader};
use crate::model::preprocessing::{Preprocessing, TensorDataset, TrainTensors};
use crate::model::{Task, pretrained};
use crate::options::Config;
use crate::predict::Classifier;

/// Embeddings of examples.
#[derive(Debug)]
pub struct Embedded {
    /// Float32 (N, width), on the CPU.
    pub values: Tensor,
    /// The name of each example: its path in a folder, or the number of its row.
    pub names: Vec<String>,
    /// The class of each example.
    pub labels: Vec<String>,
}

/// Examples of a chunk that is embedded at once.
const CHUNK: i64 = 64;

impl Embedded {
    /// Embeds the data of `config` with its pretrained weights, through the cache of `--head-only`.
    ///
    /// # Errors
    /// Data or weights that cannot be used, and more unreadable images than allowed.
    pub fn with_pretrained(config: &Config) -> Result<Self> {
        let config = &Config { fresh_head: true, ..resolve_pretrained(config, &mut |_| {})? };
        let name = config.pretrained.as_deref().unwrap_or_default();
        let weights = pretrained::resolve(name, &mut |_| {})?.weights;
        let dataset = data::load(&config.data, &config.reading)?;
        let device = config.device.resolve()?;
        let task = match dataset.is_text() {
            true => crate::model::preprocessing::task(&dataset, 0),
            false => Task::new(dataset.shape.clone(), dataset.classes.len() as i64),
        };
        let mut network = named(config)(&task, device)?;
        config.training.channels_last.lay_out(&mut network)?;
        init(&network, &weights, config)?;
        let threads = config.threads.count();
        tch::set_num_threads(threads.into());
        let preprocessing = preprocessing(config, &dataset)?;
        let subject =
            Subject { dataset: &dataset, preprocessing: &preprocessing, network: &network, device, threads };
        let features = catch_panics(|| Features::of_subject(subject, config, &|| false))?;
        let features = features.expect("nothing stops it");
        Embedded::of(&dataset, features.values, &Vec::try_from(&features.rows)?)
    }

    /// Embeds the examples at `source`, a file, a folder or the name of a built-in data set, with an exported model. Images are
    /// decoded in `threads` threads.
    ///
    /// # Errors
    /// A model of table rows or without a known last layer, and examples that do not match its input.
    pub fn with_classifier(
        classifier: &Classifier,
        source: &str,
        options: &DataOptions,
        threads: usize,
    ) -> Result<Self> {
        classifier.require_features()?;
        let input = &classifier.metadata().input;
        let texts = input.table.as_ref().filter(|layout| layout.is_text());
        if input.table.is_some() && texts.is_none() && input.shape.image().is_none() {
            let problem = "the model is for table rows; `cresset predict --embeddings FILE.npy` embeds them";
            return Err(Error::Usage(problem.to_string()));
        }
        let image = Channels::of(&input.shape);
        let size = image.map_or(options.image_size, |(_, height, width)| ImageSize::Pixels(height, width));
        let options = match texts {
            // The model has the tokens.
            Some(_) => DataOptions { tokenizer: None, vocab_size: None, max_length: None, ..options.clone() },
            None => DataOptions { image_size: size, ..options.clone() },
        };
        let mut dataset = data::load(source, &options)?;
        if let Some(layout) = texts {
            let path = dataset.path.clone();
            dataset = dataset.tokenized_for(layout)?.ok_or_else(|| {
                let problem = format!(
                    "the model takes the text columns {}; select them with --text",
                    layout.names().join(", ")
                );
                Error::data(path.as_path(), problem)
            })?;
        }
        if matches!(dataset.inputs, Inputs::Images(_)) && image.is_some() {
            dataset.shape = input.shape.clone();
        } else if dataset.shape != input.shape {
            let (found, expected) = (&dataset.shape, &input.shape);
            let problem = format!("its examples are {found}, but the model takes {expected}");
            return Err(Error::data(dataset.path.as_path(), problem));
        }
        dataset.decoding = input.decoding.with_depth_of(dataset.decoding);
        let rows: Vec<i64> = (0..dataset.rows() as i64).collect();
        let gallery = EncodedExamples::of(&dataset, threads, options.max_bad_share);
        let feed: Box<dyn EvaluationLoader> = match gallery {
            Some(gallery) => Box::new(StreamEvaluationLoader::new(&gallery, &rows, None, Device::Cpu)),
            None => Box::new(MemoryExamples::ready(TensorDataset::of(&dataset, &rows, Device::Cpu))),
        };
        let values = catch_panics(|| features(classifier, &*feed))?;
        let kept: Vec<i64> = feed.kept().into_iter().map(|row| row as i64).collect();
        Embedded::of(&dataset, values, &kept)
    }

    fn of(dataset: &Dataset, values: Tensor, rows: &[i64]) -> Result<Self> {
        let rows = || rows.iter().map(|row| *row as usize);
        let label = |row: usize| dataset.target_text(row);
        Ok(Embedded {
            values,
            names: rows().map(|row| dataset.names.name(row)).collect(),
            labels: rows().map(label).collect(),
        })
    }

    /// Writes the embeddings to `array`, as a NumPy array, and the names and labels of its rows to `names`, as CSV.
    ///
    /// # Errors
    /// Files that cannot be written. Existing files are then unchanged.
    pub fn write(&self, array: &Path, names: &Path) -> Result<()> {
        let size = self.values.size();
        atomic::replace(array, |temporary| {
            let fault = || Error::io("write", array);
            let mut file = BufWriter::new(File::create(temporary).map_err(fault())?);
            file.write_all(&npy::header(size[0] as u64, size[1] as u64)).map_err(fault())?;
            for start in (0..size[0]).step_by(CHUNK as usize) {
                let rows = self.values.narrow(0, start, CHUNK.min(size[0] - start)).contiguous();
                let bytes: Vec<u8> =
                    Vec::<f32>::try_from(rows.view(-1))?.into_iter().flat_map(f32::to_le_bytes).collect();
                file.write_all(&bytes).map_err(fault())?;
            }
            file.flush().map_err(fault())
        })?;
        let mut rows = csv::Writer::from_writer(Vec::new());
        let all = std::iter::once(("example", "label"))
            .chain(self.names.iter().map(String::as_str).zip(self.labels.iter().map(String::as_str)));
        for (name, label) in all {
            rows.write_record([name, label]).expect("writing to memory does not fail");
        }
        Ok(atomic::write(names, &rows.into_inner().expect("writing to memory does not fail"))?)
    }
}

/// The features of raw examples.
fn features(classifier: &Classifier, feed: &dyn EvaluationLoader) -> Result<Tensor> {
    let mut values = Vec::new();
    for batch in feed.in_order() {
        let Batch { inputs, .. } = batch?;
        let rows = inputs.size()[0];
        for start in (0..rows).step_by(CHUNK as usize) {
            values.push(classifier.features(&inputs.narrow(0, start, CHUNK.min(rows - start)))?);
        }
    }
    if values.is_empty() {
        return Err(Error::Usage("there are no examples to embed".to_string()));
    }
    Ok(Tensor::cat(&values, 0))
}

/// The preprocessing of the weights, or that of the range of the values.
///
/// # Errors
/// If the weights have none and images do not define it.
fn preprocessing(config: &Config, dataset: &Dataset) -> Result<Preprocessing> {
    let fixed = config.normalization.as_ref().map(|normalization| normalization.preprocessing(dataset));
    if let Some(preprocessing) = fixed.transpose()?.flatten() {
        return Ok(preprocessing);
    }
    if matches!(dataset.inputs, Inputs::Images(_)) {
        let problem =
            "the weights do not say how images are normalized; set --normalization, such as imagenet";
        return Err(Error::Usage(problem.to_string()));
    }
    let rows: Vec<i64> = (0..dataset.rows() as i64).collect();
    let all = TrainTensors(TensorDataset::of(dataset, &rows, Device::Cpu));
    Ok(Preprocessing::fit(dataset, &all, config.reading.missing))
}
