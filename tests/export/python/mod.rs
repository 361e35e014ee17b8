//! What needs Python torch (3 GB): `make test-python`.

mod backbones;
mod card;
mod explanations;
mod exported;
mod foreign_packages;
mod packages;
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
