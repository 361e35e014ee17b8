//! Models of one's own: a Rust program's, and TorchScript files that are trained as they are.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::support::{self, assert_same_bits, run, stderr, succeed, text};
use cresset::data::InputShape;
use cresset::model::{Network, Task};
use cresset::predict::Classifier;
use tch::{CModule, Device, Kind, Tensor, nn};

/// A TorchScript file of somebody else: a small convolutional network that tells `classes` classes apart.
fn foreign(folder: &Path, classes: i64) -> PathBuf {
    let task = Task::new(InputShape(vec![1, 8, 8]), classes);
    let network = Network::new("cnn", "width=8", &task, Device::Cpu, 3).unwrap();
    let mut module = network.script(&|class| class).unwrap();
    module.define("def forward(self, x: Tensor) -> Tensor:\n    return self.logits(x)\n").unwrap();
    let path = folder.join(format!("foreign-{classes}.pt"));
    module.save(&path, &[]).unwrap();
    path
}

fn validation_accuracy(said: &str) -> f64 {
    said.split("validation accuracy  ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn the_example_trains_and_evaluates_a_custom_rust_model() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let program = Path::new(env!("CARGO_BIN_EXE_cresset")).parent().unwrap().join("examples/own_model");
    let output = Command::new(program).arg(&out).current_dir(support::root()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let accuracy: f64 = String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(accuracy > 94., "{accuracy}");
    let measured = succeed(["eval", text(&out)]);
    assert!(measured.contains(&format!("{accuracy:.2} %")), "{measured}");

    let model = CModule::load(out.join("model.pt")).unwrap();
    let names: Vec<_> = model.named_parameters().unwrap().into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"hidden.weight".to_string()), "{names:?}");
    for batch in [1, 2, 64] {
        let x = Tensor::zeros([batch, 64], (Kind::Float, Device::Cpu));
        assert_eq!(model.forward_ts(&[x]).unwrap().size(), [batch, 10]);
    }
    let source = std::fs::read_to_string(support::root().join("examples/rust/own_model.rs")).unwrap();
    assert!(source.lines().count() < 40);
    let refused = run(["train", "--resume", text(&out), "--epochs", "30"]);
    assert!(stderr(&refused).contains("is a custom model"), "{}", stderr(&refused));
}

#[test]
fn a_model_that_depends_on_the_batch_size_is_not_exported() {
    let task = Task::new(InputShape(vec![1, 2, 2]), 3);
    let network = Network::of(&task, Device::Cpu, 1, |path| {
        let linear = nn::linear(path / "fc", 4, 3, nn::LinearConfig::default());
        move |x: &Tensor, _train: bool| x.view([x.size()[0], 4]).apply(&linear)
    });
    let problem = network.unwrap().script(&|class| class).err().unwrap().to_string();
    assert!(
        problem.contains("recorded with batch size 2, it gives different results with batch size 1"),
        "{problem}"
    );
}

/// What is written to the log while something runs.
fn logged(run: impl FnOnce()) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let file = Arc::new(File::create(&path).unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(file).with_ansi(false).finish();
    tracing::subscriber::with_default(subscriber, run);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_model_with_data_dependent_control_flow_is_exported_with_a_warning_or_rejected() {
    let task = Task::new(InputShape(vec![4]), 3);
    let network = |limit: f64| {
        let network = Network::of(&task, Device::Cpu, 1, |path| {
            let linear = nn::linear(path / "fc", 4, 3, nn::LinearConfig::default());
            move |x: &Tensor, _train: bool| {
                let y = x.apply(&linear);
                if (&y * 2).max().double_value(&[]) > limit { y.relu() } else { y }
            }
        });
        network.unwrap()
    };
    let log = logged(|| drop(network(1e6).script(&|class| class).unwrap()));
    assert_eq!(log.matches("reads values of its input while it computes (item)").count(), 1, "{log}");
    let problem = network(3.).script(&|class| class).err().unwrap().to_string();
    assert!(problem.contains("or values of its input"), "{problem}");
    let quiet = Network::new("cnn", "width=4", &Task::new(InputShape(vec![1, 8, 8]), 3), Device::Cpu, 1);
    assert_eq!(logged(|| drop(quiet.unwrap().script(&|class| class).unwrap())), "");
}

#[test]
fn features_of_imported_models_are_the_inputs_of_their_last_layer() {
    let folder = tempfile::tempdir().unwrap();
    let file = foreign(folder.path(), 10);
    let (imported, own) = (folder.path().join("imported"), folder.path().join("own"));
    succeed(["train", "--model", text(&file), "--epochs", "1", "--out", text(&imported)]);
    let program = Path::new(env!("CARGO_BIN_EXE_cresset")).parent().unwrap().join("examples/own_model");
    assert!(Command::new(program).arg(&own).current_dir(support::root()).status().unwrap().success());
    for (out, head) in [(imported, "network.fc2"), (own, "head")] {
        let model = CModule::load(out.join("model.pt")).unwrap();
        let parameters = model.named_parameters().unwrap();
        let of_head = |end: &str| {
            let name = format!("{head}.{end}");
            let found = parameters.iter().find(|(known, _)| *known == name);
            found.unwrap_or_else(|| panic!("{name} is not in {parameters:?}")).1.shallow_clone()
        };
        for rows in [1, 7] {
            let x = Tensor::randint(17, [rows, 64], (Kind::Uint8, Device::Cpu));
            let features = model.method_ts("features", &[&x]).unwrap();
            let logits = features.linear(&of_head("weight"), Some(&of_head("bias")));
            assert_eq!(logits, model.forward_ts(&[&x]).unwrap(), "{head}");
        }
    }
}

#[test]
fn a_torchscript_file_trains_with_a_new_last_layer_and_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let file = foreign(folder.path(), 1000);
    let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name));
    let said = succeed(["train", "--model", text(&file), "--epochs", "6", "--out", text(&whole)]);
    assert!(said.contains("TorchScript is code"), "{said}");
    assert!(validation_accuracy(&said) > 95., "{said}");
    succeed(["train", "--model", text(&file), "--epochs", "3", "--out", text(&parts)]);
    succeed(["train", "--resume", text(&parts), "--epochs", "6"]);
    assert_same_bits(&whole, &parts);
    // It can be frozen, too.
    let optimized = folder.path().join("optimized.pt");
    succeed(["export", text(&whole), "--optimize", "--output", text(&optimized)]);
    assert!(succeed(["inspect", text(&optimized), "--verify"]).contains("samples     as recorded"));
    // It can be made of integers, but nobody knows its layers.
    succeed(["compress", text(&whole), "--quantize", "int8"]);
    let int8 = whole.join("compressed/int8.pt");
    assert!(succeed(["inspect", text(&int8), "--verify"]).contains("samples     as recorded"));
    let accuracy = |model: &Path| {
        let said = succeed(["eval", text(model), "data/digits.csv"]);
        let line = said.lines().find(|line| line.starts_with("accuracy")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap()
    };
    let (float, integers) = (accuracy(&whole.join("model.pt")), accuracy(&int8));
    assert!(integers > float - 2., "{float} {integers}");
    let refused = run(["compress", text(&whole), "--prune", "0.5"]);
    assert!(
        stderr(&refused).contains("only the architectures that `cresset models` lists can be pruned"),
        "{}",
        stderr(&refused)
    );
    // What was exported can be trained on.
    let (model, again) = (whole.join("model.pt"), folder.path().join("again"));
    let said = succeed(["train", "--model", text(&model), "--epochs", "1", "--out", text(&again)]);
    assert!(validation_accuracy(&said) > 95., "{said}");
    let said = succeed(["predict", text(&again.join("model.pt")), "data/digits.csv"]);
    assert_eq!(said.lines().count(), 1798);
}

