//! What is made of the options before anything is trained or written.

use tch::Device;

use crate::config::Config;
use crate::data::{self, Dataset, Split, TrainPart};
use crate::error::{Error, Result};
use crate::feed::{HeldOutFeed, InMemory, MemoryFeed, TrainFeed};
use crate::model::{Network, Task};
use crate::run::RunFolder;
use crate::transform::Preprocessing;

/// Data, split, preprocessing and an untrained model.
pub struct Prepared {
    /// The data set.
    pub dataset: Dataset,
    /// The rows of its parts.
    pub split: Split,
    /// What is done to raw values.
    pub preprocessing: Preprocessing,
    /// The rows to train on.
    pub train: Box<dyn TrainFeed>,
    /// The rows held out.
    pub held_out: Box<dyn HeldOutFeed>,
    /// The rows for the last word, if there are any.
    pub test: Option<Box<dyn HeldOutFeed>>,
    /// The weight of each class in the loss; none where all weigh 1.
    pub class_weights: Option<Vec<f32>>,
    /// The model.
    pub network: Network,
    /// Where it computes.
    pub device: Device,
    /// The number of CPU threads that libtorch was told to use.
    pub threads: u16,
}

impl Prepared {
    /// Reads and splits the data and makes the model.
    pub fn new(config: &Config) -> Result<Self> {
        let device = config.device.resolve()?;
        let dataset = data::load(&config.data, &config.reading)?;
        let task = Task { input: dataset.shape.clone(), classes: dataset.classes.len() as i64 };
        let network = Network::new(&config.model, &task, device, config.seed)?;
        // Before anything is summed up, because the order of a sum depends on the number of threads.
        let threads = config.threads.for_step(network.parameter_count() * config.batch_size as usize);
        tch::set_num_threads(threads.into());

        let split = Split::new(&dataset, &config.split_plan()?)?;
        tracing::info!(
            file = %dataset.path.display(), rows = dataset.rows(), classes = dataset.classes.len(), "read the data"
        );
        let train = TrainPart(dataset.part(&split.train, device));
        let preprocessing = Preprocessing::fit(&dataset, &train, config.reading.missing);
        let held_out = |rows: &[i64]| -> Box<dyn HeldOutFeed> {
            Box::new(InMemory::raw(dataset.part(rows, device), &preprocessing))
        };
        let (held_out, test) =
            (held_out(&split.held_out), (!split.test.is_empty()).then(|| held_out(&split.test)));
        let labels: Vec<_> = split.train.iter().map(|row| dataset.labels[*row as usize]).collect();
        let class_weights = config.class_weights.of(&labels, dataset.classes.len());
        let train = Box::new(MemoryFeed::new(InMemory::raw(train.0, &preprocessing), config.sampling));
        Ok(Prepared {
            dataset,
            split,
            preprocessing,
            train,
            held_out,
            test,
            class_weights,
            network,
            device,
            threads,
        })
    }

    /// The same for a run that was begun with `config`.
    ///
    /// # Errors
    /// Data that has changed since.
    pub fn again(config: &Config, folder: &RunFolder) -> Result<Self> {
        let prepared = Prepared::new(config)?;
        if folder.data_sha256()? != prepared.dataset.sha256 {
            let problem = format!(
                "the data has changed since the run {} began, so it can neither go on nor be measured on its held-out \
                 rows; bring the old data back, or start a new run",
                folder.path().display()
            );
            return Err(Error::artifact(&prepared.dataset.path, problem));
        }
        Ok(prepared)
    }
}
