//! The options that pretrained weights determine.

use super::{RunFolder, text_encoder};
use crate::data::options::ImageSize;
use crate::distributed::World;
use crate::error::{Error, Result};
use crate::model::pretrained::{self, Download, HUB, PretrainedConfig};
use crate::options::Config;

/// Finds the pretrained weights of `config`, after downloading them if necessary, and returns the options with their exact revision.
/// The model, the size, resizing and normalization of images are those of the weights where `config` has the defaults. Options without
/// pretrained weights are unchanged. `progress` is called after each part of a download.
///
/// [`start`](super::start) does the same without progress.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::run;
/// # use cresset::model::weights::safetensors;
/// # use std::collections::HashMap;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// # safetensors::write(&folder.join("model.safetensors"), &[("a".to_string(), &tch::Tensor::from(1f32))], HashMap::new())?;
/// # let text = r#"{ "architecture": "resnet18", "input_size": [3, 96, 96], "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2] }"#;
/// # std::fs::write(folder.join("config.json"), text).unwrap();
/// let config = Config { pretrained: Some(folder.to_str().unwrap().into()), ..Config::default() };
/// let config = run::resolve_pretrained(&config, &mut |download| println!("{}", download.received))?;
/// assert_eq!(config.model, "resnet18");
/// assert!(config.to_toml().contains("image_size = \"96x96\""));
/// assert_eq!(config.normalization.unwrap().to_string(), "0.5,0.5,0.5/0.2,0.2,0.2");
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// Weights that cannot be found or downloaded, weights of an unknown architecture, and `init` besides `pretrained`.
pub fn resolve_pretrained(config: &Config, progress: &mut dyn FnMut(Download)) -> Result<Config> {
    let config = &with_hub_files(config, progress)?;
    let Some(name) = &config.pretrained else { return Ok(config.clone()) };
    if config.init.is_some() {
        let problem = "--pretrained and --init both initialize the weights; use only one of them";
        return Err(Error::Usage(problem.to_string()));
    }
    let found = pretrained::resolve(name, progress)?;
    let mut config = Config { pretrained: Some(found.name), ..config.clone() };
    if let Some(text) = &found.text {
        return text_encoder::options(config, text);
    }
    let Some(described) = found.config else { return Ok(config) };
    if config.model == Config::default().model
        && let Some(model) = described.model()?
    {
        config.model = model.to_string();
        if config.model_options.is_empty() {
            config.model_options = described.model_options.clone().unwrap_or_default();
        }
    }
    if let (ImageSize::Auto, Some([_, height, width])) = (config.reading.image_size, described.input_size) {
        let size = format!("{height}x{width}").parse();
        config.reading.image_size = size.map_err(|problem| {
            let weights = name.as_str();
            Error::Usage(format!(
                "the image size of `{weights}` is {height}x{width}: {problem}; set --image-size"
            ))
        })?;
    }
    config.reading.interpolation = config.reading.interpolation.or(described.interpolation);
    config.reading.center_crop = config.reading.center_crop.or(described.center_crop);
    config.normalization = config.normalization.or(described.normalization);
    Ok(config)
}

/// As [`resolve_pretrained`], on all ranks of `world` with the revision that rank 0 finds. `progress` is only called on rank 0.
///
/// ```
/// use cresset::distributed::World;
/// use cresset::prelude::*;
/// use cresset::run;
///
/// let config = run::resolve_pretrained_on(&Config::default(), &World::alone(), &mut |_| {})?;
/// assert_eq!(config, Config::default());
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// Those of [`resolve_pretrained`].
pub fn resolve_pretrained_on(
    config: &Config,
    world: &World,
    progress: &mut dyn FnMut(Download),
) -> Result<Config> {
    let config = &hub_files_on(config, world, progress)?;
    if config.pretrained.is_none() {
        return Ok(config.clone());
    }
    let name = world
        .broadcast_result(|| Ok(resolve_pretrained(config, progress)?.pretrained.unwrap_or_default()))?;
    resolve_pretrained(&Config { pretrained: Some(name), ..config.clone() }, &mut |_| {})
}

