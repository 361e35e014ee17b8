//! Pretrained weights by name: models of the Hugging Face hub, weights of torchvision, and local files and folders.
//!
//! [`resolve`] finds the files of a name, after downloading them if necessary, and reads how the weights were trained.

mod config;
mod encoders;
#[cfg(feature = "hub")]
mod hub;
mod registry;
mod source;
mod text;
mod text_config;
mod torchvision;

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
pub use config::PretrainedConfig;
pub use encoders::{ENCODERS, PretrainedEncoder};
pub use registry::{PRETRAINED, PretrainedModel};
pub(crate) use source::is_revision_of;
pub use source::{HUB, Source};
pub use text::PretrainedText;
pub use torchvision::TORCHVISION;

/// The names of the file with the configuration, and of the files with weights, in order of preference.
pub(crate) const CONFIG: &str = "config.json";
pub(crate) const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// Pretrained weights on this machine.
///
/// ```no_run
/// use cresset::model::{pretrained, weights};
///
/// let found = pretrained::resolve("timm/resnet18.a1_in1k", &mut |_| {})?;
/// assert!(found.name.starts_with("hf:timm/resnet18.a1_in1k@"));
/// assert!(weights::read(&found.weights)?.contains_key("conv1.weight"));
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Pretrained {
    /// The name that always means the same weights: `hf:NAME@COMMIT` for a model of the hub, `torchvision/NAME`, or the path.
    pub name: String,
    /// The file with the weights.
    pub weights: PathBuf,
    /// The configuration next to the weights, if there is one.
    pub config: Option<PretrainedConfig>,
    /// The encoder, if the weights are those of a text encoder.
    pub text: Option<PretrainedText>,
}

/// The progress of a download.
///
/// ```
/// use cresset::model::pretrained::Download;
///
/// let show = |download: Download| format!("{}: {} bytes", download.file, download.received);
/// let download = Download { file: "model.safetensors", received: 1024, total: Some(46_807_446) };
/// assert_eq!(show(download), "model.safetensors: 1024 bytes");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Download<'a> {
    /// The name of the file.
    pub file: &'a str,
    /// The bytes on disk, including those of an earlier, interrupted download.
    pub received: u64,
    /// The size of the file in bytes, if it is known.
    pub total: Option<u64>,
}

/// Finds the files of a name. Those of a model of the hub are downloaded into its cache if they are not there; `progress` is called
/// after each part.
///
/// ```
/// use cresset::model::pretrained;
/// # use cresset::model::weights::safetensors;
/// # use std::collections::HashMap;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// # safetensors::write(&folder.join("model.safetensors"), &[("a".to_string(), &tch::Tensor::from(1f32))], HashMap::new())?;
/// std::fs::write(folder.join("config.json"), r#"{ "architecture": "resnet18" }"#).unwrap();
/// let found = pretrained::resolve(folder.to_str().unwrap(), &mut |_| {})?;
/// assert_eq!(found.weights, folder.join("model.safetensors"));
/// assert_eq!(found.config.unwrap().architecture.as_deref(), Some("resnet18"));
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// A name that is neither a path nor a model of the hub, files that are missing or damaged, and failed downloads.
pub fn resolve(name: &str, progress: &mut dyn FnMut(Download)) -> Result<Pretrained> {
    match Source::of(name) {
        Source::Local(path) => local(name, &path),
        #[cfg(feature = "hub")]
        Source::Hub(id) => hub::resolve(id, progress),
        Source::Torchvision(name) => {
            let weights = torchvision::find(name)?;
            let path = torchvision_file(weights.file, progress)?;
            let name = format!("{TORCHVISION}{}", weights.name);
            Ok(Pretrained { name, weights: path, config: Some(weights.config()), text: None })
        }
        #[cfg(not(feature = "hub"))]
        Source::Hub(id) => {
            let _ = progress;
            Err(Error::Usage(format!(
                "`{id}` is a model of the Hugging Face hub, and this program was built without the feature `hub`; download {CONFIG} \
                 and {} into a folder, and pass its path",
                WEIGHTS[0]
            )))
        }
    }
}

