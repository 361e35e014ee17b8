//! What needs Python torch (3 GB): `make test-python`.

mod backbones;
mod card;
mod explanations;
mod exported;
mod foreign_packages;
mod packages;
mod recommendations;
mod texts;
mod torchrun;
mod torchvision;
mod weights;

use std::process::Command;

use crate::support::{root, stderr};

/// Runs Python torch with these arguments, in the checkout.
fn python(arguments: &[&str]) -> String {
    let python = std::env::var("CRESSET_PYTHON").expect("`make test-python` sets CRESSET_PYTHON");
    let output = Command::new(python).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs Python torch and transformers with these arguments, in the checkout.
pub fn python_with_transformers(arguments: &[&str]) -> String {
    let transformers = std::env::var("CRESSET_PYTHON_TRANSFORMERS");
    let transformers = transformers.expect("`make test-python` sets CRESSET_PYTHON_TRANSFORMERS");
    // It has no PyTorch of its own.
    let folder = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let packages = Command::new(transformers).args(["-c", folder]).output().unwrap().stdout;
    let python = std::env::var("CRESSET_PYTHON").expect("`make test-python` sets CRESSET_PYTHON");
    let output = Command::new(python)
        .env("PYTHONPATH", String::from_utf8(packages).unwrap().trim())
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}
