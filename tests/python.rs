//! The exported model in Python, and the same job done by PyTorch. Needs Python torch (3 GB): `make test-python`.

mod support;

use std::path::Path;
use std::process::Command;

use cresset::config::Config;
use cresset::data::InputShape;
use cresset::model::{Network, Task};
use cresset::pipeline::{self, Outcome};
use cresset::train::Silent;
use cresset_bridge::script::Module;
use support::{largest_difference, logits_of, root, stderr, succeed, text, unlabelled_digits};
use tch::Device;

/// Runs Python torch with these arguments, in the checkout.
fn python(arguments: &[&str]) -> String {
    let python = std::env::var("CRESSET_PYTHON").expect("`make test-python` sets CRESSET_PYTHON");
    let output = Command::new(python).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn the_python_example_computes_the_logits_of_the_training_process() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { epochs: 2, ..Config::default() };
    let run = pipeline::start(&config, Some(&folder.path().join("run"))).unwrap();
    let Outcome::Trained(trained) = pipeline::finish(run, &mut Silent, &|| false).unwrap() else {
        unreachable!()
    };
    let trained = trained.prepared;
    for count in [1, 2, 64] {
        let rows = unlabelled_digits(folder.path(), count);
        let model = folder.path().join("run/model.pt");
        let printed = python(&["examples/python/classify.py", text(&model), text(&rows)]);
        let raw = support::first_rows(&trained.dataset, count as i64);
        let native =
            tch::no_grad(|| trained.network.forward(&trained.preprocessing.apply(&raw), false).unwrap());
        let difference =
            largest_difference(&logits_of(&printed), &Vec::<Vec<f32>>::try_from(&native).unwrap());
        assert!(difference <= 1e-6, "{count} rows: {difference}");
    }
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn python_sees_names_modes_dtypes_and_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(["train", "--epochs", "1", "--out", text(&run)]);
    let script = r#"
import json, sys, torch
extra = {"metadata.json": ""}
model = torch.jit.load(sys.argv[1], _extra_files=extra)
assert list(model.state_dict()) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "preprocess.offset", "preprocess.scale"], list(model.state_dict())
assert json.loads(extra["metadata.json"])["classes"] == list(model.classes) == [str(i) for i in range(10)]
assert not model.training
model.train(); assert model.training and model.fc1.training
model.eval(); assert not model.fc1.training
x = torch.randint(0, 17, (3, 64))
expected = model(x.float())
for shape in [(3, 64), (3, 8, 8), (3, 1, 8, 8)]:
    for dtype in [torch.uint8, torch.float32]:
        assert torch.equal(model(x.reshape(shape).to(dtype)), expected), (shape, dtype)
classes, probabilities = model.predict(x)
assert torch.equal(classes, expected.argmax(-1)) and torch.allclose(probabilities, expected.softmax(-1))
try:
    model(torch.zeros(2, 32))
    raise SystemExit("a wrong width was accepted")
except Exception as error:
    assert "must have 64 values" in str(error), error
linear = torch.nn.Sequential(); linear.fc1 = torch.nn.Linear(64, 128); linear.fc2 = torch.nn.Linear(128, 10)
weights = {name: value for name, value in model.state_dict().items() if name.startswith("fc")}
linear.load_state_dict(weights, strict=True)
"#;
    python(&["-c", script, text(&run.join("model.pt"))]);
}

/// One seed of the job in PyTorch, on the rows that a run of ours held out.
fn accuracy_of_pytorch(seed: &str, split: &Path) -> f64 {
    let printed =
        python(&["benches/peers/digits_torch.py", "--mode", "plain", "--seed", seed, "--split", text(split)]);
    let figures: serde_json::Value = serde_json::from_str(printed.trim()).unwrap();
    figures["accuracy"].as_f64().unwrap()
}

/// The accuracy after the last epoch, which is when PyTorch's script measures.
fn accuracy_of_cresset(run: &Path) -> f64 {
    let metrics = std::fs::read_to_string(run.join("metrics.csv")).unwrap();
    metrics.lines().last().unwrap().split(',').nth(4).unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn over_ten_seeds_the_accuracy_is_that_of_pytorch() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ours, mut theirs) = (0., 0.);
    for seed in 0..10 {
        let (run, seed) = (folder.path().join(seed.to_string()), seed.to_string());
        succeed(["train", "--seed", &seed, "--out", text(&run)]);
        ours += accuracy_of_cresset(&run) / 10.;
        theirs += accuracy_of_pytorch(&seed, &run.join("split.csv")) / 10.;
    }
    println!(
        "mean held-out accuracy over 10 seeds: cresset {:.2} %, PyTorch {:.2} %",
        100. * ours,
        100. * theirs
    );
    assert!((ours - theirs).abs() <= 0.003, "cresset {ours}, PyTorch {theirs}");
}

