//! Which options, weights and examples a bag has (`--bag`).

use std::path::Path;

use crate::data::format::trained_vocabulary::TrainedVocabulary;
use crate::distributed::World;
use crate::error::{Error, Result};
use crate::evaluate::ood::OodScore;
use crate::loader::augment::Augmentation;
use crate::model::{Network, Tensors};
use crate::options::{Config, ModelChoice};
use crate::predict;
use crate::train::Identity;
use crate::train::checkpoint::Checkpoint;

/// The fewest folds: with one, no example would be trained on.
const LEAST: u32 = 2;

/// Rejects options that a bag does not have.
///
/// # Errors
/// Such an option, and a bag of one model.
pub(super) fn check(config: &Config, world: &World) -> Result<()> {
    if config.bag == 0 {
        return Ok(());
    }
    if config.bag < LEAST {
        let problem = "--bag 1 is a single model; use --bag 0 for one, or --bag 5 for five models";
        return Err(Error::Usage(problem.to_string()));
    }
    let options = &config.training;
    let trains_vocabulary = TrainedVocabulary::of(&config.reading)?.is_some();
    let obstacles = [
        (
            trains_vocabulary,
            "a vocabulary that is trained on the texts would be trained on those of all folds",
        ),
        (config.folds.is_some(), "--folds trains separate models; use only one of them"),
        (config.validation_list.is_some(), "--validation-list has no use: each example is in a fold"),
        (config.pretrained.is_some(), "--pretrained needs a single model"),
        (options.head_only, "--head-only needs a single model"),
        (options.head_epochs > 0, "--head-epochs needs a single model"),
        (!options.freeze.is_empty(), "--freeze needs a single model"),
        (options.layer_decay != 1., "--layer-decay needs a single model"),
        (
            config.ood.is_some() && config.ood_score == OodScore::Knn,
            "--ood-score knn needs a single model, because the examples that it is calibrated by are those that it is trained on",
        ),
        (world.size() > 1, "several processes train a single model only"),
        (
            !matches!(ModelChoice::of(&config.model), ModelChoice::Architecture(_)),
            "the model must be an architecture that `cresset models` lists",
        ),
    ];
    match obstacles.into_iter().find(|(stands, _)| *stands) {
        Some((_, problem)) => Err(Error::Usage(format!("--bag {}: {problem}", config.bag))),
        None => Ok(()),
    }
}

/// Rejects examples that a bag cannot take: images that are decoded during training, and mixed ones.
///
/// # Errors
/// Such examples.
pub(super) fn check_examples(config: &Config, is_streamed: bool, augmentation: &Augmentation) -> Result<()> {
    if config.bag == 0 {
        return Ok(());
    }
    let problem = match (is_streamed, augmentation.mixing()) {
        (true, _) => {
            "the images do not fit into memory, and a bag takes its examples from memory; a smaller --image-size helps"
        }
        (false, [_, ..]) => {
            "mixup and cutmix combine examples of different folds; remove them from --augment"
        }
        (false, []) => return Ok(()),
    };
    Err(Error::Usage(format!("--bag {}: {problem}", config.bag)))
}

/// Options that determine the fold of each example, in this order of their importance.
const OF_FOLDS: [&str; 8] =
    ["bag", "seed", "label", "group", "missing", "exclude", "train_list", "test_list"];

/// The entry of an [`Identity`] with the fingerprint of the data.
pub(super) const DATA: &str = "the data's SHA-256";

/// Rejects initial weights that are not those of a bag of the same folds for a bag, whose members must not know the examples that they are
/// validated by, and those of a bag for a single model. `sha256` is that of the data.
///
/// # Errors
/// Such weights, with the first difference.
pub(super) fn check_weights(config: &Config, sha256: &str, file: &Path, weights: &Tensors) -> Result<()> {
    let count = Network::bag_size(weights.keys());
    if config.bag == 0 {
        return match count {
            0 => Ok(()),
            _ => {
                let problem = format!(
                    "it has the weights of a bag of {count} models (--bag), and this run trains a single one; train without --init, or \
                     on the same data with the options of the bag (--config RUN/config.toml)"
                );
                Err(Error::artifact(file, problem))
            }
        };
    }
    let refuse = |reason: String| {
        let single = if count == 0 { ", or a single model (--bag 0)" } else { "" };
        let problem = format!(
            "{reason}, so a model of the bag (--bag {}) may know the examples that it is validated by; train without --init{single}",
            config.bag
        );
        Err(Error::artifact(file, problem))
    };
    if count == 0 {
        return refuse("its weights are not those of a bag".to_string());
    }
    let Some(origin) = origin(file) else {
        return refuse("it does not say which folds its weights come from".to_string());
    };
    if origin.get(DATA).is_none_or(|own| own != sha256) {
        return refuse("its weights come from other data".to_string());
    }
    let options: Identity = config.plan(None).identity;
    match OF_FOLDS.iter().find(|name| origin.get(**name) != options.get(**name)) {
        None => Ok(()),
        Some(name) => {
            let shown =
                |of: &Identity| of.get(*name).map_or("its default".to_string(), |value| value.clone());
            let option = name.replace('_', "-");
            refuse(format!(
                "its weights come from a run with other folds (--{option} was {}, and is {} now)",
                shown(&origin),
                shown(&options)
            ))
        }
    }
}

/// The options and the data of the run that weights come from, if the file is a checkpoint or a model of such a run.
fn origin(file: &Path) -> Option<Identity> {
    if let Ok(checkpoint) = Checkpoint::load(file) {
        return Some(checkpoint.identity);
    }
    let metadata = predict::metadata(file).ok()?;
    let text = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let mut origin: Identity = metadata.config.into_iter().map(|(name, value)| (name, text(value))).collect();
    origin.insert(DATA.to_string(), metadata.data_sha256);
    Some(origin)
}
