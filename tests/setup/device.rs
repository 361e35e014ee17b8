//! What `--device` says on machines that lack a part of CUDA.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{cresset, stderr, text};

/// Runs a command of the program with `driver` in front of the folders in which libraries are looked for.
fn run_with(driver: &Path, arguments: &[&str]) -> Output {
    cresset().args(arguments).env("LD_LIBRARY_PATH", driver).output().unwrap()
}

/// A library under the name of NVIDIA's driver that only reports the newest CUDA it supports, 1000 · major + 10 · minor.
fn fake_driver(folder: &Path, cuda: u32) {
    let source = folder.join("stub.c");
    std::fs::write(&source, format!("int cuDriverGetVersion(int *v) {{ *v = {cuda}; return 0; }}\n"))
        .unwrap();
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
    fake_driver(folder.path(), 13000);
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

#[test]
fn a_driver_that_is_too_old_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fake_driver(folder.path(), 12040);
    let out = folder.path().join("run");
    let expected = "supports CUDA 12.4 and is too old: libtorch needs CUDA 13; install version 580 or newer";
    let output = run_with(folder.path(), &["train", "--device", "cuda", "--out", text(&out)]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    let output = run_with(folder.path(), &["train", "--epochs", "1", "--out", text(&out)]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("running on the CPU: the NVIDIA driver")
            && stderr(&output).contains(expected)
    );
    let doctor = run_with(folder.path(), &["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.status.success() && said.contains("too old: libtorch needs CUDA 13"), "{said}");
}

#[test]
fn an_empty_cuda_visible_devices_selects_the_cpu_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    fake_driver(folder.path(), 13000);
    let out = folder.path().join("run");
    let hidden = |device: &str| {
        let mut command = cresset();
        command.args(["train", "--epochs", "1", "--device", device, "--out", text(&out)]);
        command.env("LD_LIBRARY_PATH", folder.path()).env("CUDA_VISIBLE_DEVICES", "").output().unwrap()
    };
    let output = hidden("cuda");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let expected =
        "--device cuda: CUDA_VISIBLE_DEVICES=\"\" hides all GPUs; unset it, or set it to the indices of GPUs";
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    let output = hidden("auto");
    assert!(output.status.success() && !stderr(&output).contains("CUDA"), "{}", stderr(&output));
}
