//! Prepares a run: data, preprocessing and an untrained model.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::Examples;
use super::bag;
use super::batch_norm_check;
use super::examples::raw_feed;
use super::feeds::{Feeds, Sources};
use super::joined::Described;
use super::memory;
use super::ranking;
use super::resolved::{Resolved, SourceData};
use super::task;
use super::teacher::{Taught, Teaching};
use super::text_encoder;
use crate::data::{Dataset, Inputs, Split, TaskKind};
use crate::distributed::World;
use crate::error::{Error, Result, catch_panics};
use crate::export::SAMPLES;
use crate::feedback::{Corrections, own_rows};
use crate::loader::{ClassWeights, EncodedExamples, EvaluationLoader, StoredExamples, TrainLoader};
use crate::model::preprocessing::{self, Preprocessing};
use crate::model::pretrained;
use crate::model::weights::{self, Matching};
use crate::model::{Network, Outputs, Task, Tensors};
use crate::options::{Config, ModelChoice};
use crate::run::RunFolder;
use crate::train::Plan;
use crate::train::head::{self, HeadLayers};

/// Creates an untrained model for a task on a device.
///
/// ```
/// use cresset::distributed::World;
/// use cresset::prelude::*;
/// use cresset::run::{MakeNetwork, Prepared};
/// use tch::Device;
///
/// let make: MakeNetwork = &|task: &Task, device: Device| Network::new("mlp", "width=8", task, device, 0);
/// let config = Config { data: "iris".into(), ..Config::default() };
/// let prepared = Prepared::with(&config, &World::alone(), make)?;
/// assert_eq!(prepared.network.parameter_count(), 67);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub type MakeNetwork<'a> = &'a dyn Fn(&Task, Device) -> Result<Network>;

/// Data, split, preprocessing and an untrained model.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::run::Prepared;
///
/// let prepared = Prepared::new(&Config { data: "iris".into(), ..Config::default() })?;
/// assert_eq!((prepared.train.rows(), prepared.validation.rows()), (120, 30));
/// assert_eq!(prepared.network.task().classes, 3);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Prepared {
    /// The dataset.
    pub dataset: Dataset,
    /// The rows of each part.
    pub split: Split,
    /// The corrections among the examples.
    pub corrections: Option<Corrections>,
    /// Preprocessing of raw values.
    pub preprocessing: Preprocessing,
    /// The training set.
    pub train: Box<dyn TrainLoader>,
    /// The validation set; on ranks other than 0, only the shard of the rank.
    pub validation: Box<dyn EvaluationLoader>,
    /// The validation set during training, if different: a shard, or the validation set with corrections.
    pub share: Option<Box<dyn EvaluationLoader>>,
    /// The test set.
    pub test: Option<Box<dyn EvaluationLoader>>,
    /// The weight of each class in the loss; `None` for equal weights.
    pub class_weights: Option<Vec<f32>>,
    /// The meaning of the model's outputs, before thresholds and intervals are fitted to the validation set.
    pub outputs: Outputs,
    /// The model.
    pub network: Network,
    /// Which weights of the initial file were loaded.
    pub init: Option<Matching>,
    /// The teacher (`--teacher`).
    pub taught: Option<Taught>,
    /// The device.
    pub device: Device,
    /// The number of CPU threads of libtorch.
    pub threads: u16,
}

impl Prepared {
    /// How a network is trained on these examples with the options.
    ///
    /// # Errors
    /// Options that the task of the data does not have.
    pub fn plan(&self, config: &Config) -> Result<Plan> {
        let config = task::resolve(config, &self.dataset)?;
        Ok(Plan { outputs: self.outputs.clone(), ..config.plan(self.class_weights.clone()) })
    }

    /// Reads and splits the data and creates the model in the options, without the recipe.
    pub fn new(config: &Config) -> Result<Self> {
        Prepared::with(config, &World::alone(), &named(config))
    }

    /// Like [`Prepared::new`], with a model from `make`, for one rank of `world`.
    pub fn with(config: &Config, world: &World, make: MakeNetwork) -> Result<Self> {
        Prepared::with_data(None, config, world, make)
    }

