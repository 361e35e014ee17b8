//! Creates the feed of each part.

use std::sync::Arc;

use tch::{Device, Tensor};

use super::ranking::RankedExamples;
use super::teacher::Teaching;
use crate::data::image::to_channels_first;
use crate::data::stored::StoredRows;
use crate::data::{Dataset, Split, TaskKind};
use crate::distributed::{World, share};
use crate::error::{Error, Result};
use crate::feedback::{Corrections, own_rows};
use crate::loader::augment::Augmentation;
use crate::loader::masking::CategoryMasking;
use crate::loader::{
    Augmenter, EncodedExamples, EvaluationLoader, MemoryExamples, MemoryLoader, StoredEvaluationLoader,
    StoredExamples, StoredLoader, StreamEvaluationLoader, StreamLoader, TrainLoader,
};
use crate::model::preprocessing::{
    Normalization, Preprocessing, PreprocessingKind, TensorDataset, TrainTensors,
};
use crate::options::Config;

/// Inputs for creating the feeds.
pub(super) struct Sources<'a> {
    pub config: &'a Config,
    pub dataset: &'a Dataset,
    pub split: &'a Split,
    pub corrected: Option<&'a Corrections>,
    pub teaching: Option<&'a Teaching>,
    /// Whether batches have texts of similar length.
    pub has_buckets: bool,
    /// The features with an indicator of missing values.
    pub marked: Vec<usize>,
    pub augmentation: Augmentation,
    pub device: Device,
    pub world: &'a World,
}

/// The feeds of a run; see [`Prepared`](super::Prepared).
pub(super) struct Feeds {
    pub preprocessing: Preprocessing,
    pub train: Box<dyn TrainLoader>,
    pub validation: Box<dyn EvaluationLoader>,
    pub share: Option<Box<dyn EvaluationLoader>>,
    pub test: Option<Box<dyn EvaluationLoader>>,
}

