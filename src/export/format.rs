//! The formats that a trained model can be written in.

use std::path::{Path, PathBuf};

use cresset_bridge::script::Module;
use tch::{Device, Tensor};

use super::{Metadata, Variants, onnx, pth, safetensors, torchscript};
use crate::data::InputShape;
use crate::error::{Error, Result, did_you_mean, quoted};
use crate::model::script;

/// A format. A new one is a file in this folder with a constant of this type, and a line in [`EXPORT_FORMATS`].
pub struct ExportFormat {
    /// What `--format` calls it.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// How the names of its files end, without the dot.
    pub extension: &'static str,
    /// Which forms of a model it can hold.
    pub variants: Variants,
    /// Writes the model to a path.
    pub write: fn(&Exported, &Path) -> Result<()>,
}

/// All formats; the first one is what is written if nothing else is said.
pub const EXPORT_FORMATS: &[ExportFormat] =
    &[torchscript::FORMAT, onnx::FORMAT, safetensors::FORMAT, pth::FORMAT];

impl ExportFormat {
    /// The format with this name.
    ///
    /// # Errors
    /// A name that no format has.
    pub fn named(name: &str) -> Result<&'static Self> {
        EXPORT_FORMATS.iter().find(|format| format.name == name).ok_or_else(|| {
            let names: Vec<_> = EXPORT_FORMATS.iter().map(|format| format.name).collect();
            let hint = did_you_mean(name, names.iter().copied());
            let hint = hint.unwrap_or_else(|| format!(". There are {}", names.join(", ")));
            Error::Usage(format!("--format: there is no format {}{hint}", quoted(name)))
        })
    }

    /// The format that the name of a file speaks of; TorchScript if it speaks of none.
    pub fn of_file(path: &Path) -> &'static Self {
        let extension = path.extension().unwrap_or_default();
        EXPORT_FORMATS.iter().find(|format| extension == format.extension).unwrap_or(&EXPORT_FORMATS[0])
    }
}

/// A trained model as a TorchScript file, which the other formats are made from.
pub struct Exported {
    /// The file.
    pub path: PathBuf,
    /// What it holds, in evaluation mode on the CPU.
    pub module: Module,
    /// What it says of itself; none if it is not from cresset.
    pub metadata: Option<Metadata>,
    /// The shape of one example of the input, float32.
    pub input: InputShape,
}

impl Exported {
    /// Loads a TorchScript file from elsewhere, whose `forward` takes examples of this shape.
    ///
    /// # Errors
    /// A file that is missing, damaged or no TorchScript.
    pub fn foreign(path: &Path, input: InputShape) -> Result<Self> {
        let (mut module, _) = script::load(path, Device::Cpu, &[])?;
        module.set_training(false)?;
        Ok(Exported { path: path.to_path_buf(), module, metadata: None, input })
    }

    /// The network's parameters and buffers under PyTorch's names, in its order. The figures of our preprocessing are none
    /// of them: a network's own program has no place for them.
    ///
    /// # Errors
    /// A model of 8-bit integers, whose weights only libtorch can read, and a frozen one, whose weights have no names.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        if self.metadata.as_ref().is_some_and(Metadata::is_int8) {
            let problem = "its weights are 8-bit integers in a form of libtorch's own; export the model that it was made of";
            return Err(Error::artifact(&self.path, problem));
        }
        let mut state = self.module.state()?;
        if self.metadata.as_ref().is_some_and(|metadata| metadata.variant.frozen) {
            let problem = "it is frozen, so its weights have lost their names; export the run, or the file that it was made of";
            return Err(Error::artifact(&self.path, problem));
        }
        if self.metadata.is_some() {
            state.retain(|(name, _)| !name.starts_with("preprocess."));
        }
        Ok(state)
    }

    /// What is known of the model, as pairs for the formats that have a place for text.
    pub fn notes(&self) -> Vec<(&'static str, String)> {
        let Some(metadata) = &self.metadata else { return Vec::new() };
        let json = |value: serde_json::Result<String>| value.expect("metadata is plain data");
        vec![
            (NOTE, json(serde_json::to_string(metadata))),
            ("classes", json(serde_json::to_string(&metadata.classes))),
        ]
    }
}

/// The name under which a file in another format holds the contents of `metadata.json`.
const NOTE: &str = "cresset.metadata";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_in_the_format_that_its_name_speaks_of() {
        for (file, name) in [
            ("a.onnx", "onnx"),
            ("a.safetensors", "safetensors"),
            ("a.pth", "pth"),
            ("a.pt", "torchscript"),
            ("a", "torchscript"),
        ] {
            assert_eq!(ExportFormat::of_file(Path::new(file)).name, name);
        }
    }

    #[test]
    fn an_unknown_format_is_named_with_the_known_ones() {
        let problem = |name| ExportFormat::named(name).err().unwrap().to_string();
        assert!(problem("onxx").contains("`onxx`; did you mean `onnx`?"));
        assert!(problem("hdf5").contains("There are torchscript, onnx, safetensors, pth"));
    }
}
