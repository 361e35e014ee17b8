//! Applies the recipe of a run to the options that were not given.

use super::RunFolder;
use super::resolved::SourceData;
use crate::data::image::to_channels_first;
use crate::data::{Dataset, Inputs, Split, Subset, TaskKind};
use crate::distributed::World;
use crate::error::{Error, Result};
use crate::loader::EncodedExamples;
use crate::model::pretrained::{self, Source};
use crate::options::{Config, ModelChoice, names};
use crate::recipe::{AUTO, BUILT_IN, Backbone, Choice, Facts, Head, Kind, Mirror, NONE, Recipe, Start};
use crate::train::checkpoint::Checkpoint;
use cresset_options::OptionSet;

/// The option that the recipe is.
const RECIPE: &str = "recipe";

/// The built-in data whose default is the textbook example.
const TEXTBOOK: &str = "digits";

/// Sets the options that were not given ([`Config::is_given`]) as the recipe of `config` has them. In the returned options, `recipe`
/// is `none`, so that repeating or resuming the run changes nothing, and `provenance` has the choices. The automatic recipe reads
/// the data. It leaves the built-in data `digits` alone, unless `recipe` itself was given.
///
/// [`start`](super::start) and [`Trainer`](super::Trainer) do the same.
///
/// ```
/// use cresset::distributed::World;
/// use cresset::prelude::*;
/// use cresset::run;
///
/// let config = Config { data: "iris".into(), epochs: 3, ..Config::default() };
/// let config = run::resolve_recipe(&config, &World::alone())?;
/// assert_eq!((config.epochs, config.optimizer.as_str()), (3, "adamw"));
/// assert!(config.provenance.recipe.unwrap().title.starts_with("auto: table (150 rows"));
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// Data that cannot be read.
pub fn resolve_recipe(config: &Config, world: &World) -> Result<Config> {
    Ok(apply_recipe(config, world)?.0)
}

/// Like [`resolve_recipe`]; also returns the data if this rank has read it.
pub(super) fn apply_recipe(config: &Config, world: &World) -> Result<(Config, Option<SourceData>)> {
    let mut data = None;
    // Rank 0 decides for all, also whether there is a recipe: ranks whose options differ are told so when the run starts.
    let chosen = world.broadcast_result(|| {
        super::download_data(&config.data, &mut |_| {})?;
        let recipe = is_open(config).then(|| choose(config, world, &mut data)).transpose()?;
        Ok(serde_json::to_string(&recipe).expect("a recipe can be serialized"))
    })?;
    let recipe: Option<Recipe> = serde_json::from_str(&chosen).expect("rank 0 sent a recipe");
    let Some(recipe) = recipe else {
        return Ok((Config { recipe: NONE.to_string(), ..config.clone() }, data));
    };
    let given = |name: &str| is_fixed(config, name).then(|| config.text(name).unwrap_or_default());
    let recipe = recipe.without(&given);
    let mut config = Config { recipe: NONE.to_string(), ..config.clone() };
    for (name, value) in recipe.settings() {
        config.set(name, value).map_err(Error::Usage)?;
    }
    config.provenance.recipe = Some(recipe);
    Ok((config, data))
}

/// The options with those that the recipe set at the start of the run, for a run that resumes with its first options.
pub(super) fn with_stored_recipe(config: &Config, folder: &RunFolder) -> Result<Config> {
    if !is_open(config) {
        return Ok(Config { recipe: NONE.to_string(), ..config.clone() });
    }
    let mut stored = Config::read(&folder.config_file())?;
    for name in names().filter(|name| *name != RECIPE && config.is_given(name)) {
        stored.set(name, &config.text(name).unwrap_or_default()).map_err(Error::Usage)?;
    }
    Ok(Config { recipe: NONE.to_string(), ..stored })
}

/// Options whose value belongs to that of another option.
const OPTIONS_OF: [(&str, &str); 4] = [
    ("model", "model_options"),
    ("optimizer", "optimizer_options"),
    ("schedule", "schedule_options"),
    ("loss", "loss_options"),
];

/// Whether an option was given, or options of its value, which would not fit another one. Those of a built-in recipe are known to
/// the user.
fn is_fixed(config: &Config, name: &str) -> bool {
    // There is a single model of recommendations, which the options belong to.
    let is_free =
        |option: &str| config.recipe == AUTO && (option != "model" || config.reading.user.is_none());
    let own = OPTIONS_OF.iter().find(|(option, _)| *option == name).filter(|(option, _)| is_free(option));
    config.is_given(name) || own.is_some_and(|(_, options)| config.is_given(options))
}

/// Whether the options have a recipe that has not been applied.
fn is_open(config: &Config) -> bool {
    match config.recipe.as_str() {
        NONE => false,
        AUTO => config.data != TEXTBOOK || config.provenance.given.contains(RECIPE),
        _ => true,
    }
}

