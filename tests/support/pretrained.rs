//! A hub with weights of `resnet18` that a seed determines, as timm would publish them.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use cresset::data::InputShape;
use cresset::model::weights::safetensors;
use cresset::model::{Network, Task, Tensors};
use tch::Device;

use super::hub::Hub;

/// The name of the model on the hub.
pub const NAME: &str = "timm/resnet18.a1_in1k";

/// A config.json of timm for images of 64×64 pixels.
pub const CONFIG: &str = r#"{
  "architecture": "resnet18",
  "num_classes": 1000,
  "num_features": 512,
  "pretrained_cfg": {
    "tag": "a1_in1k",
    "input_size": [3, 64, 64],
    "interpolation": "bicubic",
    "crop_pct": 0.95,
    "mean": [0.5, 0.25, 0.75],
    "std": [0.25, 0.5, 0.125],
    "num_classes": 1000
  }
}"#;

/// Random weights for the 1000 classes of ImageNet.
pub fn weights() -> Tensors {
    let task = Task::new(InputShape(vec![3, 64, 64]), 1000);
    Network::new("resnet18", "", &task, Device::Cpu, 7).unwrap().state()
}

/// Writes config.json and model.safetensors to a folder.
pub fn write(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("config.json"), CONFIG).unwrap();
    let weights = weights();
    let named: Vec<_> = weights.iter().map(|(name, tensor)| (name.clone(), tensor)).collect();
    safetensors::write(&folder.join("model.safetensors"), &named, HashMap::new()).unwrap();
}

/// Starts a hub that has the model.
pub fn hub() -> Hub {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let bytes = std::fs::read(folder.path().join("model.safetensors")).unwrap();
    Hub::start(NAME, &[("config.json", CONFIG.as_bytes()), ("model.safetensors", &bytes)])
}

/// Lets a command use the hub, with a cache and a token of its own.
pub fn connect<'a>(command: &'a mut Command, endpoint: &str, home: &Path) -> &'a mut Command {
    for name in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE"] {
        command.env_remove(name);
    }
    command.env("HF_ENDPOINT", endpoint).env("HF_HOME", home).env("NO_PROXY", "127.0.0.1");
    command.env("TORCHVISION_ENDPOINT", endpoint).env("TORCH_HOME", home.join("torch"))
}
