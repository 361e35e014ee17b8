//! Pretrained models of the Hugging Face hub and of torchvision that suit transfer learning. Others can be used by their names, too.

use crate::model::ARCHITECTURES;

/// A pretrained model.
///
/// ```
/// use cresset::model::pretrained::PretrainedModel;
///
/// let known = PretrainedModel::available().find(|known| known.name == "timm/resnet18.a1_in1k").unwrap();
/// assert_eq!((known.architecture, known.input_side), ("resnet18", 224));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PretrainedModel {
    /// The name on the hub, or of torchvision.
    pub name: &'static str,
    /// The architecture, by timm's name, which [`ARCHITECTURES`] shares.
    pub architecture: &'static str,
    /// The number of parameters, in millions.
    pub megaparameters: f64,
    /// Top-1 accuracy on the validation set of ImageNet-1k in percent, and the height of the images in that evaluation, as published
    /// in timm's file `results-imagenet.csv`, or by torchvision.
    pub top1: (f64, u32),
    /// Height and width of the images in training, and the default of `--image-size`.
    pub input_side: u32,
    /// The license of the weights.
    pub license: &'static str,
}

const fn timm(
    name: &'static str,
    architecture: &'static str,
    megaparameters: f64,
    top1: (f64, u32),
) -> PretrainedModel {
    PretrainedModel { name, architecture, megaparameters, top1, input_side: 224, license: "Apache-2.0" }
}

const fn torchvision(
    name: &'static str,
    architecture: &'static str,
    megaparameters: f64,
    top1: f64,
) -> PretrainedModel {
    let known = timm(name, architecture, megaparameters, (top1, 224));
    PretrainedModel { license: "BSD-3-Clause", ..known }
}

/// The models, also those whose architecture is not available yet.
pub const PRETRAINED: &[PretrainedModel] = &[
    timm("timm/resnet18.a1_in1k", "resnet18", 11.69, (73.158, 288)),
    timm("timm/resnet34.a1_in1k", "resnet34", 21.80, (77.918, 288)),
    timm("timm/resnet50.a1_in1k", "resnet50", 25.56, (81.214, 288)),
    timm("timm/resnet50d.a2_in1k", "resnet50d", 25.58, (81.164, 288)),
    timm("timm/resnet101.a2_in1k", "resnet101", 44.55, (82.236, 288)),
    timm("timm/regnety_004.tv2_in1k", "regnety_004", 4.34, (75.598, 224)),
    timm("timm/regnety_008.pycls_in1k", "regnety_008", 6.26, (76.302, 224)),
    timm("timm/convnext_atto.d2_in1k", "convnext_atto", 3.70, (77.008, 288)),
    timm("timm/convnext_tiny.fb_in1k", "convnext_tiny", 28.59, (82.698, 288)),
    timm("timm/efficientnet_b0.ra_in1k", "efficientnet_b0", 5.29, (77.694, 224)),
    timm("timm/efficientnet_lite0.ra_in1k", "efficientnet_lite0", 4.65, (75.480, 224)),
    timm("timm/tf_efficientnet_lite0.in1k", "tf_efficientnet_lite0", 4.65, (74.830, 224)),
    timm("timm/mobilenetv3_small_100.lamb_in1k", "mobilenetv3_small_100", 2.54, (67.656, 224)),
    timm("timm/mobilenetv3_large_100.ra_in1k", "mobilenetv3_large_100", 5.48, (75.766, 224)),
    timm("timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k", "vit_tiny_patch16_224", 5.72, (75.454, 224)),
    timm("timm/vit_small_patch16_224.augreg_in21k_ft_in1k", "vit_small_patch16_224", 22.05, (81.384, 224)),
    torchvision("torchvision/resnet18.IMAGENET1K_V1", "resnet18", 11.69, 69.758),
    torchvision("torchvision/resnet50.IMAGENET1K_V2", "resnet50", 25.56, 80.858),
    torchvision("torchvision/swin_t.IMAGENET1K_V1", "swin_t", 28.29, 81.474),
];

impl PretrainedModel {
    /// The models whose architecture is one of [`ARCHITECTURES`].
    pub fn available() -> impl Iterator<Item = &'static PretrainedModel> {
        let is_known = |name: &str| ARCHITECTURES.iter().any(|architecture| architecture.name == name);
        PRETRAINED.iter().filter(move |model| is_known(model.architecture))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::InputShape;
    use crate::model::{Network, Task};
    use tch::Device;

    #[test]
    fn the_parameters_are_those_of_the_architectures() {
        assert!(PretrainedModel::available().count() >= 3);
        for model in PretrainedModel::available() {
            let side = i64::from(model.input_side);
            let task = Task::new(InputShape(vec![3, side, side]), 1000);
            let network = Network::new(model.architecture, "", &task, Device::Cpu, 0).unwrap();
            let counted = network.parameter_count() as f64 / 1e6;
            assert!((counted - model.megaparameters).abs() < 0.006, "{}: {counted}", model.name);
        }
    }

    #[test]
    fn names_have_the_library_and_the_architecture_first() {
        for model in PRETRAINED {
            let library = if model.license == "BSD-3-Clause" { "torchvision" } else { "timm" };
            assert!(model.name.starts_with(&format!("{library}/{}.", model.architecture)), "{}", model.name);
            assert!((50. ..100.).contains(&model.top1.0));
        }
    }
}