/// The recipe of the options. `data` becomes the data if it was read.
fn choose(config: &Config, world: &World, data: &mut Option<SourceData>) -> Result<Recipe> {
    if config.recipe == AUTO {
        let mut config = with_local_encoder(config)?;
        let weights = model_of_weights(&config);
        let bag = weights.iter().flat_map(|choice| &choice.settings).find(|(name, _)| name == "bag");
        if let (Some((name, members)), false) = (bag, config.is_given("bag")) {
            config.set(name, members).map_err(Error::Usage)?;
        }
        let read = data.insert(SourceData::read(&config)?);
        let mut recipe = Recipe::auto(&facts(&config, &read.dataset, world)?);
        recipe.choices.splice(..0, weights);
        return Ok(recipe);
    }
    let recipe = BUILT_IN.iter().find(|recipe| recipe.name == config.recipe);
    let recipe = recipe.ok_or_else(|| Error::Usage(format!("unknown recipe `{}`", config.recipe)))?;
    let choice = Choice { settings: recipe.settings(), reason: "as in the recipe".to_string() };
    Ok(Recipe { title: recipe.name.to_string(), choices: vec![choice] })
}

/// The model of the checkpoint that `--init` names, if it is one and no model was given.
fn model_of_weights(config: &Config) -> Option<Choice> {
    let file = config.init.as_ref().filter(|_| !is_fixed(config, "model"))?;
    let checkpoint = Checkpoint::load(file).ok()?;
    let own = |name: &str| checkpoint.identity.get(name).cloned().unwrap_or_default();
    let known = matches!(ModelChoice::of(&own("model")), ModelChoice::Architecture(name) if !name.is_empty());
    let choice = Choice::new(format!("the model of {}", file.display()));
    if !known {
        return None;
    }
    let choice = choice.set("model", own("model")).set("model_options", own("model_options"));
    // The weights of a model of tables belong to the values that it was trained on.
    let choice = match own("normalization").as_str() {
        "" => choice,
        normalization => choice.set("normalization", normalization),
    };
    Some(match own("bag").as_str() {
        "" => choice,
        bag => choice.set("bag", bag),
    })
}

/// Options that `--head-only` does not support, or that train the last layer first in another way.
const WITHOUT_HEAD: [&str; 8] =
    ["lora", "head_epochs", "freeze", "loss", "feedback", "cuda_graph", "folds", "fold"];

/// Whether the given options have or allow `--head-only`.
fn head(config: &Config, world: &World) -> Head {
    let mixes = ["mixup", "cutmix"].iter().any(|name| config.augment.contains(name));
    match (config.training.head_only, config.training.finetune) {
        (true, false) => Head::Only,
        (true, true) => Head::First,
        _ if mixes || !world.is_alone() || config.is_given("head_only") => Head::Excluded,
        _ if WITHOUT_HEAD.iter().any(|name| config.is_given(name)) => Head::Excluded,
        _ => Head::Open,
    }
}

/// The share of rare words among those of texts that are hashed.
fn rare_words(config: &Config, dataset: &Dataset, train: &[usize]) -> f64 {
    let has_vocabulary = config.pretrained.is_some()
        || config.reading.tokenizer.is_some()
        || config.reading.vocab_size.is_some();
    match &dataset.texts {
        Some(texts) if !has_vocabulary => texts.rare_words(train),
        _ => 0.,
    }
}

/// Options that a bag does not have, or that choose the validation set.
const WITHOUT_BAG: [&str; 19] = [
    "bag",
    "folds",
    "fold",
    "validation",
    "validation_list",
    "split",
    "init",
    "pretrained",
    "teacher",
    "unlabelled",
    "head_only",
    "head_epochs",
    "freeze",
    "layer_decay",
    "cuda_graph",
    "ood_score",
    "tokenizer",
    "vocab_size",
    "fresh_head",
];

/// Whether the given options and the data allow a bag.
fn can_bag(config: &Config, dataset: &Dataset, world: &World) -> bool {
    let has_parts = dataset.groups.is_some()
        || dataset.portions.as_ref().is_some_and(|portions| portions.contains(&Subset::Validation));
    let is_in_memory = !matches!(dataset.inputs, Inputs::Stored(_));
    let is_architecture = matches!(ModelChoice::of(&config.model), ModelChoice::Architecture(_));
    let is_excluded = WITHOUT_BAG.iter().any(|name| config.is_given(name));
    world.is_alone() && is_architecture && is_in_memory && !has_parts && !is_excluded
}