/// The metrics are checked in Rust against figures; this shows where the figures are from.
#[test]
#[ignore = "needs Python torch: make test-python"]
fn the_figures_in_the_metrics_test_are_those_of_scikit_learn() {
    let script = r#"
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
t, p = [0, 0, 0, 0, 1, 1, 2], [0, 0, 0, 1, 1, 2, 2]
print(accuracy_score(t, p), balanced_accuracy_score(t, p), f1_score(t, p, average="macro"))
"#;
    let figures: Vec<f64> =
        python(&["-c", script]).split_whitespace().map(|word| word.parse().unwrap()).collect();
    for (figure, expected) in figures.iter().zip([5. / 7., 0.75, 0.674_603_174_603_174_6]) {
        assert!((figure - expected).abs() < 1e-12, "{figures:?}");
    }
}

/// torchvision's own modules take the weights of ours, and ours compute what they do.
#[test]
#[ignore = "needs Python torch: make test-python"]
fn torchvisions_modules_load_the_weights_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options, make) in [
        ("resnet18", "", "resnet18(num_classes=10)"),
        ("resnet34", "", "resnet34(num_classes=10)"),
        ("resnet50", "", "resnet50(num_classes=10)"),
        (
            "vit",
            "patch=16,depth=2,heads=2,width=32",
            "VisionTransformer(32, 16, 2, 2, 32, 128, num_classes=10)",
        ),
    ] {
        let task = Task { input: InputShape(vec![3, 32, 32]), classes: 10 };
        let network = Network::new(name, options, &task, Device::Cpu, 5).unwrap();
        let (source, class, values) = network.layers().unwrap().class("Model", "forward").compile().unwrap();
        let path = folder.path().join("model.pt");
        Module::from_source(&source, &class, &values).unwrap().save(&path, &[]).unwrap();
        let script = r#"
import sys, torch
from torchvision.models import *
from torchvision.models.vision_transformer import VisionTransformer
ours = torch.jit.load(sys.argv[1]).eval()
theirs = eval(sys.argv[2]).eval()
missing = set(theirs.state_dict()) ^ set(ours.state_dict())
assert not missing, missing
theirs.load_state_dict(ours.state_dict())
x = torch.randn(2, 3, 32, 32)
difference = (ours(x) - theirs(x)).abs().max().item()
assert difference < 1e-5, difference
"#;
        python(&["-c", script, text(&path), make]);
    }
}

/// torchvision's resnet18 of a thousand classes, scripted, as people have it.
#[test]
#[ignore = "needs Python torch: make test-python"]
fn torchvisions_resnet18_trains_as_it_is_and_python_loads_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("resnet18.pt"), folder.path().join("run"));
    let script = r#"
import sys, torch, torchvision
torch.jit.script(torchvision.models.resnet18(num_classes=1000)).save(sys.argv[1])
"#;
    python(&["-c", script, text(&file)]);
    let pictures = folder.path().join("pictures");
    support::color_pictures(&pictures, 24);
    let train =
        ["train", "--model", text(&file), "--data", text(&pictures), "--epochs", "4", "--image-size", "32"];
    succeed([&train[..], &["--batch-size", "16", "--out", text(&out)]].concat());
    let script = r#"
import sys, torch, torchvision
exported = torch.jit.load(sys.argv[1])
x = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
own = torchvision.models.resnet18(num_classes=3)
own.load_state_dict({name.removeprefix("network."): value for name, value in exported.state_dict().items() if name.startswith("network.")})
own.eval()
with torch.inference_mode():
    expected = own((x - exported.preprocess.offset) / exported.preprocess.scale)
    assert torch.allclose(exported(x), expected, atol=1e-5), (exported(x) - expected).abs().max()
    assert exported(x[:1]).shape == (1, 3)
"#;
    python(&["-c", script, text(&out.join("model.pt"))]);
}
