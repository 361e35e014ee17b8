//! What `--device` says on machines that lack a part of CUDA.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{cresset, stderr, text};

/// Runs a command of the program with `driver` in front of the folders in which libraries are looked for.
fn run_with(driver: &Path, arguments: &[&str]) -> Output {
    cresset().args(arguments).env("LD_LIBRARY_PATH", driver).output().unwrap()
}

/// An empty library under the name of NVIDIA's driver, which so seems to be installed.
fn pretended_driver(folder: &Path) {
    let source = folder.join("stub.c");
    std::fs::write(&source, "int stub(void) { return 0; }\n").unwrap();
    let library = folder.join("libcuda.so.1");
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", text(&source), "-o", text(&library)]).status().unwrap();
    assert!(compiled.success());
}

#[test]
fn cuda_without_a_driver_is_an_error_and_auto_selects_the_cpu() {
    if Path::new("/proc/driver/nvidia/version").exists() {
        eprintln!("not checked: this machine has an NVIDIA driver");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let output = run_with(folder.path(), &["train", "--device", "cuda", "--out", text(&out)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("--device cuda: there is no NVIDIA driver on this machine"),
        "{}",
        stderr(&output)
    );
    assert!(!out.exists());
    let output = run_with(folder.path(), &["train", "--epochs", "1", "--out", text(&out)]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("device  cpu"));
}

#[test]
fn cuda_with_a_driver_but_without_a_gpu_names_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    pretended_driver(folder.path());
    let out = folder.path().join("run");
    let output = run_with(folder.path(), &["train", "--device", "cuda", "--out", text(&out)]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    // With the CUDA libraries fetched, the driver is what fails to show a GPU; without them, a library is missing.
    let reasons = [
        "the NVIDIA driver found no GPU; check `nvidia-smi`",
        "libtorch's CUDA library could not be loaded (lib",
    ];
    assert!(reasons.iter().any(|reason| stderr(&output).contains(reason)), "{}", stderr(&output));
    assert!(!out.exists());

    let output = run_with(folder.path(), &["train", "--epochs", "1", "--out", text(&out)]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("running on the CPU: "), "{}", stderr(&output));
}
