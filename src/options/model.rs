//! The value of the option `model`.

use std::path::Path;

use crate::error::did_you_mean;
use crate::model::ARCHITECTURES;
use crate::model::pretrained::HUB;

/// The value of the option `model`.
///
/// ```
/// use cresset::options::ModelChoice;
/// use std::path::Path;
///
/// assert_eq!(ModelChoice::of("cnn"), ModelChoice::Architecture("cnn"));
/// assert_eq!(ModelChoice::of("net.pt"), ModelChoice::File(Path::new("net.pt")));
/// assert_eq!(ModelChoice::of("own:two-layers"), ModelChoice::Own("two-layers"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelChoice<'a> {
    /// An architecture, by its name.
    Architecture(&'a str),
    /// A TorchScript file, or `hf:USER/NAME` for one on the Hugging Face hub.
    File(&'a Path),
    /// A custom model of a program that uses the library, by its name (`own:NAME`).
    Own(&'a str),
}

/// The extensions of TorchScript files.
const EXTENSIONS: [&str; 4] = ["pt", "pth", "ts", "torchscript"];

/// The prefix of the names of custom models.
pub(crate) const OWN: &str = "own:";

impl<'a> ModelChoice<'a> {
    /// Parses a value of the option.
    pub fn of(text: &'a str) -> Self {
        let path = Path::new(text);
        match text.strip_prefix(OWN) {
            Some(name) => ModelChoice::Own(name),
            None if EXTENSIONS
                .iter()
                .any(|known| path.extension().is_some_and(|extension| extension == *known)) =>
            {
                ModelChoice::File(path)
            }
            None if text.starts_with(HUB) => ModelChoice::File(path),
            None => ModelChoice::Architecture(text),
        }
    }

    /// Fails for an unknown architecture.
    pub(crate) fn check(text: &str) -> Result<(), String> {
        let names = || ARCHITECTURES.iter().map(|known| known.name);
        match ModelChoice::of(text) {
            ModelChoice::Architecture(name) if !names().any(|known| known == name) => {
                let hint = did_you_mean(name, names()).unwrap_or_default();
                Err(format!(
                    "expected a model that `cresset models` lists, or a TorchScript file such as model.pt{hint}"
                ))
            }
            _ => Ok(()),
        }
    }

    /// A short name for use in folder names.
    pub(crate) fn short_name(self) -> String {
        match self {
            ModelChoice::Architecture(name) | ModelChoice::Own(name) => name.replace(['/', '\\'], "-"),
            ModelChoice::File(path) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_files_and_custom_models_are_distinguished() {
        assert_eq!(ModelChoice::of("cnn"), ModelChoice::Architecture("cnn"));
        assert_eq!(ModelChoice::of("nets/resnet18.pt"), ModelChoice::File(Path::new("nets/resnet18.pt")));
        assert_eq!(ModelChoice::of("own:two-layers"), ModelChoice::Own("two-layers"));
        assert_eq!(ModelChoice::of("nets/resnet18.pt").short_name(), "resnet18");
        assert!(ModelChoice::check("resnet").unwrap_err().contains("did you mean `resnet"));
        assert!(["mlp", "a.pt", "own:x"].iter().all(|text| ModelChoice::check(text).is_ok()));
    }
}
