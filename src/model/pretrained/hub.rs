//! Downloaded files: models of the Hugging Face hub, and weights of torchvision.

use std::path::PathBuf;

use cresset_hub::{Hub, ModelId, Progress, Settings};

use super::{CONFIG, Download, HUB, PRETRAINED, Pretrained, PretrainedConfig, WEIGHTS, text};
use crate::error::{Error, Result, did_you_mean};

/// Finds the files of a model, in the cache or on the server. All are of the same commit.
pub fn resolve(id: &str, progress: &mut dyn FnMut(Download)) -> Result<Pretrained> {
    let model: ModelId = id.parse().map_err(|problem| {
        Error::Usage(format!("`{id}` is no model of the Hugging Face hub and no local path: {problem}"))
    })?;
    files(&model, progress).map_err(|error| match error {
        Error::Usage(problem) => {
            let known = PRETRAINED.iter().map(|known| known.name).filter(|known| *known != model.name());
            let hint = did_you_mean(model.name(), known).unwrap_or_default();
            Error::Usage(format!("{problem}{hint}"))
        }
        other => other,
    })
}

/// A model with its current commit: `NAME@COMMIT`.
///
/// # Errors
/// A model that does not exist, and an unreachable server.
pub fn pinned(id: &str) -> Result<String> {
    let model = named(id)?;
    let found = Hub::new(Settings::from_environment()?)?.file(&model, CONFIG, &mut |_| {})?;
    Ok(model.at(&found.commit).to_string())
}

fn named(id: &str) -> Result<ModelId> {
    id.parse()
        .map_err(|problem| Error::Usage(format!("{HUB}{id} is no model of the Hugging Face hub: {problem}")))
}

/// The path of a file of a model, in the cache or from the server, and the model with the commit: `NAME@COMMIT`.
///
/// # Errors
/// A model that does not exist or does not have the file, and an unreachable server.
pub fn model_file(id: &str, name: &str, progress: &mut dyn FnMut(Download)) -> Result<(PathBuf, String)> {
    let model = named(id)?;
    let mut report =
        |Progress { file, received, total }: Progress| progress(Download { file, received, total });
    let found = Hub::new(Settings::from_environment()?)?.file(&model, name, &mut report)?;
    let path = found.path.ok_or_else(|| Error::Usage(format!("the model `{model}` has no file {name}")))?;
    Ok((path, model.at(&found.commit).to_string()))
}

/// The path of a file of torchvision's weights, in the cache or from the server.
pub fn torchvision_file(name: &str, progress: &mut dyn FnMut(Download)) -> Result<PathBuf> {
    let mut report =
        |Progress { file, received, total }: Progress| progress(Download { file, received, total });
    Ok(Hub::new(Settings::from_environment()?)?.torchvision_file(name, &mut report)?)
}

/// The first of these models that is in the cache, or else the first one that the server has.
pub fn first_available<'a>(models: &[&'a str]) -> Option<&'a str> {
    let hub = Hub::impatient(Settings::from_environment().ok()?).ok()?;
    let id = |model: &str| model.parse::<ModelId>().expect("the name is one of a list in the program");
    let is_cached = |model: &&str| {
        hub.is_cached(&id(model), CONFIG) && WEIGHTS.iter().any(|file| hub.is_cached(&id(model), file))
    };
    if let Some(cached) = models.iter().copied().find(is_cached) {
        return Some(cached);
    }
    for model in models {
        match hub.has(&id(model), CONFIG) {
            Ok(true) => return Some(model),
            Ok(false) => {}
            // The next request would fail in the same way.
            Err(_) => return None,
        }
    }
    None
}

fn files(model: &ModelId, progress: &mut dyn FnMut(Download)) -> Result<Pretrained> {
    let hub = Hub::new(Settings::from_environment()?)?;
    let mut report =
        |Progress { file, received, total }: Progress| progress(Download { file, received, total });
    let config = hub.file(model, CONFIG, &mut report)?;
    let model = model.at(&config.commit);
    let name = format!("{HUB}{model}");
    for file in WEIGHTS {
        if let Some(weights) = hub.file(&model, file, &mut report)?.path {
            let mut fetch =
                |file: &str| -> Result<Option<PathBuf>> { Ok(hub.file(&model, file, &mut report)?.path) };
            let text = config.path.as_ref().map(|config| text::find(config, &weights, &mut fetch));
            let text = text.transpose()?.flatten();
            let config = config.path.as_deref().map(PretrainedConfig::read).transpose()?;
            return Ok(Pretrained { name, weights, config, text });
        }
    }
    Err(Error::Usage(format!(
        "the model `{}` has no {}; only weights in these files can be loaded",
        model.name(),
        WEIGHTS.join(" or ")
    )))
}
