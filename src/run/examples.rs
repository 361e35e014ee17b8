//! The data of a run, before anything is made of it.

use tch::Device;

use super::categories;
use crate::data::{self, Dataset, Split};
use crate::error::{Error, Result};
use crate::feedback::Corrections;
use crate::loader::augment::Augmentation;
use crate::loader::{Gallery, HeldOutFeed, InMemory, StreamHeldOut, decode_all};
use crate::model::preprocessing::TensorDataset;
use crate::options::Config;
use crate::run::RunFolder;

/// Labelled examples, and which of them are for what.
pub struct Examples {
    /// The data set.
    pub dataset: Dataset,
    /// The rows of its parts.
    pub split: Split,
    /// The changes of the training examples.
    pub augmentation: Augmentation,
    /// The corrections among the examples, if there are any.
    pub corrections: Option<Corrections>,
}

impl Examples {
    /// Reads and splits the data.
    ///
    /// # Errors
    /// Data that cannot be read, and options that do not fit it.
    pub fn read(config: &Config) -> Result<Self> {
        let dataset = data::load(&config.data, &config.reading)?;
        let augmentation = augmentation(config, &dataset)?;
        let dataset = if is_for_memory(&dataset, &augmentation) {
            decode_all(dataset, config.threads.count().into(), config.reading.max_bad_share)?
        } else {
            dataset
        };
        let mut split = Split::new(&dataset, &config.split_plan()?)?;
        let dataset = match config.mask_categories > 0. {
            true => categories::of_training(dataset, &split),
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

    /// The same for a run that was begun with `config`.
    ///
    /// # Errors
    /// Data that has changed since.
    pub fn again(config: &Config, folder: &RunFolder) -> Result<Self> {
        // Runs that say nothing of contradictions were begun when all corrections were trained on.
        let accept_contradictions = config.accept_contradictions.or(Some(true));
        let examples = Examples::read(&Config { accept_contradictions, ..config.clone() })?;
        if folder.data_sha256()? != examples.dataset.sha256 {
            let problem = format!(
                "the data has changed since the run {} began, so it can neither go on nor be measured on its held-out \
                 rows; bring the old data back, or start a new run",
                folder.path().display()
            );
            return Err(Error::artifact(&examples.dataset.path, problem));
        }
        if let (Some(corrections), Some(feedback)) = (&examples.corrections, &config.feedback)
            && folder.feedback_sha256()?.is_some_and(|sha256| sha256 != corrections.sha256)
        {
            let problem = format!(
                "corrections have changed since the run {} began, which added lines would not do; bring the old ones back, or start \
                 a new run",
                folder.path().display()
            );
            return Err(Error::artifact(feedback, problem));
        }
        Ok(examples)
    }

    /// The same without corrections, for what looks at the data's own rows alone: the corrections may be gone.
    ///
    /// # Errors
    /// Data that has changed since.
    pub fn own_again(config: &Config, folder: &RunFolder) -> Result<Self> {
        Examples::again(&Config { feedback: None, ..config.clone() }, folder)
    }

    /// Some rows as they are, on `device`, for a model that preprocesses them itself.
    pub fn raw(&self, rows: &[i64], config: &Config, device: Device) -> Box<dyn HeldOutFeed> {
        raw_feed(&self.dataset, rows, config, device)
    }
}

/// Examples of a data set as they are, on `device`.
pub(super) fn raw_feed(
    dataset: &Dataset,
    rows: &[i64],
    config: &Config,
    device: Device,
) -> Box<dyn HeldOutFeed> {
    match Gallery::of(dataset, config.threads.count().into(), config.reading.max_bad_share) {
        Some(gallery) => Box::new(StreamHeldOut::new(&gallery, rows, None, device)),
        None => Box::new(InMemory::ready(TensorDataset::of(&dataset, rows, device))),
    }
}

/// Pictures that take no more than this many bytes are decoded once, into memory.
const MOST_IN_MEMORY: i64 = 1 << 30;

fn is_for_memory(dataset: &Dataset, augmentation: &Augmentation) -> bool {
    let bytes = (dataset.rows() as i64).saturating_mul(dataset.shape.features());
    bytes <= MOST_IN_MEMORY && !augmentation.has_region()
}

/// The changes of the training examples.
///
/// # Errors
/// Changes of examples that are no pictures.
fn augmentation(config: &Config, dataset: &Dataset) -> Result<Augmentation> {
    let augmentation: Augmentation = config.augment.parse().map_err(Error::Usage)?;
    if !augmentation.is_none() && !dataset.has_pictures() {
        let problem = format!(
            "--augment {augmentation} changes pictures, but the examples of {} are rows of a table",
            dataset.path.display()
        );
        return Err(Error::Usage(problem));
    }
    Ok(augmentation)
}