impl Sources<'_> {
    /// Feeds of examples in memory.
    pub(crate) fn in_memory(self) -> Result<Feeds> {
        let Sources { config, dataset, split, corrected, teaching, has_buckets, device, .. } = self;
        let train = TrainTensors(TensorDataset::of(dataset, &split.train, device));
        let preprocessing = match (self.fixed_preprocessing()?, corrected) {
            (Some(fixed), _) => fixed,
            (None, None) => self.fitted_preprocessing(&train)?,
            (None, Some(_)) => {
                let own =
                    TrainTensors(TensorDataset::of(dataset, &own_rows(&split.train, corrected), device));
                self.fitted_preprocessing(&own)?
            }
        };
        let (validation, share, test) = self.evaluation_feeds(|rows| {
            let examples = MemoryExamples::raw(TensorDataset::of(dataset, rows, device), &preprocessing);
            Ok(match dataset.task() {
                TaskKind::Ranking => Box::new(RankedExamples::new(examples, dataset, rows, split)?),
                _ => Box::new(examples.in_folds(split.folds_of(rows))),
            })
        })?;
        let augmentation = self.augmentation;
        let augmenter = dataset.range.filter(|_| !augmentation.is_none());
        let augmenter =
            augmenter.map(|range| Augmenter { augmentation, shape: dataset.shape.clone(), range });
        let (train, taught) = match teaching {
            Some(teaching) => teaching.extend(train.0),
            None => (train.0, None),
        };
        let train = match augmenter {
            Some(_) => MemoryExamples::raw_per_batch(train, &preprocessing),
            None => MemoryExamples::raw(train, &preprocessing),
        };
        let train = train.in_folds(split.folds_of(&split.train)).taught(taught);
        let masking = CategoryMasking::new(dataset.table.as_ref(), &preprocessing, config.mask_categories);
        // The place of an id in a pair tells its column, so a pair keeps its padding.
        let has_buckets = has_buckets && preprocessing.kind == PreprocessingKind::Tokens;
        let train = MemoryLoader::new(train, config.sampling, augmenter).masked(masking);
        let train = Box::new(train.in_buckets(has_buckets));
        Ok(Feeds { preprocessing, train, validation, share, test })
    }

    /// Feeds of rows that are read from a file during training.
    pub fn stored(self, examples: &StoredExamples, rows: &StoredRows) -> Result<Feeds> {
        let Sources { config, dataset, split, has_buckets, device, .. } = self;
        let quantiles = config.normalization == Some(Normalization::Quantiles);
        let preprocessing = match self.fixed_preprocessing()? {
            Some(fixed) => fixed,
            None => {
                let missing = config.reading.missing;
                let fitted = Preprocessing::fit_stored(dataset, rows, &split.train, missing, quantiles)?;
                fitted.marking(self.marked.clone())
            }
        };
        let (validation, share, test) = self.evaluation_feeds(|rows| {
            Ok(Box::new(StoredEvaluationLoader::new(examples, rows, Some(&preprocessing), device)))
        })?;
        let masking = CategoryMasking::new(dataset.table.as_ref(), &preprocessing, config.mask_categories);
        let train = StoredLoader::new(examples, &split.train, &preprocessing, masking, device);
        let train = train.in_buckets(has_buckets && preprocessing.kind == PreprocessingKind::Tokens);
        Ok(Feeds { preprocessing, train: Box::new(train), validation, share, test })
    }

    /// Feeds of images that are decoded during training.
    pub fn streamed(self, gallery: &Arc<EncodedExamples>) -> Result<Feeds> {
        let Sources { config, dataset, split, corrected, device, .. } = self;
        let sample = sample(dataset, &own_rows(&split.train, corrected), gallery)?;
        let preprocessing = match self.fixed_preprocessing()? {
            Some(fixed) => fixed,
            None => self.fitted_preprocessing(&sample)?,
        };
        let (validation, share, test) = self.evaluation_feeds(|rows| {
            Ok(Box::new(StreamEvaluationLoader::new(gallery, rows, Some(&preprocessing), device)))
        })?;
        let augmentation = Arc::new(self.augmentation);
        let train =
            StreamLoader::new(gallery, &split.train, config.sampling, &augmentation, &preprocessing, device);
        Ok(Feeds { preprocessing, train: Box::new(train), validation, share, test })
    }

    /// The preprocessing with the values of `--normalization`, if it has any.
    fn fixed_preprocessing(&self) -> Result<Option<Preprocessing>> {
        let normalization = self.config.normalization.as_ref();
        normalization.map_or(Ok(None), |normalization| normalization.preprocessing(self.dataset))
    }

    /// The preprocessing that is fitted to training examples.
    fn fitted_preprocessing(&self, train: &TrainTensors) -> Result<Preprocessing> {
        let missing = self.config.reading.missing;
        let fitted = match self.config.normalization {
            Some(Normalization::Quantiles) => Preprocessing::fit_quantiles(self.dataset, train, missing)?,
            _ => Preprocessing::fit(self.dataset, train, missing),
        };
        Ok(fitted.marking(self.marked.clone()))
    }

    /// The validation set, this rank's shard for validation during training, and the test set. Rank 0 evaluates the final
    /// model, and needs the whole sets. With corrections, validation includes those in the validation set.
    fn evaluation_feeds(
        &self,
        feed: impl Fn(&[i64]) -> Result<Box<dyn EvaluationLoader>>,
    ) -> Result<EvaluationFeeds> {
        let Split { validation, test, .. } = self.split;
        let watched =
            self.corrected.map(|corrected| [validation.clone(), corrected.watched(self.split)].concat());
        if self.world.is_alone() {
            let watched = watched.map(|rows| feed(&rows)).transpose()?;
            return Ok((feed(validation)?, watched, (!test.is_empty()).then(|| feed(test)).transpose()?));
        }
        let watched = watched.as_ref().unwrap_or(validation);
        let (start, length) = share(watched.len(), self.world.rank(), self.world.size());
        let own = feed(&watched[start..start + length])?;
        if !self.world.is_rank_zero() {
            return Ok((own, None, None));
        }
        Ok((feed(validation)?, Some(own), (!test.is_empty()).then(|| feed(test)).transpose()?))
    }
}

type EvaluationFeeds =
    (Box<dyn EvaluationLoader>, Option<Box<dyn EvaluationLoader>>, Option<Box<dyn EvaluationLoader>>);

/// Number of images for the statistics when streamed images are standardized.
const SAMPLED: usize = 256;

/// An evenly spaced sample of the training images.
fn sample(dataset: &Dataset, train: &[i64], gallery: &Arc<EncodedExamples>) -> Result<TrainTensors> {
    let count = train.len().min(SAMPLED);
    let rows: Vec<i64> = (0..count).map(|index| train[index * train.len() / count]).collect();
    let (mut bytes, mut readable) = (Vec::new(), Vec::new());
    for (row, decoded) in rows.iter().zip(gallery.center_crops(&rows)) {
        match decoded {
            Ok(pixels) => {
                to_channels_first(&pixels, gallery.channel_count(), &mut bytes);
                readable.push(*row);
            }
            Err(problem) => gallery.report(*row as usize, problem)?,
        }
    }
    if readable.is_empty() {
        return Err(Error::data(dataset.path.as_path(), "none of the training images can be read"));
    }
    let inputs = Tensor::from_slice(&bytes).view([readable.len() as i64, dataset.shape.features()]);
    Ok(TrainTensors(TensorDataset { inputs, labels: gallery.targets(&readable) }))
}