    /// Like [`Prepared::new`], with the data that the recipe has read.
    ///
    /// # Errors
    /// Those of [`Prepared::new`].
    pub fn of_resolved(resolved: Resolved) -> Result<Self> {
        let Resolved { config, data } = resolved;
        Prepared::with_data(data, &config, &World::alone(), &named(&config))
    }

    /// Like [`Prepared::with`], with data that may have been read.
    pub(super) fn with_data(
        data: Option<SourceData>,
        config: &Config,
        world: &World,
        make: MakeNetwork,
    ) -> Result<Self> {
        bag::check(config, world)?;
        let prepared = Prepared::of(Examples::of(data, config)?, config, world, make)?;
        batch_norm_check::check(&prepared.network, &*prepared.train, config, world)?;
        let file = match (&config.init, &config.pretrained) {
            (Some(file), _) => Some(file.clone()),
            (None, Some(name)) => Some(pretrained::resolve(name, &mut |_| {})?.weights),
            (None, None) => None,
        };
        let init = match (file, &config.init_key) {
            (None, Some(_)) => {
                let problem = "--init-key requires --init FILE or --pretrained NAME";
                return Err(Error::Usage(problem.to_string()));
            }
            (None, None) => None,
            (Some(file), _) => {
                let weights = weights::read_within(&file, config.reading.room())?;
                bag::check_weights(config, &prepared.dataset.sha256, &file, &weights)?;
                Some(load(&prepared.network, weights, &file, config)?)
            }
        };
        Ok(Prepared { init, ..prepared })
    }

    /// Like [`Prepared::new`], for an existing run with options `config`, without its teacher.
    ///
    /// # Errors
    /// If the data has changed since the run started.
    pub fn again(config: &Config, folder: &RunFolder) -> Result<Self> {
        Prepared::again_with_teacher(&Config { teacher: None, unlabelled: None, ..config.clone() }, folder)
    }

    /// Like [`Prepared::again`], with the teacher of `config`.
    ///
    /// # Errors
    /// Those of [`Prepared::again`], and a teacher that does not fit the data.
    pub(crate) fn again_with_teacher(config: &Config, folder: &RunFolder) -> Result<Self> {
        Prepared::reopen_with(config, folder, &World::alone(), &named(config))
    }

    /// Like [`Prepared::again`], with a model from `make`, for one rank of `world`.
    pub(crate) fn reopen_with(
        config: &Config,
        folder: &RunFolder,
        world: &World,
        make: MakeNetwork,
    ) -> Result<Self> {
        Prepared::of(Examples::again(config, folder)?, config, world, make)
    }

    /// A few raw validation examples, shape (N, …), which the exported model includes.
    pub fn samples(&self, config: &Config) -> Result<Tensor> {
        let rows = &self.split.validation[..SAMPLES.min(self.split.validation.len())];
        let feed = raw_feed(&self.dataset, rows, config, Device::Cpu);
        let first = feed.in_order().next().transpose()?;
        Ok(first.map_or_else(
            // None of them is readable.
            || Tensor::zeros([1, self.dataset.shape.features()], (Kind::Float, Device::Cpu)),
            |batch| batch.inputs.copy(),
        ))
    }

    /// About `count` raw training examples, evenly spaced, on the CPU.
    pub(crate) fn training_sample(&self, config: &Config, count: usize) -> Box<dyn EvaluationLoader> {
        let every = self.split.train.len().div_ceil(count).max(1);
        let rows: Vec<i64> = self.split.train.iter().copied().step_by(every).collect();
        raw_feed(&self.dataset, &rows, config, Device::Cpu)
    }

    /// The network whose features the head of a `--head-only` run is fitted to, with the weights of the run: with the
    /// last layer of its architecture.
    pub(crate) fn feature_network(&self, config: &Config) -> Result<Network> {
        let mut plain =
            plain_network(ModelChoice::of(&config.model), config, self.network.task(), self.device)?;
        let own = self.network.state();
        let state = plain.state().into_iter().map(|(name, tensor)| match own.get(&name) {
            Some(value) if !plain.is_head(&name) => (name, value.shallow_clone()),
            _ => (name, tensor),
        });
        let state = state.collect();
        plain.load_state(&state).map_err(Error::Usage)?;
        config.training.channels_last.lay_out(&mut plain)?;
        Ok(plain)
    }

