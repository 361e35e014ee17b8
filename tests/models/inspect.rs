//! `cresset inspect`

use std::path::Path;

use crate::support::targets::{prices_run, tags_run};
use crate::support::{run, stderr, succeed, text};
use cresset_bridge::script::Module;
use tch::{Device, Tensor};

#[test]
fn inspect_shows_the_contents_and_verifies_the_recorded_samples() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    succeed(["train", "--epochs", "2", "--out", text(&out)]);
    let model = out.join("model.pt");
    let said = succeed(["inspect", text(&model)]);
    for says in [
        "input       1×8×8, values 0–16",
        "classes     0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "of 359 validation rows, epoch 2",
        "fc1.weight         float             128×64         8,192",
        "predict",
        "features",
        "parameters               38,440 bytes",
        "buffers                       8 bytes",
        "code ",
        "verification.json ",
        "  result = model.predict(torch.zeros(1, 1, 8, 8))\n",
        "model.get_method(\"predict\")({torch::zeros({1, 1, 8, 8})})",
    ] {
        assert!(said.contains(says), "{says} is not in {said}");
    }
    assert_eq!(succeed(["inspect", text(&out)]), said, "of the run folder");
    let verified = succeed(["inspect", text(&out), "--verify"]);
    assert!(verified.contains("as recorded") && verified.contains("4 computed again"), "{verified}");
}

#[test]
fn inspect_shows_thresholds_and_intervals() {
    let folder = tempfile::tempdir().unwrap();
    let said = succeed(["inspect", text(&tags_run(folder.path()).join("model.pt"))]);
    for says in
        ["labels      hot, rare, wide\n", "thresholds  0.", "F1          ", " validation rows, epoch "]
    {
        assert!(said.contains(says), "{says} is not in {said}");
    }
    let said = succeed(["inspect", text(&prices_run(folder.path()).join("model.pt"))]);
    for says in ["target      price\n", "interval    ± ", " in 90 % of cases\n", "R²          0.9"] {
        assert!(said.contains(says), "{says} is not in {said}");
    }
}

/// The same file with another weight, and what it recorded.
fn changed(model: &Path, to: &Path, recorded: bool) {
    let names = ["metadata.json", "verification.json"];
    let (mut module, extra) = Module::load(model, Device::Cpu, &names).unwrap();
    let weight = module.parameters().unwrap().into_iter().find(|(name, _)| name == "fc2.weight").unwrap().1;
    module
        .set_parameter("fc2.weight", &(weight.detach() + 0.5 * Tensor::rand_like(&weight.detach())))
        .unwrap();
    let extra: Vec<_> = names.into_iter().zip(extra.iter().map(String::as_str)).collect();
    module.save(to, if recorded { &extra } else { &[] }).unwrap();
}

#[test]
fn a_changed_weight_is_detected_and_a_foreign_file_is_called_code() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    succeed(["train", "--epochs", "1", "--out", text(&out)]);
    let (other, foreign) = (folder.path().join("other.pt"), folder.path().join("foreign.pt"));
    changed(&out.join("model.pt"), &other, true);
    let found = run(["inspect", text(&other), "--verify"]);
    assert_eq!(found.status.code(), Some(1));
    let said = String::from_utf8(found.stdout).unwrap();
    assert!(said.contains("CHANGED since") && said.contains("DIFFERENT RESULTS"), "{said}");

    changed(&out.join("model.pt"), &foreign, false);
    let said = succeed(["inspect", text(&foreign)]);
    assert!(said.contains("a model file is code, so run it only if you trust its source"), "{said}");
    let refused = run(["inspect", text(&foreign), "--verify"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("the file has no verification.json"), "{}", stderr(&refused));
}

#[test]
fn inspect_shows_a_torch_export_package() {
    let folder = tempfile::tempdir().unwrap();
    let (out, package) = (folder.path().join("run"), folder.path().join("model.pt2"));
    succeed(["train", "--epochs", "1", "--out", text(&out)]);
    succeed(["export", text(&out), "--output", text(&package)]);
    let said = succeed(["inspect", text(&package)]);
    for says in [
        "input       1×8×8, values 0–16",
        "torch.export package of PyTorch 2.11.0",
        "fc1.weight         float32           128×64         8,192",
        "aten.linear.default                           2",
    ] {
        assert!(said.contains(says), "{says} is not in {said}");
    }
    assert!(!said.contains("REFUSED"), "{said}");
    let said = succeed(["inspect", text(&package), "--verify"]);
    assert!(said.contains("samples     as recorded: 4 computed again"), "{said}");
}