fn facts(config: &Config, dataset: &Dataset, world: &World) -> Result<Facts> {
    let split = quietly(|| Ok::<_, Error>(Split::new(dataset, &config.split_plan()?)?))?;
    let train: Vec<usize> = split.train.iter().map(|row| *row as usize).collect();
    let is_on_gpu = quietly(|| config.device.resolve())?.is_cuda();
    let facts = Facts {
        examples: split.train.len(),
        validation: split.validation.len(),
        is_text: dataset.is_text(),
        rare_words: rare_words(config, dataset, &train),
        can_augment: dataset.is_image_data(),
        counts: dataset.label_counts_of(&train),
        task: dataset.task(),
        is_on_gpu,
        has_fast_bf16: is_on_gpu || cpu_has_bf16(),
        cores: config.threads.count().into(),
        start: start(config),
        model: is_fixed(config, "model").then(|| config.model.clone()),
        has_adapters: config.lora.is_some(),
        can_bag: can_bag(config, dataset, world),
        head: head_of(dataset, config, world),
        ..Facts::of_shape(dataset.shape.clone())
    };
    Ok(match Kind::of(&facts).name {
        "small images" if facts.can_augment && !config.is_given("augment") && !facts.counts.is_empty() => {
            Facts { mirror: mirror(dataset, &split, config), ..facts }
        }
        "photographs" if facts.start == Start::Scratch && facts.model.is_none() => {
            Facts { backbone: backbone(&facts), ..facts }
        }
        _ => facts,
    })
}

/// Whether the last layer is fitted to features of these examples.
fn head_of(dataset: &Dataset, config: &Config, world: &World) -> Head {
    let has_features = dataset.is_image_data() || (dataset.is_text() && config.pretrained.is_some());
    // Features are kept in memory.
    let is_streamed = matches!(dataset.inputs, Inputs::Stored(_));
    if !has_features || is_streamed || dataset.task() != TaskKind::Classification {
        return Head::Excluded;
    }
    match head(config, world) {
        Head::Open if dataset.is_text() && config.training.finetune => Head::First,
        head => head,
    }
}

/// The options with the tokenizer of a text encoder in a local folder, so that texts are counted in its tokens.
fn with_local_encoder(config: &Config) -> Result<Config> {
    let is_local = |name: &String| matches!(Source::of(name), Source::Local(path) if path.is_dir());
    match config.pretrained.as_ref().is_some_and(is_local) {
        true => {
            let resolved = super::resolve_pretrained(config, &mut |_| {})?;
            Ok(Config { reading: resolved.reading, ..config.clone() })
        }
        false => Ok(config.clone()),
    }
}

/// Whether the CPU multiplies matrices in bfloat16.
fn cpu_has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Runs `check` without its warnings, which come again when the run starts.
fn quietly<T>(check: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), check)
}

fn start(config: &Config) -> Start {
    match (ModelChoice::of(&config.model), &config.pretrained, &config.init) {
        (ModelChoice::Own(_), ..) => Start::Custom,
        (_, Some(_), _) => Start::Pretrained,
        (ModelChoice::File(_), ..) | (.., Some(_)) => Start::Weights,
        _ => Start::Scratch,
    }
}

/// The first backbone that is in the cache of the hub, or else on its server.
fn backbone(facts: &Facts) -> Backbone {
    if facts.shape.image().is_none_or(|(channels, ..)| ![1, 3].contains(&channels)) {
        return Backbone::Unavailable("pretrained weights are for grayscale and color images");
    }
    match pretrained::first_available(Backbone::preferred(facts.is_on_gpu)) {
        Some(name) => Backbone::Available(name),
        None => Backbone::Unavailable(
            "no pretrained weights are in the cache, and the model hub cannot be reached",
        ),
    }
}

/// Number of training images that are compared with their mirror images.
const MIRRORED: usize = 2_000;

/// Compares an evenly spaced sample of the training images with their mirror images.
fn mirror(dataset: &Dataset, split: &Split, config: &Config) -> Option<Mirror> {
    let count = split.train.len().min(MIRRORED);
    let rows: Vec<i64> = (0..count).map(|index| split.train[index * split.train.len() / count]).collect();
    let (channels, height, width) = dataset.shape.image()?;
    let shape = (channels as usize, height as usize, width as usize);
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    let strata = dataset.strata();
    let mut add = |row: i64, image: &mut dyn Iterator<Item = f32>| {
        values.extend(image);
        labels.push(strata.of_example[row as usize] as usize);
    };
    let size = shape.0 * shape.1 * shape.2;
    let of = |row: i64| row as usize * size..(row as usize + 1) * size;
    match &dataset.inputs {
        Inputs::Floats(all) => rows.iter().for_each(|row| add(*row, &mut all[of(*row)].iter().copied())),
        Inputs::Bytes(all) => {
            rows.iter().for_each(|row| add(*row, &mut all[of(*row)].iter().map(|byte| f32::from(*byte))));
        }
        // A table has no images.
        Inputs::Stored(_) => return None,
        Inputs::Images(_) => {
            let threads = config.threads.count().into();
            let images = EncodedExamples::of(dataset, threads, config.reading.max_bad_share)?;
            for (row, pixels) in rows.iter().zip(images.center_crops(&rows)) {
                // Unreadable images are reported when the run starts.
                let Ok(pixels) = pixels else { continue };
                let mut bytes = Vec::new();
                to_channels_first(&pixels, shape.0, &mut bytes);
                add(*row, &mut bytes.iter().map(|byte| f32::from(*byte)));
            }
        }
    }
    Mirror::of(&values, &labels, strata.count, shape)
}
