//! The raw examples of a run and their split.

use tch::Device;

use super::categories;
use super::resolved::SourceData;
use crate::data::format::trained_vocabulary::TrainedVocabulary;
use crate::data::tokens::MAX_LENGTH;
use crate::data::{DataOptions, Dataset, Inputs, Split};
use crate::error::{Error, Result};
use crate::feedback::Corrections;
use crate::loader::augment::Augmentation;
use crate::loader::{
    EncodedExamples, EvaluationLoader, MemoryExamples, StoredEvaluationLoader, StoredExamples,
    StreamEvaluationLoader, decode_all,
};
use crate::model::preprocessing::TensorDataset;
use crate::options::Config;
use crate::run::RunFolder;

/// Labeled examples and their split.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::run::Examples;
///
/// let examples = Examples::read(&Config { data: "iris".into(), ..Config::default() })?;
/// assert_eq!(examples.dataset.rows(), 150);
/// assert_eq!((examples.split.train.len(), examples.split.validation.len()), (120, 30));
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Examples {
    /// The dataset.
    pub dataset: Dataset,
    /// The rows of each part.
    pub split: Split,
    /// Augmentation of the training examples.
    pub augmentation: Augmentation,
    /// The corrections among the examples.
    pub corrections: Option<Corrections>,
}

impl Examples {
    /// Reads and splits the data.
    ///
    /// # Errors
    /// If the data cannot be read, or the options do not fit it.
    pub fn read(config: &Config) -> Result<Self> {
        Examples::of(None, config)
    }

    /// Like [`Examples::read`], with data that may have been read.
    pub(super) fn of(read: Option<SourceData>, config: &Config) -> Result<Self> {
        let dataset = SourceData::for_run(read, config)?;
        let augmentation = augmentation(config, &dataset)?;
        let dataset = if fits_in_memory(&dataset, &augmentation) {
            decode_all(dataset, config.threads.count().into(), config.reading.max_bad_share)?
        } else {
            dataset
        };
        let mut split = Split::new(&dataset, &config.split_plan()?)?;
        let dataset = tokenized(dataset, &split, config)?;
        if let Inputs::Stored(rows) = &dataset.inputs {
            rows.survey(&split.train)?;
        }
        let dataset = match config.mask_categories > 0. {
            true => categories::of_training(dataset, &split)?,
            false => dataset,
        };
        let (dataset, corrections) = crate::feedback::add(dataset, &mut split, config)?;
        tracing::info!(
            file = %dataset.path.display(), rows = dataset.rows(), classes = dataset.classes.len(), "read the data"
        );
        for note in corrections.iter().flat_map(|corrections| &corrections.notes) {
            tracing::warn!("{note}");
        }
        Ok(Examples { dataset, split, augmentation, corrections })
    }

    /// Reads the examples of an existing run with options `config`.
    ///
    /// # Errors
    /// If the data has changed since the run started.
    pub fn again(config: &Config, folder: &RunFolder) -> Result<Self> {
        // Runs without this entry trained on all corrections, including contradictory ones.
        let accept_contradictions = config.accept_contradictions.or(Some(true));
        let reading = with_stored_tokenizer(&config.reading, folder);
        let examples = Examples::read(&Config { accept_contradictions, reading, ..config.clone() })?;
        if folder.data_sha256()? != examples.dataset.sha256 {
            let problem = format!(
                "the data has changed since the run {} started, so the run can neither resume nor be evaluated on its \
                 validation set; restore the old data, or start a new run",
                folder.path().display()
            );
            return Err(Error::artifact(&examples.dataset.path, problem));
        }
        if let (Some(corrections), Some(feedback)) = (&examples.corrections, &config.feedback)
            && folder.feedback_sha256()?.is_some_and(|sha256| sha256 != corrections.sha256)
        {
            let problem = format!(
                "existing corrections have changed since the run {} started (only appending is allowed); restore them, or \
                 start a new run",
                folder.path().display()
            );
            return Err(Error::artifact(feedback, problem));
        }
        Ok(examples)
    }

    /// Like [`Examples::again`], but without corrections, which may be missing.
    ///
    /// # Errors
    /// If the data has changed since the run started.
    pub fn reopen_without_corrections(config: &Config, folder: &RunFolder) -> Result<Self> {
        Examples::again(&Config { feedback: None, ..config.clone() }, folder)
    }

