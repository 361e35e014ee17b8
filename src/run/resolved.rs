//! Options that are ready for a run, and the data that was read to choose them.

use super::recipe::apply_recipe;
use super::resolve_pretrained_on;
use super::streamed;
use crate::data::Dataset;
use crate::data::options::DataOptions;
use crate::distributed::World;
use crate::error::Result;
use crate::model::pretrained::Download;
use crate::options::Config;

/// The options of a run with its recipe applied, and the data that the recipe has read, so that the run need not read it again.
///
/// ```
/// use cresset::distributed::World;
/// use cresset::prelude::*;
/// use cresset::run::{self, Resolved};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let config = Config { data: "iris".into(), epochs: 2, ..Config::default() };
/// let resolved = Resolved::new(&config, &World::alone())?;
/// assert_eq!(resolved.config.optimizer, "adamw");
/// let run = run::start_resolved(resolved, Some(&out), &World::alone())?;
/// assert_eq!(run.prepared.dataset.rows(), 150);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Resolved {
    /// The options.
    pub config: Config,
    pub(super) data: Option<SourceData>,
}

impl Resolved {
    /// Applies the recipe ([`resolve_recipe`](super::resolve_recipe)). All ranks of `world` must call it; the data of rank 0 is kept.
    ///
    /// # Errors
    /// Data that cannot be read.
    pub fn new(config: &Config, world: &World) -> Result<Self> {
        let (config, data) = apply_recipe(config, world)?;
        Ok(Resolved { config, data })
    }

    /// Finds the pretrained weights ([`resolve_pretrained_on`]).
    ///
    /// # Errors
    /// Weights that cannot be found or downloaded, or do not fit the options.
    pub fn with_pretrained(self, world: &World, progress: &mut dyn FnMut(Download)) -> Result<Self> {
        let config = resolve_pretrained_on(&self.config, world, progress)?;
        Ok(Resolved { config, ..self })
    }
}

/// A data set, and what it was read by.
pub(crate) struct SourceData {
    /// The examples.
    pub dataset: Dataset,
    source: String,
    reading: DataOptions,
}

impl SourceData {
    /// Reads the data of the options.
    pub fn read(config: &Config) -> Result<Self> {
        let dataset = streamed::load(config)?;
        Ok(SourceData { dataset, source: config.data.clone(), reading: config.reading.clone() })
    }

    /// The same texts for another run, which shares them; none for other data, which would be in memory twice.
    pub fn shared_texts(&self) -> Option<Self> {
        self.dataset.texts.as_ref()?;
        let rows: Vec<usize> = (0..self.dataset.rows()).collect();
        Some(SourceData {
            dataset: self.dataset.select(&rows),
            source: self.source.clone(),
            reading: self.reading.clone(),
        })
    }

    /// The data of the options: `read` as they have it, or read now.
    pub fn for_run(read: Option<Self>, config: &Config) -> Result<Dataset> {
        let known = match read.filter(|read| read.source == config.data) {
            Some(read) => read.dataset.reread(&read.reading, &config.reading)?,
            None => None,
        };
        known.map_or_else(|| streamed::load(config), Ok)
    }
}
