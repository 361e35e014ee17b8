//! Tests that need an NVIDIA GPU. They are part of the GPU kit (`make gpu-kit`), whose `run` calls each by its name.
//!
//! A line `note: …` that a test prints is shown in the table of the kit.

mod bridge;
mod runs;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{root, stderr, succeed, text};
use safetensors::SafeTensors;
use tch::Device;

const GPU: Device = Device::Cuda(0);

/// Trains on the GPU into a folder of this name.
fn train(folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    train_on("cuda", folder, name, options)
}

fn train_on(device: &str, folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let out = folder.join(name);
    succeed([&["train", "--device", device, "--out", text(&out)], options].concat());
    out
}

/// The tensors of a run's last checkpoint, as bytes.
fn last_weights(run: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = std::fs::read(run.join("checkpoints/last.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut found: Vec<_> =
        tensors.iter().map(|(name, view)| (name.to_string(), view.data().to_vec())).collect();
    found.sort();
    found
}

fn printed(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}
