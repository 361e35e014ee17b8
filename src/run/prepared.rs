//! What is made of the options before anything is trained or written.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::Examples;
use super::examples::raw_feed;
use super::feeds::{Feeds, Sources};
use super::smallest_batch;
use crate::data::{Dataset, Split};
use crate::distributed::World;
use crate::error::{Error, Result};
use crate::export::SAMPLES;
use crate::feedback::Corrections;
use crate::loader::{Gallery, HeldOutFeed, TrainFeed};
use crate::model::preprocessing::Preprocessing;
use crate::model::weights::{self, Matching};
use crate::model::{Network, Task};
use crate::options::{Config, ModelChoice};
use crate::run::RunFolder;

/// Makes an untrained model for a task on a device.
pub type MakeNetwork<'a> = &'a dyn Fn(&Task, Device) -> Result<Network>;

/// Data, split, preprocessing and an untrained model.
pub struct Prepared {
    /// The data set.
    pub dataset: Dataset,
    /// The rows of its parts.
    pub split: Split,
    /// The corrections among the examples, if there are any.
    pub corrections: Option<Corrections>,
    /// What is done to raw values.
    pub preprocessing: Preprocessing,
    /// The rows to train on.
    pub train: Box<dyn TrainFeed>,
    /// The rows held out; in a process that does not measure the final model, its share of them.
    pub held_out: Box<dyn HeldOutFeed>,
    /// What this process measures while it trains, if that is not the held-out rows: some of them, or corrections beside them.
    pub share: Option<Box<dyn HeldOutFeed>>,
    /// The rows for the last word, if there are any.
    pub test: Option<Box<dyn HeldOutFeed>>,
    /// The weight of each class in the loss; none where all weigh 1.
    pub class_weights: Option<Vec<f32>>,
    /// The model.
    pub network: Network,
    /// Which weights of the file that it starts from are in it.
    pub init: Option<Matching>,
    /// Where it computes.
    pub device: Device,
    /// The number of CPU threads that libtorch was told to use.
    pub threads: u16,
}

impl Prepared {
    /// Reads and splits the data and makes the model that the options name.
    pub fn new(config: &Config) -> Result<Self> {
        Prepared::with(config, &World::alone(), &named(config))
    }

    /// The same with a model that `make` makes, for one of the processes of `world`.
    pub fn with(config: &Config, world: &World, make: MakeNetwork) -> Result<Self> {
        let prepared = Prepared::of(Examples::read(config)?, config, world, make)?;
        smallest_batch::check(&prepared.network, &*prepared.train, config, world)?;
        let init = match (&config.init, &config.init_key) {
            (None, Some(_)) => {
                let problem = "--init-key chooses among the weights of a file, so it goes with --init FILE";
                return Err(Error::Usage(problem.to_string()));
            }
            (file, _) => file.as_deref().map(|file| init(&prepared.network, file, config)).transpose()?,
        };
        Ok(Prepared { init, ..prepared })
    }

    /// The same for a run that was begun with `config`.
    ///
    /// # Errors
    /// Data that has changed since.
    pub fn again(config: &Config, folder: &RunFolder) -> Result<Self> {
        Prepared::again_with(config, folder, &World::alone(), &named(config))
    }

    /// The same for a run that was begun with `config`, one of the processes of `world`, and a model that `make` makes.
    pub fn again_with(config: &Config, folder: &RunFolder, world: &World, make: MakeNetwork) -> Result<Self> {
        Prepared::of(Examples::again(config, folder)?, config, world, make)
    }

    /// A few held-out examples as they are, (N, …), which travel with the exported model.
    pub fn samples(&self, config: &Config) -> Result<Tensor> {
        let rows = &self.split.held_out[..SAMPLES.min(self.split.held_out.len())];
        let feed = raw_feed(&self.dataset, rows, config, Device::Cpu);
        let first = feed.in_order().next().transpose()?;
        Ok(first.map_or_else(
            // None of them can be read.
            || Tensor::zeros([1, self.dataset.shape.features()], (Kind::Float, Device::Cpu)),
            |batch| batch.inputs.copy(),
        ))
    }