    /// A feed of raw examples on `device`, for a model that includes its preprocessing.
    ///
    /// ```
    /// use cresset::prelude::*;
    /// use cresset::run::Examples;
    /// use tch::Device;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// let options = Config { epochs: 3, ..Config::default() };
    /// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
    /// let config = Config::read(&out.join("config.toml"))?;
    /// let examples = Examples::read(&config)?;
    /// let feed = examples.raw(&examples.split.validation, &config, Device::Cpu);
    /// let accuracy = fitted.classifier()?.evaluate(&*feed)?.accuracy();
    /// assert_eq!(accuracy, fitted.validation().accuracy());
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    pub fn raw(&self, rows: &[i64], config: &Config, device: Device) -> Box<dyn EvaluationLoader> {
        match self.split.folds_of(rows) {
            // The examples of a bag are in memory.
            Some(folds) => {
                let examples = MemoryExamples::ready(TensorDataset::of(&self.dataset, rows, device));
                Box::new(examples.in_folds(Some(folds)))
            }
            None => raw_feed(&self.dataset, rows, config, device),
        }
    }
}

/// The dataset with the tokens of a vocabulary that is trained on its training set, if the options have one, and without its texts,
/// which take as much memory as the tokens, unless a teacher tokenizes them, too.
fn tokenized(mut dataset: Dataset, split: &Split, config: &Config) -> Result<Dataset> {
    if let Some(vocabulary) = TrainedVocabulary::of(&config.reading)? {
        dataset = dataset.with_trained_vocabulary(vocabulary, &split.train, &config.reading)?;
    }
    for sentence in dataset.truncations()? {
        tracing::warn!("{}: {sentence}", dataset.path.display());
    }
    if config.teacher.is_none() {
        dataset.texts = None;
    }
    Ok(dataset)
}

/// The options with the tokenizer of a run that has one, so that its vocabulary is not trained again.
pub(crate) fn with_stored_tokenizer(reading: &DataOptions, folder: &RunFolder) -> DataOptions {
    match folder.tokenizer() {
        file if file.is_file() => {
            // The file has the length of the longest text, and a trained vocabulary the default maximum.
            let is_trained = matches!(TrainedVocabulary::of(reading), Ok(Some(_)));
            let max_length = reading.max_length.or(is_trained.then_some(MAX_LENGTH as u32));
            DataOptions { tokenizer: Some(file), vocab_size: None, max_length, ..reading.clone() }
        }
        _ => reading.clone(),
    }
}

/// A feed of raw examples on `device`.
pub(super) fn raw_feed(
    dataset: &Dataset,
    rows: &[i64],
    config: &Config,
    device: Device,
) -> Box<dyn EvaluationLoader> {
    match EncodedExamples::of(dataset, config.threads.count().into(), config.reading.max_bad_share) {
        Some(gallery) => Box::new(StreamEvaluationLoader::new(&gallery, rows, None, device)),
        None => match StoredExamples::of(dataset) {
            Some(examples) => Box::new(StoredEvaluationLoader::new(&examples, rows, None, device)),
            None => Box::new(MemoryExamples::ready(TensorDataset::of(dataset, rows, device))),
        },
    }
}

/// Maximum size of decoded images in memory, in bytes; larger sets are streamed.
const MAX_IN_MEMORY: i64 = 1 << 30;

fn fits_in_memory(dataset: &Dataset, augmentation: &Augmentation) -> bool {
    let bytes = (dataset.rows() as i64).saturating_mul(dataset.shape.features());
    bytes <= MAX_IN_MEMORY && !augmentation.has_region()
}

/// Parses the augmentation.
///
/// # Errors
/// If it is for images and the examples are not.
fn augmentation(config: &Config, dataset: &Dataset) -> Result<Augmentation> {
    let augmentation: Augmentation = config.augment.parse().map_err(Error::Usage)?;
    if !augmentation.is_none() && !dataset.is_image_data() {
        let problem = format!(
            "--augment {augmentation} requires images, but the examples of {} are table rows",
            dataset.path.display()
        );
        return Err(Error::Usage(problem));
    }
    Ok(augmentation)
}
