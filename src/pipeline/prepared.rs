//! What is made of the options before anything is trained or written.

use std::path::Path;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use super::Examples;
use super::examples::raw_feed;
use crate::config::{Config, ModelChoice};
use crate::data::image::channel_by_channel;
use crate::data::{Dataset, Part, Split, TrainPart};
use crate::error::{Error, Result};
use crate::export::SAMPLES;
use crate::feed::{
    Augmenter, Gallery, HeldOutFeed, InMemory, MemoryFeed, StreamFeed, StreamHeldOut, TrainFeed,
};
use crate::model::{Network, Task};
use crate::run::RunFolder;
use crate::transform::Preprocessing;
use crate::transform::augment::Augmentation;
use crate::weights::{self, Matching};

/// Makes an untrained model for a task on a device.
pub type MakeNetwork<'a> = &'a dyn Fn(&Task, Device) -> Result<Network>;

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
        Prepared::with(config, &|task, device| network(config, task, device))
    }

    /// The same with a model that `make` makes.
    pub fn with(config: &Config, make: MakeNetwork) -> Result<Self> {
        let device = config.device.resolve()?;
        let prepared = Prepared::of(Examples::read(config)?, config, device, make)?;
        let init = config
            .init
            .as_deref()
            .map(|file| init(&prepared.network, file, config.fresh_head))
            .transpose()?;
        Ok(Prepared { init, ..prepared })
    }

    /// The same for a run that was begun with `config`.
    ///
    /// # Errors
    /// Data that has changed since.
    pub fn again(config: &Config, folder: &RunFolder) -> Result<Self> {
        Prepared::again_with(config, folder, &|task, device| network(config, task, device))
    }

    /// The same for a run that was begun with `config`, and a model that `make` makes.
    pub fn again_with(config: &Config, folder: &RunFolder, make: MakeNetwork) -> Result<Self> {
        let device = config.device.resolve()?;
        Prepared::of(Examples::again(config, folder)?, config, device, make)
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
        if config.training.channels_last {
            network.use_channels_last()?;
        }
        Ok(network)
    }

    fn of(examples: Examples, config: &Config, device: Device, make: MakeNetwork) -> Result<Self> {
        let Examples { dataset, split, augmentation } = examples;
        let task = Task { input: dataset.shape.clone(), classes: dataset.classes.len() as i64 };
        let mut network = make(&task, device)?;
        network.freeze(&config.training.freeze)?;
        if config.training.channels_last {
            network.use_channels_last()?;
        }
        cresset_bridge::autocast::allow_tf32(config.training.tf32)?;
        // Before anything is summed up, because the order of a sum depends on the number of threads.
        let threads = config.threads.for_step(network.parameter_count() * config.batch_size as usize);
        tch::set_num_threads(threads.into());

        let feeds = match Gallery::of(&dataset, config.threads.count().into(), config.reading.max_bad_share) {
            Some(gallery) => Feeds::streamed(config, &dataset, &split, &gallery, augmentation, device)?,
            None => Feeds::in_memory(config, &dataset, &split, augmentation, device),
        };
        let labels: Vec<_> = split.train.iter().map(|row| dataset.labels[*row as usize]).collect();
        let class_weights = config.class_weights.of(&labels, dataset.classes.len());
        let Feeds { preprocessing, train, held_out, test } = feeds;
        Ok(Prepared {
            dataset,
            split,
            preprocessing,
            train,
            held_out,
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
fn init(network: &Network, file: &Path, fresh_head: bool) -> Result<Matching> {
    let (weights, state) = (weights::read(file)?, network.state());
    let fault = |error| match error {
        Error::Usage(problem) => Error::artifact(file, problem),
        other => other,
    };
    let matching = Matching::of(&state, &weights).map_err(fault)?;
    let matching = if fresh_head { matching.without(|name| network.is_head(name)) } else { matching };
    matching.apply(&state, &weights).map_err(fault)?;
    tracing::info!(file = %file.display(), "took over weights: {}", matching.summary());
    Ok(matching)
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

/// The pictures whose values stand for all when streamed pictures are standardised.
const SAMPLED: usize = 256;

/// Where the examples of each part come from.
struct Feeds {
    preprocessing: Preprocessing,
    train: Box<dyn TrainFeed>,
    held_out: Box<dyn HeldOutFeed>,
    test: Option<Box<dyn HeldOutFeed>>,
}

impl Feeds {
    fn in_memory(
        config: &Config,
        dataset: &Dataset,
        split: &Split,
        augmentation: Augmentation,
        device: Device,
    ) -> Self {
        let train = TrainPart(dataset.part(&split.train, device));
        let preprocessing = Preprocessing::fit(dataset, &train, config.reading.missing);
        let held_out = |rows: &[i64]| -> Box<dyn HeldOutFeed> {
            Box::new(InMemory::raw(dataset.part(rows, device), &preprocessing))
        };
        let (held_out, test) =
            (held_out(&split.held_out), (!split.test.is_empty()).then(|| held_out(&split.test)));
        let augmenter = dataset.range.filter(|_| !augmentation.is_none());
        let augmenter =
            augmenter.map(|range| Augmenter { augmentation, shape: dataset.shape.clone(), range });
        let train = match augmenter {
            Some(_) => InMemory::still_raw(train.0, &preprocessing),
            None => InMemory::raw(train.0, &preprocessing),
        };
        let train = Box::new(MemoryFeed::new(train, config.sampling, augmenter));
        Feeds { preprocessing, train, held_out, test }
    }

    fn streamed(
        config: &Config,
        dataset: &Dataset,
        split: &Split,
        gallery: &Arc<Gallery>,
        augmentation: Augmentation,
        device: Device,
    ) -> Result<Self> {
        let sample = sample(dataset, split, gallery)?;
        let preprocessing = Preprocessing::fit(dataset, &sample, config.reading.missing);
        let held_out = |rows: &[i64]| -> Box<dyn HeldOutFeed> {
            Box::new(StreamHeldOut::new(gallery, rows, Some(&preprocessing), device))
        };
        let (held_out, test) =
            (held_out(&split.held_out), (!split.test.is_empty()).then(|| held_out(&split.test)));
        let train = StreamFeed::new(
            gallery,
            &split.train,
            config.sampling,
            &Arc::new(augmentation),
            &preprocessing,
            device,
        );
        Ok(Feeds { preprocessing, train: Box::new(train), held_out, test })
    }
}

/// Some of the pictures to train on, evenly over all of them.
fn sample(dataset: &Dataset, split: &Split, gallery: &Arc<Gallery>) -> Result<TrainPart> {
    let count = split.train.len().min(SAMPLED);
    let rows: Vec<i64> = (0..count).map(|index| split.train[index * split.train.len() / count]).collect();
    let (mut bytes, mut labels) = (Vec::new(), Vec::new());
    for (row, decoded) in rows.iter().zip(gallery.middles(&rows)) {
        match decoded {
            Ok(pixels) => {
                channel_by_channel(&pixels, gallery.channel_count(), &mut bytes);
                labels.push(dataset.labels[*row as usize]);
            }
            Err(problem) => gallery.report(*row as usize, problem)?,
        }
    }
    if labels.is_empty() {
        return Err(Error::data(dataset.path.as_path(), "none of the pictures to train on can be read"));
    }
    let inputs = Tensor::from_slice(&bytes).view([labels.len() as i64, dataset.shape.features()]);
    Ok(TrainPart(Part { inputs, labels: Tensor::from_slice(&labels) }))
}
