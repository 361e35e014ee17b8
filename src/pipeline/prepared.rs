//! What is made of the options before anything is trained or written.

use tch::Device;

use crate::config::Config;
use crate::data::{self, Dataset, HeldOutPart, Part, Split, TrainPart};
use crate::error::{Error, Result};
use crate::model::{Network, Task};
use crate::run::RunFolder;
use crate::transform::Preprocessing;

/// Data, split, preprocessing and an untrained model.
pub struct Prepared {
    /// The data set.
    pub dataset: Dataset,
    /// Its two parts' rows.
    pub split: Split,
    /// What is done to raw values.
    pub preprocessing: Preprocessing,
    /// The rows to train on, preprocessed.
    pub train: TrainPart,
    /// The rows held out, preprocessed.
    pub held_out: HeldOutPart,
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

        let split = Split::stratified(&dataset.labels, dataset.classes.len(), config.held_out, config.seed);
        if split.held_out.is_empty() {
            let problem = "no class has two rows, so none can be held out to measure the model";
            return Err(Error::artifact(&dataset.path, problem));
        }
        tracing::info!(
            file = %dataset.path.display(), rows = dataset.rows(), classes = dataset.classes.len(), "read the data"
        );
        let train = TrainPart(dataset.part(&split.train, device));
        let held_out = HeldOutPart(dataset.part(&split.held_out, device));
        let preprocessing = Preprocessing::fit(&dataset, &train);
        // Done once, here, rather than at every step.
        let apply = |part: Part| Part { inputs: preprocessing.apply(&part.inputs), labels: part.labels };
        let (train, held_out) = (TrainPart(apply(train.0)), HeldOutPart(apply(held_out.0)));
        Ok(Prepared { dataset, split, preprocessing, train, held_out, network, device, threads })
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