    /// Creates the untrained model in the options again.
    ///
    /// # Errors
    /// If it is a custom model.
    pub(crate) fn untrained(&self, config: &Config) -> Result<Network> {
        let mut network = network(config, self.network.task(), self.device)?;
        config.training.channels_last.lay_out(&mut network)?;
        Ok(network)
    }

    fn of(examples: Examples, config: &Config, world: &World, make: MakeNetwork) -> Result<Self> {
        let Examples { mut dataset, split, augmentation, corrections } = examples;
        world.same("data", &dataset.sha256)?;
        world.same("feedback", corrections.as_ref().map_or("", |corrections| &corrections.sha256))?;
        let (local_rank, local_size) = world.local_rank_and_size();
        let device = config.device.resolve_for(local_rank, local_size)?;
        world.prepare_device(device)?;
        let own = own_rows(&split.train, corrections.as_ref());
        let marked = preprocessing::marked(&dataset, &own, config.reading.missing);
        let mut task = preprocessing::task(&dataset, marked.len());
        let described = Described::of(&dataset, &split, config.reading.missing)?;
        task.described =
            described.each_ref().map(|of| of.as_ref().map_or(Vec::new(), |of| of.groups.clone()));
        if dataset.task() == TaskKind::Ranking {
            ranking::check(world)?;
        }
        let mut network = make(&task, device)?;
        ranking::set_frequencies(&network, &dataset, &split, config.mask_categories);
        Described::store(&described, &network);
        network.freeze(&config.training.freeze)?;
        if config.lora.is_some() {
            network.train_only_adapters()?;
        }
        config.training.channels_last.lay_out(&mut network)?;
        if config.training.gradient_checkpointing {
            network.recompute_blocks()?;
        }
        if config.training.sync_batch_norm {
            network.synchronize_batch_norm(world)?;
        }
        cresset_bridge::autocast::allow_tf32(config.training.tf32)?;
        // Set the number of threads before any sum, because it determines the order of summation.
        let own_threads = config.threads.shared_by(local_size);
        let threads = own_threads.for_multiply_adds(network.parameter_count() * config.batch_size as usize);
        tch::set_num_threads(threads.into());

        let teaching = Teaching::of(config, &dataset, &split, device)?;
        dataset.texts = None;
        let corrected = corrections.as_ref();
        let sources = Sources {
            config,
            dataset: &dataset,
            split: &split,
            corrected,
            teaching: teaching.as_ref(),
            has_buckets: config.length_buckets && network.computes_padding(),
            marked,
            augmentation,
            device,
            world,
        };
        let gallery = EncodedExamples::of(&dataset, own_threads.count().into(), config.reading.max_bad_share);
        bag::check_examples(config, gallery.is_some(), &sources.augmentation)?;
        let feeds = match (gallery, StoredExamples::of(&dataset), &dataset.inputs) {
            (Some(gallery), ..) => sources.streamed(&gallery)?,
            (None, Some(examples), Inputs::Stored(rows)) => sources.stored(&examples, rows)?,
            _ => sources.in_memory()?,
        };
        let class_weights = match dataset.task() {
            TaskKind::Classification if config.class_weights != ClassWeights::Equal => {
                let labels: Vec<_> = split.train.iter().map(|row| dataset.labels[*row as usize]).collect();
                config.class_weights.of(&labels, dataset.classes.len())
            }
            _ => None,
        };
        let outputs = Outputs::of(&dataset, &split.train);
        let Feeds { preprocessing, train, validation, share, test } = feeds;
        let taught = teaching.map(|teaching| teaching.taught(config, &preprocessing));
        Ok(Prepared {
            dataset,
            split,
            corrections,
            preprocessing,
            train,
            validation,
            share,
            test,
            class_weights,
            outputs,
            network,
            init: None,
            taught,
            device,
            threads,
        })
    }
}

