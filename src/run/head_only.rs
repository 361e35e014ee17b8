//! `--head-only`: fits the last layer to features that the rest of the network computes once.

use tch::{Device, Tensor};

use super::features::{Features, Subject};
use super::{Prepared, RunFolder};
use crate::data::atomic;
use crate::distributed::World;
use crate::error::{Error, Result};
use crate::evaluate::ood::OodScore;
use crate::evaluate::{Evaluation, Keep, evaluate};
use crate::export::Evaluations;
use crate::loader::{ClassWeights, MemoryExamples, Sampling};
use crate::model::preprocessing::TensorDataset;
use crate::model::{Network, Tensors};
use crate::options::Config;
use crate::train::checkpoint::Best;
use crate::train::head::{self, Attempt, Attempts, HeadFit, HeadLayers, HeadTask, LabeledFeatures};
use crate::train::{Callback, EpochRecord, MetricsLog, Objective, TrainOptions, Training};

/// The attempts of a fit, one per row.
pub(super) const HEAD_LOG: &str = "head.csv";

/// Rejects options that `--head-only` cannot honor, and its own options without it.
///
/// # Errors
/// The first such option.
pub(super) fn check(config: &Config, prepared: &Prepared, world: &World) -> Result<()> {
    let options = &config.training;
    let usage = |problem: &str| Err(Error::Usage(problem.to_string()));
    if !options.head_only {
        return match given(options).next() {
            Some((name, _)) => usage(&format!("{name} requires --head-only")),
            None => Ok(()),
        };
    }
    if config.lora.is_some() && !options.finetune {
        return usage(
            "--lora trains adapters of an encoder, which --head-only leaves as it is; add --finetune",
        );
    }
    head::parse(&options.head, &options.head_options)?;
    let begins = config.pretrained.is_some() || config.init.is_some() || config.model.contains('.');
    if !begins {
        tracing::warn!(
            "--head-only without --pretrained or --init fits the last layer to features of random weights"
        );
    }
    if smoothing(config)?.is_none() {
        return usage(&format!("--head-only fits a head with cross-entropy, not --loss {}", options.loss));
    }
    if prepared.corrections.is_some() {
        return usage(
            "--head-only does not support --feedback; `cresset train --from RUN --feedback DIR` trains on corrections",
        );
    }
    let is_encoder = prepared.network.is_pretrained_encoder();
    if prepared.dataset.table.is_some() && !prepared.dataset.is_image_data() && !is_encoder {
        return usage(
            "--head-only is for images, arrays, and texts with a pretrained encoder; other models of tables have no pretrained backbone",
        );
    }
    if !world.is_alone() {
        return usage("--head-only runs in a single process; start it without torchrun, srun or mpirun");
    }
    if options.head_views > 0 {
        if config.augment == "none" {
            return usage("--head-views requires --augment: without it, all views of an image are the same");
        }
        if mixes(config)? {
            return usage("--head-views does not support mixup and cutmix, whose images have two labels");
        }
    } else if config.augment != "none" && !options.finetune {
        tracing::warn!("--head-only does not use --augment {} without --head-views", config.augment);
    }
    if prepared.network.has_neighbors() {
        return check_neighbors(config, prepared);
    }
    prepared.network.head().map(drop)
}

/// Rejects options that a head without a loss and without gradients cannot honor.
fn check_neighbors(config: &Config, prepared: &Prepared) -> Result<()> {
    let options = &config.training;
    let unsupported = [
        (
            options.finetune,
            "--finetune: it has no parameters, and its neighbors would be those of other features",
        ),
        (prepared.class_weights.is_some(), "--class-weights: it has no loss"),
        (
            config.sampling == Sampling::Balanced && options.head_views == 0,
            "--sampling balanced: it has no loss",
        ),
        (smoothing(config)?.is_some_and(|smoothing| smoothing > 0.), "label smoothing: it has no loss"),
        (
            config.ood.is_some() && config.ood_score == OodScore::Energy,
            "--ood without --ood-score knn: the energy of its log-probabilities is 0 for every input",
        ),
    ];
    if let Some((_, problem)) = unsupported.into_iter().find(|(is_given, _)| *is_given) {
        return Err(Error::Usage(format!("--head knn does not support {problem}; use --head linear")));
    }
    let state = prepared.network.state();
    let width = state[&format!("{}.bank", prepared.network.head_name())].size()[1];
    let rows = prepared.split.train.len() as i64 * i64::from(options.head_views.max(1));
    head::check_bank(&options.head, &options.head_options, [rows, width])
}

