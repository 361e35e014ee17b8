//! `scripts/gpu-check` and the benchmark behind it where there is no GPU.

mod support;

use std::process::{Command, Output};

use support::{root, stderr, text};

/// Runs the script with a `nvidia-smi` that prints these lines, or fails if there are none.
fn gpu_check(gpus: &[&str], folder: &std::path::Path) -> Output {
    let bin = tempfile::tempdir().unwrap();
    let smi = bin.path().join("nvidia-smi");
    let ending = if gpus.is_empty() { "echo No devices were found; exit 6" } else { "" };
    let lines: String = gpus.iter().map(|gpu| format!("echo '{gpu}'\n")).collect();
    std::fs::write(&smi, format!("#!/bin/sh\n{lines}{ending}\n")).unwrap();
    assert!(Command::new("chmod").args(["+x", text(&smi)]).status().unwrap().success());
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.arg(root().join("scripts/gpu-check")).arg(folder).env("PATH", path).output().unwrap()
}

#[test]
fn without_a_gpu_it_says_so_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = gpu_check(&[], folder.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("there is no NVIDIA GPU on this machine"), "{}", stderr(&output));
    assert!(stderr(&output).contains("Run it on a machine with a GPU"), "{}", stderr(&output));
    assert_eq!((output.stdout.len(), folder.path().read_dir().unwrap().count()), (0, 0));
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = gpu_check(&["NVIDIA H100, 81559 MiB, 580.1"], &file);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("cannot write to {}. Give another folder", file.display());
    assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
}
