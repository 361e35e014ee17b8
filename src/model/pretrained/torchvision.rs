//! The weights of torchvision, by the names of its enumerations: `torchvision/resnet50.IMAGENET1K_V2`.

use super::PretrainedConfig;
use crate::data::image::Interpolation;
use crate::error::{Error, Result, did_you_mean, quoted};
use crate::model::preprocessing::Normalization;

/// The prefix of the names.
pub const TORCHVISION: &str = "torchvision/";

/// Height and width of the images.
const SIDE: i64 = 224;

/// Weights of torchvision for the 1000 classes of ImageNet.
pub struct TorchvisionWeights {
    /// The name, without [`TORCHVISION`].
    pub name: &'static str,
    /// The architecture, by torchvision's name.
    pub architecture: &'static str,
    /// The name of the file, with the first digits of its SHA-256.
    pub file: &'static str,
    /// The shorter side to which images are resized before the center crop of [`SIDE`].
    resized: f64,
    interpolation: Interpolation,
}

const fn weights(
    name: &'static str,
    architecture: &'static str,
    file: &'static str,
    resized: f64,
) -> TorchvisionWeights {
    TorchvisionWeights { name, architecture, file, resized, interpolation: Interpolation::Bilinear }
}

/// The files, with the transforms that torchvision 0.26 documents. The last ones of an architecture are its default.
const ALL: &[TorchvisionWeights] = &[
    weights("resnet18.IMAGENET1K_V1", "resnet18", "resnet18-f37072fd.pth", 256.),
    weights("resnet34.IMAGENET1K_V1", "resnet34", "resnet34-b627a593.pth", 256.),
    weights("resnet50.IMAGENET1K_V1", "resnet50", "resnet50-0676ba61.pth", 256.),
    weights("resnet50.IMAGENET1K_V2", "resnet50", "resnet50-11ad3fa6.pth", 232.),
    weights("resnet101.IMAGENET1K_V1", "resnet101", "resnet101-63fe2227.pth", 256.),
    weights("resnet101.IMAGENET1K_V2", "resnet101", "resnet101-cd907fc2.pth", 232.),
    TorchvisionWeights {
        interpolation: Interpolation::Bicubic,
        ..weights("swin_t.IMAGENET1K_V1", "swin_t", "swin_t-704ceda3.pth", 232.)
    },
];

/// The weights of this name, without [`TORCHVISION`]; for an architecture, its default.
///
/// # Errors
/// An unknown name. The message lists the names.
pub fn find(name: &str) -> Result<&'static TorchvisionWeights> {
    let found = ALL.iter().rev().find(|known| known.name == name || known.architecture == name);
    found.ok_or_else(|| {
        let names = || ALL.iter().map(|known| known.name);
        let hint = did_you_mean(name, names()).unwrap_or_default();
        Error::Usage(format!(
            "torchvision has no weights {} that can be used; there are {}{hint}",
            quoted(name),
            names().map(|name| format!("{TORCHVISION}{name}")).collect::<Vec<_>>().join(", ")
        ))
    })
}

impl TorchvisionWeights {
    /// How the weights were trained and evaluated.
    pub fn config(&self) -> PretrainedConfig {
        PretrainedConfig {
            architecture: Some(self.architecture.to_string()),
            input_size: Some([3, SIDE, SIDE]),
            normalization: Some("imagenet".parse::<Normalization>().expect("a known name")),
            interpolation: Some(self.interpolation),
            center_crop: Some(SIDE as f64 / self.resized),
            classes: Some(1000),
            model_options: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ARCHITECTURES;

    #[test]
    fn an_architecture_means_its_latest_weights() {
        assert_eq!(find("resnet50").unwrap().file, "resnet50-11ad3fa6.pth");
        assert_eq!(find("resnet50.IMAGENET1K_V1").unwrap().file, "resnet50-0676ba61.pth");
        let config = find("swin_t").unwrap().config();
        assert_eq!(
            (config.interpolation, config.center_crop),
            (Some(Interpolation::Bicubic), Some(224. / 232.))
        );
        for known in ALL {
            assert!(ARCHITECTURES.iter().any(|architecture| architecture.name == known.architecture));
            assert!(known.file.starts_with(&format!("{}-", known.architecture)));
        }
        let says = find("resnet5").map(|_| ()).unwrap_err().to_string();
        assert!(
            says.contains("torchvision/resnet18.IMAGENET1K_V1") && says.contains("did you mean"),
            "{says}"
        );
    }
}
