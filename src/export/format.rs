//! Export formats.

use std::path::{Path, PathBuf};

use cresset_bridge::script::Module;
use tch::{Device, Tensor};

use super::{Metadata, Variants, Verification, onnx, pt2, pth, safetensors, torchscript};
use crate::data::InputShape;
use crate::error::{Error, Result, did_you_mean, quoted};
use crate::model::script;

/// An export format.
///
/// To add a format, create a file in this folder with a constant of this type and add it to [`EXPORT_FORMATS`].
///
/// ```
/// use cresset::export::ExportFormat;
/// use cresset::prelude::*;
/// use std::path::Path;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { recipe: "none".into(), epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let exported = fitted.classifier()?.into_exported()?;
/// let path = out.join("model.onnx");
/// (ExportFormat::of_file(&path).write)(&exported, &path)?;
/// assert!(path.is_file());
/// assert_eq!(ExportFormat::named("safetensors")?.extension, "safetensors");
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct ExportFormat {
    /// The name for `--format`.
    pub name: &'static str,
    /// A one-line description.
    pub summary: &'static str,
    /// The file name extension, without the dot.
    pub extension: &'static str,
    /// The supported variants.
    pub variants: Variants,
    /// Writes the model to a path.
    pub write: fn(&ExportedModel, &Path) -> Result<()>,
}

/// All formats; the first is the default.
///
/// ```
/// use cresset::export::EXPORT_FORMATS;
///
/// let names: Vec<&str> = EXPORT_FORMATS.iter().map(|format| format.name).collect();
/// assert_eq!(names, ["torchscript", "pt2", "onnx", "safetensors", "pth"]);
/// ```
pub const EXPORT_FORMATS: &[ExportFormat] =
    &[torchscript::FORMAT, pt2::FORMAT, onnx::FORMAT, safetensors::FORMAT, pth::FORMAT];

impl ExportFormat {
    /// The format with this name.
    ///
    /// # Errors
    /// An unknown name.
    pub fn named(name: &str) -> Result<&'static Self> {
        EXPORT_FORMATS.iter().find(|format| format.name == name).ok_or_else(|| {
            let names: Vec<_> = EXPORT_FORMATS.iter().map(|format| format.name).collect();
            let hint = did_you_mean(name, names.iter().copied());
            let hint = hint.unwrap_or_else(|| format!("; the formats are {}", names.join(", ")));
            Error::Usage(format!("--format: unknown format {}{hint}", quoted(name)))
        })
    }

    /// The format for the extension of a file; TorchScript if the extension is unknown.
    pub fn of_file(path: &Path) -> &'static Self {
        let extension = path.extension().unwrap_or_default();
        EXPORT_FORMATS.iter().find(|format| extension == format.extension).unwrap_or(&EXPORT_FORMATS[0])
    }
}

/// A trained model as a TorchScript file, from which the other formats are written.
///
/// ```
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { recipe: "none".into(), epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let exported = fitted.classifier()?.into_exported()?;
/// let names: Vec<String> = exported.state()?.into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]);
/// assert!(exported.metadata.is_some());
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct ExportedModel {
    /// The file.
    pub path: PathBuf,
    /// The module, in evaluation mode on the CPU.
    pub module: Module,
    /// Its metadata; `None` if it was not exported by cresset.
    pub metadata: Option<Metadata>,
    /// The recorded samples of the file, if it has them.
    pub record: Option<Verification>,
    /// The shape of one example of the input, float32.
    pub input: InputShape,
}

impl ExportedModel {
    /// Loads a TorchScript file that was not exported by cresset, whose `forward` takes examples of this shape.
    ///
    /// # Errors
    /// A file that is missing, damaged or not TorchScript.
    pub fn foreign(path: &Path, input: InputShape) -> Result<Self> {
        let (mut module, _) = script::load(path, Device::Cpu, &[])?;
        module.set_training(false)?;
        Ok(ExportedModel { path: path.to_path_buf(), module, metadata: None, record: None, input })
    }

    /// The state_dict of the network: parameters and buffers with PyTorch's names, in order, without those of the
    /// preprocessing.
    ///
    /// # Errors
    /// A quantized model, whose packed weights only libtorch can read, and a frozen model, whose weights have no names.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        if self.metadata.as_ref().is_some_and(Metadata::is_int8) {
            let problem = "it is quantized, and its packed weights can be read by libtorch only; export the original model";
            return Err(Error::artifact(&self.path, problem));
        }
        let mut state = self.module.state()?;
        if self.metadata.as_ref().is_some_and(|metadata| metadata.variant.frozen) {
            let problem = "it is frozen, so its weights have no names; export the run or the original model";
            return Err(Error::artifact(&self.path, problem));
        }
        if self.metadata.is_some() {
            state.retain(|(name, _)| !name.starts_with("preprocess."));
        }
        Ok(state)
    }

    /// The metadata as key-value pairs, for formats with text metadata. `outputs` has the thresholds of labels, or the interval of
    /// a number, also for programs that do not read the rest.
    pub fn notes(&self) -> Vec<(&'static str, String)> {
        let Some(metadata) = &self.metadata else { return Vec::new() };
        let json = |value: serde_json::Result<String>| value.expect("metadata serializes to JSON");
        let mut notes = vec![
            (METADATA_KEY, json(serde_json::to_string(metadata))),
            ("classes", json(serde_json::to_string(&metadata.classes))),
        ];
        if !metadata.outputs.is_classification() {
            notes.push(("outputs", json(serde_json::to_string(&metadata.outputs))));
        }
        notes
    }
}

/// The key of `metadata.json` in files of other formats.
const METADATA_KEY: &str = "cresset.metadata";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_of_a_file_selects_its_format() {
        for (file, name) in [
            ("a.onnx", "onnx"),
            ("a.safetensors", "safetensors"),
            ("a.pth", "pth"),
            ("a.pt2", "pt2"),
            ("a.pt", "torchscript"),
            ("a", "torchscript"),
        ] {
            assert_eq!(ExportFormat::of_file(Path::new(file)).name, name);
        }
    }

    #[test]
    fn an_unknown_format_is_reported_with_the_known_ones() {
        let problem = |name| ExportFormat::named(name).err().unwrap().to_string();
        assert!(problem("onxx").contains("`onxx`; did you mean `onnx`?"));
        assert!(problem("hdf5").contains("the formats are torchscript, pt2, onnx, safetensors, pth"));
    }
}