#[test]
fn a_torchscript_file_trains_in_bfloat16_with_averages_and_frozen_layers() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (foreign(folder.path(), 10), folder.path().join("run"));
    let options = ["--precision", "bf16", "--average", "ema", "--freeze", "stage1", "--channels-last"];
    let base = ["train", "--model", text(&file), "--epochs", "4", "--out", text(&out)];
    let said = succeed([&base[..], &options].concat());
    assert!(validation_accuracy(&said) > 85., "{said}");
    let kept = |path: &Path| {
        let parameters = CModule::load(path).unwrap().named_parameters().unwrap();
        parameters.into_iter().find(|(name, _)| name.ends_with("stage1.conv1.weight")).unwrap().1.copy()
    };
    assert_eq!(kept(&file), kept(&out.join("model.pt")));
}

#[test]
fn imported_models_are_optimized_too() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (foreign(folder.path(), 10), folder.path().join("run"));
    succeed(["train", "--model", text(&file), "--epochs", "1", "--out", text(&out)]);
    let classifier = Classifier::load_on(&out.join("model.pt"), Device::Cpu).unwrap();
    let raw = Tensor::randint(17, [7, 64], (Kind::Uint8, Device::Cpu));
    let before = classifier.logits(&raw).unwrap();
    classifier.optimize();
    let after = classifier.logits(&raw).unwrap();
    assert!(after != before && after.allclose(&before, 1e-5, 1e-5, false));
}

#[test]
fn files_that_cannot_be_trained_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (foreign(folder.path(), 10), folder.path().join("run"));
    let refuse = |model: &Path, more: &[&str], says: &str| {
        let refused = run([&["train", "--model", text(model), "--out", text(&out)], more].concat());
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(says), "{says} is not in {}", stderr(&refused));
        assert!(!stderr(&refused).contains("frame #") && !out.exists());
    };
    refuse(&folder.path().join("none.pt"), &[], "cannot read the model");
    refuse(&file, &["--data", "iris"], "the model does not accept examples of shape 4");
    refuse(&file, &["--model-options", "width=3"], "--model-options applies only to the architectures");
    let broken = folder.path().join("broken.pt");
    std::fs::write(&broken, b"PK\x03\x04 and nothing behind it").unwrap();
    refuse(&broken, &[], "this is not a TorchScript model, or it is damaged");

    let trained = folder.path().join("trained");
    succeed(["train", "--epochs", "1", "--out", text(&trained)]);
    refuse(
        &trained.join("model.pt"),
        &[],
        "continue from its weights with `--model ARCHITECTURE --init FILE`",
    );

    // A changed file is another model.
    succeed(["train", "--model", text(&file), "--epochs", "1", "--out", text(&out)]);
    let before = support::bits(&out);
    std::fs::copy(foreign(folder.path(), 11), &file).unwrap();
    let refused = run(["train", "--resume", text(&out), "--epochs", "2"]);
    assert!(stderr(&refused).contains("the model file's SHA-256"), "{}", stderr(&refused));
    assert!(support::bits(&out) == before);
}
