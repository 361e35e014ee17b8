//! `cresset models`, and training each of the architectures.

use crate::support::{run, stderr, succeed, text};

#[test]
fn the_list_names_every_architecture_and_a_table_every_layer() {
    let list = succeed(["models"]);
    for architecture in cresset::model::ARCHITECTURES {
        assert!(list.contains(&format!("\n{} ", architecture.name)), "{list}");
    }
    let table = succeed(["models", "resnet18", "--input", "3x224x224", "--classes", "1000"]);
    for says in ["layer1.0.conv1", "512×7×7", "11,689,512", "3.63 G", "stem"] {
        assert!(table.contains(says), "{says}: {table}");
    }
}

#[test]
fn a_table_has_its_own_architectures() {
    let list = succeed(["models", "--input", "64"]);
    assert!(list.contains("\nmlp ") && list.contains("\ntabm ") && !list.contains("\nresnet18 "), "{list}");
    assert!(list.contains("\nbow "), "{list}");
    let table = succeed(["models", "transformer", "--input", "128"]);
    assert!(table.contains("rotary positions") && table.contains("attention heads"), "{table}");
    let refused = run(["train", "--data", "iris", "--model", "cnn"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("the model cnn is for images"), "{}", stderr(&refused));
}

#[test]
fn every_architecture_trains_on_the_digits_and_exports() {
    let folder = tempfile::tempdir().unwrap();
    for (model, options) in [
        ("cnn", "width=8"),
        ("resnet9", "width=4"),
        ("resnet18", "stem=3"),
        ("lstm", "width=16"),
        ("gru", "width=16"),
        ("vit", "width=32,depth=1"),
    ] {
        let out = folder.path().join(model);
        let arguments = ["--epochs", "3", "--lr", "0.005", "--out", text(&out)];
        succeed(["train", "--model", model, "--model-options", options].iter().chain(&arguments));
        let report = succeed(["eval", text(&out)]);
        let accuracy = report.lines().find_map(|line| line.strip_prefix("accuracy")).unwrap();
        let accuracy: f64 = accuracy.trim().trim_end_matches(" %").parse().unwrap();
        assert!(accuracy > 40., "{model}: {report}");
    }
}

#[test]
fn faulty_options_of_a_model_are_named() {
    let refused = run(["train", "--model", "cnn", "--model-options", "widht=3"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("did you mean `width`?"), "{}", stderr(&refused));
}