/// The options that require `--head-only` and are not at their defaults, with the defaults as text.
fn given(options: &TrainOptions) -> impl Iterator<Item = (&'static str, &'static str)> {
    let defaults = TrainOptions::default();
    let known = [
        ("--finetune", "false", options.finetune),
        ("--head", "linear", options.head != defaults.head),
        ("--head-options", "''", options.head_options != defaults.head_options),
        ("--head-views", "0", options.head_views != defaults.head_views),
    ];
    known.into_iter().filter(|(.., is_given)| *is_given).map(|(name, default, _)| (name, default))
}

/// The arguments that turn the options of a `--head-only` run into those of training all layers.
pub(super) fn reset(config: &Config) -> String {
    let others = given(&config.training).map(|(name, default)| format!(" {name} {default}"));
    " --head-only false".to_string() + &others.collect::<String>()
}

fn mixes(config: &Config) -> Result<bool> {
    let augmentation: crate::loader::augment::Augmentation = config.augment.parse().map_err(Error::Usage)?;
    Ok(!augmentation.mixing().is_empty())
}

/// What a head was fitted to.
pub(super) struct Fit {
    features: Features,
    layers: FittedLayers,
}

/// The layers after the features.
enum FittedLayers {
    Linear,
    /// With the name of the hidden layer.
    Hidden(String),
    Neighbors,
}