/// The name of the example at a place of the training set, after which the texts without labels come.
pub(crate) fn training_name(dataset: &Dataset, split: &Split, place: usize) -> String {
    match split.train.get(place) {
        Some(row) => dataset.names.name(*row as usize),
        None => format!("unlabelled text {}", place - split.train.len() + 1),
    }
}

/// Loads the matching weights of a file; those of the last layer only if requested.
pub(super) fn init(network: &Network, file: &Path, config: &Config) -> Result<Matching> {
    load(network, weights::read_within(file, config.reading.room())?, file, config)
}

/// Like [`init`], with the tensors of the file.
fn load(network: &Network, weights: Tensors, file: &Path, config: &Config) -> Result<Matching> {
    let weights = weights::adapt(weights, network);
    let state = network.state();
    let fault = |error| match error {
        Error::Usage(problem) => Error::artifact(file, problem),
        other => other,
    };
    let is_head = |name: &str| network.is_head(name);
    let matching = Matching::of(&state, &weights, config.init_key.as_deref()).map_err(fault)?;
    matching.reject_chance_match(&state, &weights, is_head).map_err(fault)?;
    if config.pretrained.is_some() && network.is_pretrained_encoder() {
        text_encoder::require_all(network, &matching).map_err(fault)?;
    }
    let matching = if config.fresh_head { matching.without(is_head) } else { matching };
    matching.apply(&state, &weights).map_err(fault)?;
    tracing::info!(file = %file.display(), "loaded weights: {}", matching.summary());
    Ok(matching)
}

/// Returns a function that creates the model in the options.
pub(super) fn named(config: &Config) -> impl Fn(&Task, Device) -> Result<Network> {
    move |task, device| network(config, task, device)
}

/// Creates the model in the options: from a file, or an architecture.
fn network(config: &Config, task: &Task, device: Device) -> Result<Network> {
    let (options, training) = (&config.model_options, &config.training);
    let layers = match training.head_only {
        true => head::layers(&training.head, &training.head_options)?,
        false => HeadLayers::Linear,
    };
    let place = (device, config.seed);
    if let (1.., ModelChoice::Architecture(name)) = (config.bag, ModelChoice::of(&config.model)) {
        return catch_panics(|| Network::bag(name, options, task, config.bag, place))
            .map_err(memory::advise_on_model);
    }
    match (ModelChoice::of(&config.model), layers) {
        (choice, HeadLayers::Linear) => plain_network(choice, config, task, device),
        (ModelChoice::Architecture(name), HeadLayers::Hidden(width)) => {
            catch_panics(|| Network::with_hidden(name, options, task, width, place))
                .map_err(memory::advise_on_model)
        }
        (ModelChoice::Architecture(name), HeadLayers::Neighbors(temperature)) => {
            catch_panics(|| Network::with_neighbors(name, options, task, temperature, place))
                .map_err(memory::advise_on_model)
        }
        (_, HeadLayers::Hidden(_) | HeadLayers::Neighbors(_)) => Err(Error::Usage(format!(
            "--head {} works only with the architectures that `cresset models` lists; use --head linear",
            training.head
        ))),
    }
}

/// Creates the model of an option, with the last layer that it has.
fn plain_network(choice: ModelChoice, config: &Config, task: &Task, device: Device) -> Result<Network> {
    match choice {
        ModelChoice::Architecture(name) => {
            catch_panics(|| Network::new(name, &config.model_options, task, device, config.seed))
                .map_err(memory::advise_on_model)
        }
        ModelChoice::File(_) if !config.model_options.is_empty() => {
            let problem = "--model-options applies only to the architectures that `cresset models` lists, not to a model file";
            Err(Error::Usage(problem.to_string()))
        }
        ModelChoice::File(file) => Network::imported(file, task, device, config.seed),
        ModelChoice::Own(name) => Err(Error::Usage(format!(
            "{name} is a custom model; train and export it with the program that defines it"
        ))),
    }
}