/// The file of a model on the hub that `--model` means.
const MODEL: &str = "model.pt";

/// Downloads the files of the hub that `model` and `init` name by `hf:USER/NAME`, and returns the options with their paths in the
/// cache, which contain the commit.
fn with_hub_files(config: &Config, progress: &mut dyn FnMut(Download)) -> Result<Config> {
    let mut config = config.clone();
    if let Some(id) = config.model.strip_prefix(HUB) {
        // A model of an architecture continues from its weights; any other is TorchScript.
        let described = pretrained::hub_file(id, pretrained::CONFIG, progress).ok();
        let described = described.map(|(path, _)| PretrainedConfig::read(&path)).transpose()?;
        let architecture = described.as_ref().and_then(|described| described.model().ok()?);
        match (architecture, &config.init) {
            (Some(architecture), None) => {
                config.init = Some(pretrained::hub_file(id, pretrained::WEIGHTS[0], progress)?.0);
                config.model = architecture.to_string();
                config.model_options =
                    described.and_then(|described| described.model_options).unwrap_or_default();
            }
            _ => {
                let (path, _) = pretrained::hub_file(id, MODEL, progress)?;
                config.model = path.to_string_lossy().into_owned();
            }
        }
    }
    if let Some(id) = config.init.as_ref().and_then(|init| init.to_str()?.strip_prefix(HUB)) {
        config.init = Some(pretrained::hub_file(id, pretrained::WEIGHTS[0], progress)?.0);
    }
    Ok(config)
}

/// As [`with_hub_files`], on all ranks of `world` with the commits that rank 0 finds.
fn hub_files_on(config: &Config, world: &World, progress: &mut dyn FnMut(Download)) -> Result<Config> {
    let pinned = |name: &str| match name.strip_prefix(HUB) {
        Some(id) => world.broadcast_result(|| Ok(format!("{HUB}{}", pretrained::pinned(id)?))),
        None => Ok(name.to_string()),
    };
    let model = pinned(&config.model)?;
    let init = match config.init.as_ref().and_then(|init| init.to_str()) {
        Some(init) => Some(pinned(init)?.into()),
        None => config.init.clone(),
    };
    let config = Config { model, init, ..config.clone() };
    match world.is_rank_zero() {
        true => with_hub_files(&config, progress),
        false => with_hub_files(&config, &mut |_| {}),
    }
}

/// The options with those that the weights determined at the start of the run, for a run that resumes with its first options.
/// Nothing is downloaded.
pub(super) fn with_stored_pretrained(config: &Config, folder: &RunFolder) -> Result<Config> {
    let Some(name) = &config.pretrained else { return Ok(config.clone()) };
    let begun = Config::read(&folder.config_file())?;
    // Otherwise the weights are others, which resuming refuses.
    if !begun.pretrained.as_ref().is_some_and(|known| pretrained::is_revision_of(known, name)) {
        return Ok(config.clone());
    }
    let mut config = Config { pretrained: begun.pretrained, ..config.clone() };
    if config.model == Config::default().model {
        config.model = begun.model;
    }
    if config.model_options.is_empty() {
        config.model_options = begun.model_options;
    }
    config.reading.tokenizer = config.reading.tokenizer.or(begun.reading.tokenizer);
    config.reading.max_length = config.reading.max_length.or(begun.reading.max_length);
    if config.reading.image_size == ImageSize::Auto {
        config.reading.image_size = begun.reading.image_size;
    }
    config.reading.interpolation = config.reading.interpolation.or(begun.reading.interpolation);
    config.reading.center_crop = config.reading.center_crop.or(begun.reading.center_crop);
    config.normalization = config.normalization.or(begun.normalization);
    Ok(config)
}