/// The path of a file of a model of the hub, in its cache or from the server, and the model with the commit: `NAME@COMMIT`.
///
/// ```no_run
/// let (path, model) = cresset::model::pretrained::hub_file("anna/flowers", "model.pt", &mut |_| {})?;
/// assert!(path.ends_with("model.pt") && model.starts_with("anna/flowers@"));
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// A model that does not exist or does not have the file, an unreachable server, and a build without the feature `hub`.
pub fn hub_file(id: &str, name: &str, progress: &mut dyn FnMut(Download)) -> Result<(PathBuf, String)> {
    #[cfg(feature = "hub")]
    return hub::model_file(id, name, progress);
    #[cfg(not(feature = "hub"))]
    {
        let _ = progress;
        Err(Error::Usage(format!(
            "{HUB}{id} cannot be downloaded, because this program was built without the feature `hub`; download {name} and pass its path"
        )))
    }
}

/// A model of the hub with its current commit: `NAME@COMMIT`. Only its configuration is downloaded.
pub(crate) fn pinned(id: &str) -> Result<String> {
    #[cfg(feature = "hub")]
    return hub::pinned(id);
    #[cfg(not(feature = "hub"))]
    Ok(id.to_string())
}

#[cfg(feature = "hub")]
use hub::torchvision_file;

#[cfg(not(feature = "hub"))]
fn torchvision_file(file: &str, _progress: &mut dyn FnMut(Download)) -> Result<PathBuf> {
    Err(Error::Usage(format!(
        "torchvision's weights cannot be downloaded, because this program was built without the feature `hub`; download {file} and \
         pass its path"
    )))
}

/// The first of these models of the hub that is in the cache, or else the first one on the server. None if the server is not used
/// (`HF_HUB_OFFLINE`) or does not answer within a few seconds.
///
/// ```no_run
/// let found = cresset::model::pretrained::first_available(&["timm/resnet18.a1_in1k"]);
/// assert_eq!(found, Some("timm/resnet18.a1_in1k"));
/// ```
pub fn first_available<'a>(models: &[&'a str]) -> Option<&'a str> {
    #[cfg(feature = "hub")]
    return hub::first_available(models);
    #[cfg(not(feature = "hub"))]
    {
        let _ = models;
        None
    }
}

/// The files of a folder, or a single file of weights.
fn local(name: &str, path: &Path) -> Result<Pretrained> {
    if !path.exists() {
        return Err(Error::artifact(path, "there is no such file or folder of pretrained weights"));
    }
    if !path.is_dir() {
        let (name, weights) = (name.to_string(), path.to_path_buf());
        return Ok(Pretrained { name, weights, config: None, text: None });
    }
    let weights = WEIGHTS.iter().map(|name| path.join(name)).find(|file| file.is_file());
    let Some(weights) = weights else {
        let problem = format!("the folder has no {}", WEIGHTS.join(" or "));
        return Err(Error::artifact(path, problem));
    };
    let mut fetch =
        |name: &str| -> Result<Option<PathBuf>> { Ok(Some(path.join(name)).filter(|file| file.is_file())) };
    let config = fetch(CONFIG)?;
    let text = config.as_ref().map(|config| text::find(config, &weights, &mut fetch)).transpose()?.flatten();
    let config = config.map(|config| PretrainedConfig::read(&config)).transpose()?;
    Ok(Pretrained { name: name.to_string(), weights, config, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_needs_weights_and_a_file_needs_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let find = |path: &Path| resolve(path.to_str().unwrap(), &mut |_| {});
        let says = |path: &Path| find(path).unwrap_err().to_string();
        assert!(says(folder.path()).contains("no model.safetensors or pytorch_model.bin"));
        let (old, new) = (folder.path().join(WEIGHTS[1]), folder.path().join(WEIGHTS[0]));
        std::fs::write(&old, "").unwrap();
        assert_eq!(find(folder.path()).unwrap().weights, old);
        std::fs::write(&new, "").unwrap();
        let found = find(folder.path()).unwrap();
        assert_eq!((found.weights, found.config), (new.clone(), None));
        assert_eq!(find(&new).unwrap().weights, new);
        std::fs::write(folder.path().join(CONFIG), "{ \"architecture\" 1 }").unwrap();
        assert!(says(folder.path()).contains("config.json: the configuration is not valid JSON"));
        assert!(says(&folder.path().join("none.pth")).contains("no such file or folder"));
    }
}