    /// About `count` of the training examples as they are, evenly over all of them, on the CPU.
    pub(crate) fn training_sample(&self, config: &Config, count: usize) -> Box<dyn HeldOutFeed> {
        let every = self.split.train.len().div_ceil(count).max(1);
        let rows: Vec<i64> = self.split.train.iter().copied().step_by(every).collect();
        raw_feed(&self.dataset, &rows, config, Device::Cpu)
    }

    /// The model that the options name once more, untrained.
    ///
    /// # Errors
    /// A model that a program of its own makes.
    pub(crate) fn untrained(&self, config: &Config) -> Result<Network> {
        let mut network = network(config, self.network.task(), self.device)?;
        config.training.channels_last.lay_out(&mut network)?;
        Ok(network)
    }

    fn of(examples: Examples, config: &Config, world: &World, make: MakeNetwork) -> Result<Self> {
        let Examples { dataset, split, augmentation, corrections } = examples;
        world.same("data", &dataset.sha256)?;
        world.same("feedback", corrections.as_ref().map_or("", |corrections| &corrections.sha256))?;
        let (local_rank, local_size) = world.on_this_machine();
        let device = config.device.resolve_for(local_rank, local_size)?;
        world.speak_on(device)?;
        let task = Task { input: dataset.shape.clone(), classes: dataset.classes.len() as i64 };
        let mut network = make(&task, device)?;
        network.freeze(&config.training.freeze)?;
        config.training.channels_last.lay_out(&mut network)?;
        if config.training.sync_batch_norm {
            network.synchronise_batch_norm(world)?;
        }
        cresset_bridge::autocast::allow_tf32(config.training.tf32)?;
        // Before anything is summed up, because the order of a sum depends on the number of threads.
        let own_threads = config.threads.of_several(local_size);
        let threads = own_threads.for_step(network.parameter_count() * config.batch_size as usize);
        tch::set_num_threads(threads.into());

        let corrected = corrections.as_ref();
        let sources =
            Sources { config, dataset: &dataset, split: &split, corrected, augmentation, device, world };
        let feeds = match Gallery::of(&dataset, own_threads.count().into(), config.reading.max_bad_share) {
            Some(gallery) => sources.streamed(&gallery)?,
            None => sources.in_memory(),
        };
        let labels: Vec<_> = split.train.iter().map(|row| dataset.labels[*row as usize]).collect();
        let class_weights = config.class_weights.of(&labels, dataset.classes.len());
        let Feeds { preprocessing, train, held_out, share, test } = feeds;
        Ok(Prepared {
            dataset,
            split,
            corrections,
            preprocessing,
            train,
            held_out,
            share,
            test,
            class_weights,
            network,
            init: None,
            device,
            threads,
        })
    }
}

/// Takes over the weights of a file that fit, those of the last layer only if they are wanted.
fn init(network: &Network, file: &Path, config: &Config) -> Result<Matching> {
    let weights = weights::read_within(file, config.reading.room())?;
    let state = network.state();
    let fault = |error| match error {
        Error::Usage(problem) => Error::artifact(file, problem),
        other => other,
    };
    let is_head = |name: &str| network.is_head(name);
    let matching = Matching::of(&state, &weights, config.init_key.as_deref()).map_err(fault)?;
    matching.refuse_chance(&state, &weights, is_head).map_err(fault)?;
    let matching = if config.fresh_head { matching.without(is_head) } else { matching };
    matching.apply(&state, &weights).map_err(fault)?;
    tracing::info!(file = %file.display(), "took over weights: {}", matching.summary());
    Ok(matching)
}

/// Makes the model that the options name.
pub(super) fn named(config: &Config) -> impl Fn(&Task, Device) -> Result<Network> {
    move |task, device| network(config, task, device)
}

/// The model that the options name: a file, or an architecture.
fn network(config: &Config, task: &Task, device: Device) -> Result<Network> {
    match ModelChoice::of(&config.model) {
        ModelChoice::Architecture(name) => {
            Network::new(name, &config.model_options, task, device, config.seed)
        }
        ModelChoice::File(_) if !config.model_options.is_empty() => {
            let problem =
                "--model-options are for the architectures that `cresset models` lists, and none for a file";
            Err(Error::Usage(problem.to_string()))
        }
        ModelChoice::File(file) => Network::imported(file, task, device, config.seed),
        ModelChoice::Own(name) => Err(Error::Usage(format!(
            "the model {name} is made by a program of its own, which alone can train and export it"
        ))),
    }
}
