//! Publishes the model of a run on the Hugging Face hub.

use std::fs;
use std::path::Path;

use cresset_hub::{Hub, ModelId, Progress, Pushed, Settings, Upload};
use serde_json::{Value, json};

use super::card::Card;
use crate::error::{Error, Result, catch_panics};
use crate::export::{EXPORT_FORMATS, ExportFormat, Metadata};
use crate::model::preprocessing::Preprocessing;
use crate::model::pretrained::{Download, HUB};
use crate::predict::exported;
use crate::run::RunFolder;

/// The names of the files that are written for the hub.
const CARD: &str = "README.md";
const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";

/// Where a model is published.
///
/// ```
/// use cresset::report::Repository;
///
/// let repository: Repository = "hf:anna/flowers".parse()?;
/// assert_eq!(repository.to_string(), "hf:anna/flowers");
/// assert!("flowers".parse::<Repository>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository(ModelId);

impl std::str::FromStr for Repository {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let id = text.strip_prefix(HUB).filter(|id| id.contains('/'));
        let id = id.ok_or_else(|| format!("expected {HUB}USER/NAME, a model of the Hugging Face hub"))?;
        Ok(Repository(id.parse()?))
    }
}

impl std::fmt::Display for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{HUB}{}", self.0.name())
    }
}

/// How a model is published.
///
/// ```
/// use cresset::report::PushOptions;
///
/// let options = PushOptions { is_private: true, ..PushOptions::default() };
/// assert_eq!(options.message, "Upload the model");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushOptions {
    /// The message of the commit.
    pub message: String,
    /// Whether the model is private if it does not exist yet.
    pub is_private: bool,
}

impl Default for PushOptions {
    fn default() -> Self {
        PushOptions { message: "Upload the model".to_string(), is_private: false }
    }
}

/// Uploads the model of a run in one commit: its card as `README.md`, the weights as `model.safetensors`, `config.json`, and the exported
/// model files in the run folder. Returns the URL of the model and the commit.
///
/// ```no_run
/// use cresset::data::GroupingOptions;
/// use cresset::report::card::{About, Card};
/// use cresset::report::{PushOptions, push};
/// use cresset::run::RunFolder;
/// use tch::Device;
///
/// let run = RunFolder::open("runs/mine".as_ref())?;
/// let card = Card::of(&run, About::default(), &GroupingOptions::default(), Device::Cpu)?;
/// let (url, commit) =
///     push(&run, &card, &"hf:anna/flowers".parse().unwrap(), &PushOptions::default(), &mut |_| {})?;
/// println!("{url}/tree/{commit}");
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// A run without a model, a missing access token or one without write access, and an unreachable server.
pub fn push(
    run: &RunFolder,
    card: &Card,
    to: &Repository,
    options: &PushOptions,
    progress: &mut dyn FnMut(Download),
) -> Result<(String, String)> {
    let folder = tempfile::tempdir().map_err(Error::io("create a folder in", &std::env::temp_dir()))?;
    let files = files(run, card, folder.path())?;
    let mut report =
        |Progress { file, received, total }: Progress| progress(Download { file, received, total });
    let hub = Hub::new(Settings::from_environment()?)?;
    let Pushed { url, commit } =
        hub.push(&to.0, &files, &options.message, options.is_private, &mut report)?;
    Ok((url, commit))
}

/// The files of the model; those that the run does not have are written to `folder`.
fn files(run: &RunFolder, card: &Card, folder: &Path) -> Result<Vec<Upload>> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(Error::io("write", &path))?;
        Ok::<_, Error>(Upload { name: name.to_string(), path })
    };
    let config = serde_json::to_string_pretty(&config_of(&card.metadata)).expect("a configuration is JSON");
    let mut files = vec![write(CARD, &card.to_markdown())?, write(CONFIG, &(config + "\n"))?];
    let weights = folder.join(WEIGHTS);
    let exported = exported(&run.model())?;
    catch_panics(|| (ExportFormat::named("safetensors")?.write)(&exported, &weights))?;
    files.push(Upload { name: WEIGHTS.to_string(), path: weights });
    for format in EXPORT_FORMATS {
        let name = format!("model.{}", format.extension);
        let path = run.path().join(&name);
        if path.is_file() && files.iter().all(|file| file.name != name) {
            files.push(Upload { name, path });
        }
    }
    Ok(files)
}

/// The configuration in the form of timm, which `--pretrained` reads, with the names of the classes.
fn config_of(metadata: &Metadata) -> Value {
    let config = |name: &str| metadata.config.get(name).cloned().unwrap_or_default();
    let mut trained = json!({ "num_classes": metadata.classes.len() });
    if let Some((channels, height, width)) = metadata.input.shape.image() {
        trained["input_size"] = json!([channels, height, width]);
        trained["interpolation"] = json!(metadata.input.decoding.interpolation);
        trained["crop_pct"] = json!(metadata.input.decoding.center_crop);
        if let Some(range) = metadata.input.value_range {
            let Preprocessing { offset, scale, .. } = &metadata.preprocessing;
            let width = f64::from(range.max) - f64::from(range.min);
            let channels = channels as usize;
            let of_channels = |values: Vec<f64>| match values[..] {
                [one] => vec![one; channels],
                _ => values,
            };
            let mean =
                offset.iter().map(|offset| (f64::from(*offset) - f64::from(range.min)) / width).collect();
            trained["mean"] = json!(of_channels(mean));
            trained["std"] =
                json!(of_channels(scale.iter().map(|scale| f64::from(*scale) / width).collect()));
        }
    }
    json!({
        "library_name": "cresset",
        "architecture": config("model"),
        "model_options": config("model_options"),
        "num_classes": metadata.classes.len(),
        "label_names": metadata.classes,
        "pretrained_cfg": trained,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::pretrained::PretrainedConfig;
    use crate::options::Config;
    use crate::run::Trainer;

    #[test]
    fn the_configuration_says_how_the_model_was_trained() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let config = Config { epochs: 1, model: "cnn".into(), ..Config::default() };
        let fitted = Trainer::new("digits").options(config).out(&out).fit().unwrap();
        let metadata = fitted.classifier().unwrap().metadata().clone();
        let path = folder.path().join(CONFIG);
        fs::write(&path, config_of(&metadata).to_string()).unwrap();
        let read = PretrainedConfig::read(&path).unwrap();
        assert_eq!((read.model().unwrap(), read.classes), (Some("cnn"), Some(10)));
        assert_eq!((read.input_size, read.center_crop), (Some([1, 8, 8]), Some(1.)));
        assert_eq!(read.normalization.unwrap().to_string(), "0/1");
    }
}
