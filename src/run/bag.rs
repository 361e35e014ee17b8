//! Which options a bag has (`--bag`).

use crate::data::format::trained_vocabulary::TrainedVocabulary;
use crate::distributed::World;
use crate::error::{Error, Result};
use crate::loader::augment::Augmentation;
use crate::options::{Config, ModelChoice};

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
        (config.feedback.is_some(), "--feedback needs a single model"),
        (config.init.is_some(), "--init needs a single model, because the weights may come from any fold"),
        (config.pretrained.is_some(), "--pretrained needs a single model"),
        (options.head_only, "--head-only needs a single model"),
        (options.head_epochs > 0, "--head-epochs needs a single model"),
        (!options.freeze.is_empty(), "--freeze needs a single model"),
        (options.layer_decay != 1., "--layer-decay needs a single model"),
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
