//! Models on a hub: published, and used by name.

use std::path::Path;
use std::process::Output;

use crate::support::hub::Hub;
use crate::support::pretrained::connect;
use crate::support::{cresset, stderr, succeed, text};

fn with(server: &Hub, home: &Path, arguments: &[&str]) -> Output {
    let mut command = cresset();
    command.args(arguments);
    connect(&mut command, &server.endpoint(), home).env("HF_TOKEN", "hf_write").output().unwrap()
}

#[test]
fn a_published_model_predicts_trains_and_initializes_by_its_name() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    let (run, other, digits) = (path("run"), path("other"), crate::support::root().join("data/digits.csv"));
    succeed(["train", "--model-options", "width=32", "--epochs", "1", "--out", text(&run)]);
    succeed(["export", text(&run), "--output", text(&run.join("model.onnx"))]);
    let server = Hub::start("org/other", &[]);
    let use_it = |arguments: &[&str]| with(&server, place.path(), arguments);

    let output = use_it(&["push", text(&run), "hf:anna/digits", "--license", "MIT"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("/anna/digits, commit 0123456789"));
    server.change(|shelf| {
        let of =
            |name: &str| shelf.files.iter().find(|(_, own, _)| own == name).map(|(.., bytes)| bytes.clone());
        assert_eq!(of("model.pt").unwrap(), std::fs::read(run.join("model.pt")).unwrap());
        assert_eq!(of("model.onnx").unwrap(), std::fs::read(run.join("model.onnx")).unwrap());
        let card = String::from_utf8(of("README.md").unwrap()).unwrap();
        assert!(card.starts_with("---\nlicense: mit\n"), "{card}");
        let config: serde_json::Value = serde_json::from_slice(&of("config.json").unwrap()).unwrap();
        assert_eq!(
            (config["architecture"].as_str(), config["num_classes"].as_u64()),
            (Some("mlp"), Some(10))
        );
    });

    let predicted = use_it(&["predict", "hf:anna/digits", text(&digits)]);
    assert!(predicted.status.success(), "{}", stderr(&predicted));
    let own = succeed(["predict", text(&run), text(&digits)]);
    assert_eq!(String::from_utf8(predicted.stdout).unwrap(), own);

    let train = |options: &[&str], out: &Path| {
        let all = ["train", "--recipe", "none", "--epochs", "1", "--out", text(out)];
        let output = use_it(&[&all, options].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        std::fs::read_to_string(out.join("config.toml")).unwrap()
    };
    // The path in the cache contains the commit.
    let config = train(&["--model-options", "width=32", "--init", "hf:anna/digits"], &other);
    assert!(config.contains("/snapshots/0123456789") && config.contains("model.safetensors"), "{config}");
    // An architecture continues from its weights.
    let config = train(&["--model", "hf:anna/digits"], &path("again"));
    assert!(
        config.contains("model = \"mlp\"") && config.contains("model_options = \"width=32\""),
        "{config}"
    );
    assert!(config.contains("model.safetensors"), "{config}");
    let config = train(&["--pretrained", "hf:anna/digits"], &path("pretrained"));
    assert!(config.contains("model_options = \"width=32\""), "{config}");
}

#[test]
fn a_model_that_cannot_be_published_or_found_is_an_error_that_says_why() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    succeed(["train", "--epochs", "1", "--out", text(&run)]);
    let server = Hub::start("org/other", &[("notes.txt", b"-")]);
    for (arguments, code, says) in [
        (&["push", text(&run), "anna/digits"][..], 2, "expected hf:USER/NAME"),
        (&["push", text(place.path()), "hf:anna/digits"], 2, "this folder holds no run"),
        (&["predict", "hf:org/none", "x.csv"], 2, "has no model `org/none`"),
        (&["predict", "hf:org/other", "x.csv"], 2, "the model `org/other` has no file model.pt"),
    ] {
        let output = with(&server, place.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    }
    let offline = cresset().args(["push", text(&run), "hf:anna/digits"]).output().unwrap();
    assert!(stderr(&offline).contains("HF_HUB_OFFLINE is set"), "{}", stderr(&offline));
}