/// Fits the head of a run that has not begun, with its checkpoints, `head.csv` and rows of metrics.csv. `None` if `stop` returned true before they were complete.
pub(super) fn fit(
    config: &Config,
    folder: &RunFolder,
    prepared: &mut Prepared,
    training: &mut Training,
    callback: &mut dyn Callback,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Fit>> {
    let options = &config.training;
    let layers = head::layers(&options.head, &options.head_options)?;
    let plain = (layers != HeadLayers::Linear).then(|| prepared.feature_network(config)).transpose()?;
    let network = plain.as_ref().unwrap_or(&prepared.network);
    let layers = match layers {
        HeadLayers::Linear => FittedLayers::Linear,
        HeadLayers::Hidden(_) => FittedLayers::Hidden(network.head_name().to_string()),
        HeadLayers::Neighbors(_) => FittedLayers::Neighbors,
    };
    let subject = Subject::new(prepared, network);
    let Some(features) = Features::of_subject(subject, config, stop)? else { return Ok(None) };
    let mut origin = features.origin.clone();
    let train = if options.head_views > 0 {
        let Some(views) = Features::augmented(prepared, network, config, options.head_views, stop)? else {
            return Ok(None);
        };
        origin.is_cached &= views.origin.is_cached;
        origin.seconds += views.origin.seconds;
        origin.resumed += views.origin.resumed;
        LabeledFeatures { values: views.values, labels: views.labels }
    } else {
        features.select(&prepared.split.train)?
    };
    let task = HeadTask {
        train,
        validation: features.select(&prepared.split.validation)?,
        classes: prepared.network.task().classes,
        class_weights: class_weights(config, prepared),
        smoothing: smoothing(config)?.unwrap_or(0.),
        seed: config.seed,
    };
    let mut attempts = match options.finetune {
        true => Attempts::before_fine_tuning(),
        false => Attempts::default(),
    };
    let fitted = head::fit(&options.head, &options.head_options, &task, &mut attempts)?;
    put(&prepared.network, &layers, &fitted);
    let (best, chosen) = attempts.best().expect("a head was fitted, so an attempt has a finite loss");
    callback.head_fitted(&HeadFit {
        head: &options.head,
        features: [task.train.values.size()[0], task.train.values.size()[1]],
        is_cached: origin.is_cached,
        resumed: origin.resumed,
        seconds: origin.seconds,
        attempts: attempts.all(),
        best,
    })?;
    let fit = Fit { features, layers };
    let all = attempts.all().len() as u32;
    // The attempts are compared by their loss; the best one with the epochs of fine-tuning, by the monitored metric.
    let score = match options.finetune {
        true => options.monitor.score(&evaluations(prepared, &fit, 0)?.validation),
        false => None,
    };
    write(folder, &attempts, options.finetune, score)?;
    let epoch = if options.finetune { 0 } else { best as u32 + 1 };
    let best = Best { epoch, validation_loss: chosen.validation_loss, score };
    training.begin_with_head(&prepared.network, best, (!options.finetune).then_some(all))?;
    Ok(Some(fit))
}

/// The class weights. Balanced sampling shows each class equally often, which weights do, too.
fn class_weights(config: &Config, prepared: &Prepared) -> Option<Vec<f32>> {
    let is_balanced = config.sampling == Sampling::Balanced && config.training.head_views == 0;
    let balanced = || {
        let Prepared { dataset, split, .. } = prepared;
        let labels: Vec<_> = split.train.iter().map(|row| dataset.labels[*row as usize]).collect();
        ClassWeights::Balanced.of(&labels, dataset.classes.len())
    };
    prepared.class_weights.clone().or_else(|| is_balanced.then(balanced).flatten())
}

/// The label smoothing of the loss, if it is cross-entropy.
fn smoothing(config: &Config) -> Result<Option<f64>> {
    let options = &config.training;
    Ok(Objective::new(&options.loss, &options.loss_options, None, Device::Cpu)?.smoothing())
}

/// Puts the tensors of a head into the last layer, and into the hidden layer before it.
fn put(network: &Network, layers: &FittedLayers, fitted: &Tensors) {
    let state = network.state();
    tch::no_grad(|| {
        for (name, tensor) in fitted {
            let (layer, name) = match (layers, name.strip_prefix("hidden.")) {
                (FittedLayers::Hidden(hidden), Some(name)) => (hidden.as_str(), name),
                _ => (network.head_name(), name.as_str()),
            };
            let mut own = state[&format!("{layer}.{name}")].shallow_clone();
            match own.size() == tensor.size() {
                true => own.copy_(tensor),
                // The bank of neighbors has a row for each training example.
                false => own.set_data(&tensor.to_device(own.device())),
            }
        }
    });
}

/// Writes `head.csv` and metrics.csv: the best attempt as epoch 0, with its monitored metric, if training follows, or else all
/// attempts.
fn write(folder: &RunFolder, attempts: &Attempts, is_followed: bool, score: Option<f64>) -> Result<()> {
    let mut rows = csv::Writer::from_writer(Vec::new());
    for attempt in attempts.all() {
        rows.serialize(attempt).expect("an attempt can be written to memory");
    }
    let bytes = rows.into_inner().expect("an attempt can be written to memory");
    atomic::write(&folder.path().join(HEAD_LOG), &bytes)?;
    let path = folder.metrics();
    // Rows of an interrupted fit.
    atomic::write(&path, b"")?;
    let log = MetricsLog::open(&path, 0)?;
    if is_followed {
        let seconds = attempts.all().iter().map(|attempt| attempt.seconds).sum();
        let best = attempts.best().map(|(_, best)| EpochRecord { seconds, score, ..record(0, best) });
        return best.iter().try_for_each(|best| log.append(best));
    }
    (1..).zip(attempts.all()).try_for_each(|(number, attempt)| log.append(&record(number, attempt)))
}

fn record(epoch: u32, attempt: &Attempt) -> EpochRecord {
    EpochRecord {
        epoch,
        train_loss: attempt.train_loss,
        train_accuracy: attempt.train_accuracy,
        validation_loss: attempt.validation_loss,
        validation_accuracy: attempt.validation_accuracy,
        lr: attempt.lr,
        seconds: attempt.seconds,
        score: None,
    }
}

/// Evaluates the head on features, instead of the whole network on the examples.
pub(super) fn evaluations(prepared: &Prepared, fit: &Fit, epoch: u32) -> Result<Evaluations> {
    let network = &prepared.network;
    let state = network.state();
    let layer = |layer: &str, inputs: &Tensor| {
        let [weight, bias] =
            ["weight", "bias"].map(|name| state[&format!("{layer}.{name}")].detach().to_device(Device::Cpu));
        inputs.linear(&weight, Some(&bias))
    };
    let logits = |features: &Tensor| match &fit.layers {
        FittedLayers::Linear => Ok(layer(network.head_name(), features)),
        FittedLayers::Hidden(hidden) => Ok(layer(network.head_name(), &layer(hidden, features).relu())),
        FittedLayers::Neighbors => network.logits_of_features(features),
    };
    let classes = prepared.dataset.classes.len();
    let measure = |rows: &[i64]| -> Result<Evaluation> {
        let LabeledFeatures { values, labels } = fit.features.select(rows)?;
        let feed = MemoryExamples::ready(TensorDataset { inputs: values, labels });
        evaluate(&feed, &prepared.outputs, classes, Keep::Scores, logits)
    };
    let test = &prepared.split.test;
    let test = (!test.is_empty()).then(|| measure(test)).transpose()?;
    let (outputs, validation) = (prepared.outputs.clone(), measure(&prepared.split.validation)?);
    Ok(Evaluations { epoch, outputs, validation, test })
}
