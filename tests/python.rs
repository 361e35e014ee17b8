//! The exported model in Python, and the same job done by PyTorch. Needs Python torch (3 GB): `make test-python`.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use cresset::config::Config;
use cresset::data::InputShape;
use cresset::model::{Network, Task};
use cresset::pipeline::{self, Outcome};
use cresset::train::Silent;
use cresset::weights::{self, Matching};
use cresset_bridge::script::Module;
use support::{largest_difference, logits_of, root, stderr, succeed, text, unlabelled_digits};
use tch::{Device, Tensor};

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

/// Writes files of weights into a folder, and prints for each what is in it: by its name, a tensor's dtype, its size, and the
/// SHA-256 of its values.
const WRITE_WEIGHTS: &str = r#"
import argparse, hashlib, json, sys, torch
from torchvision.models import resnet18
torch.manual_seed(1)
folder, contents = sys.argv[1], {}
def expect(file, tensors):
    def entry(t):
        t = t.detach().contiguous()
        values = t.reshape(-1).view(torch.uint8) if t.dim() else t.reshape(1).view(torch.uint8)
        return [str(t.dtype), list(t.shape), hashlib.sha256(values.numpy().tobytes()).hexdigest()]
    contents[file] = {name: entry(t) for name, t in tensors.items()}
def save(file, value, tensors, **options):
    torch.save(value, f"{folder}/{file}", **options)
    expect(file, tensors)
def prefixed(prefix, tensors): return {prefix + name: t for name, t in tensors.items()}
model = resnet18(weights=None).eval()
state = model.state_dict()
save("zip.pt", state, state)
save("legacy.pth", state, state, _use_new_zipfile_serialization=False)
save("protocol5.pt", state, state, pickle_protocol=5)
save("whole.pt", model, state)
save("half.pt", {k: t.half() if t.is_floating_point() else t for k, t in state.items()},
     {k: t.half() if t.is_floating_point() else t for k, t in state.items()})
parallel = torch.nn.DataParallel(model).state_dict()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
model(torch.randn(2, 3, 32, 32)).sum().backward(); optimizer.step()
moments = {f"optimizer.state.{i}.momentum_buffer": s["momentum_buffer"] for i, s in optimizer.state_dict()["state"].items()}
checkpoint = {"state_dict": parallel, "epoch": 3, "args": argparse.Namespace(lr=0.1, data="/x"), "best": 71.5,
              "optimizer": optimizer.state_dict()}
for file, options in [("checkpoint.pt", {}), ("checkpoint-legacy.pt", {"_use_new_zipfile_serialization": False})]:
    save(file, checkpoint, prefixed("state_dict.", parallel) | moments, **options)
torch.jit.script(model).save(f"{folder}/script.pt")
expect("script.pt", model.state_dict())
torch.jit.trace(model, torch.randn(1, 3, 32, 32)).save(f"{folder}/trace.pt")
expect("trace.pt", model.state_dict())
base = torch.arange(24.).reshape(4, 6)
views = {"base": base, "turned": base.t(), "row": base[2], "column": base[:, 1], "block": base[1:3, 2:5], "every": base[::2, ::3],
         "last": torch.randn(3, 4, 5).permute(2, 0, 1), "image": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
         "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3), "parameter": torch.nn.Parameter(torch.randn(3))}
for dtype in ["float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]:
    views[dtype] = torch.tensor([0, 1, 100, 3]).to(getattr(torch, dtype))
save("views.pt", views, views)
save("views-legacy.pt", views, views, _use_new_zipfile_serialization=False)
save("nested.pt", {"a": [base, {"b": (base.t(), 3)}], 7: base}, {"a.0": base, "a.1.b.0": base.t(), "7": base})
save("alone.pt", base, {"tensor": base})
try:
    from safetensors.torch import save_file
    save_file(state, f"{folder}/state.safetensors"); expect("state.safetensors", state)
except ImportError:
    pass
print(json.dumps(contents))
"#;

/// What Python prints of a tensor.
fn described(tensor: &Tensor) -> serde_json::Value {
    let tensor = tensor.contiguous();
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.copy_data_u8(&mut bytes, tensor.numel());
    let dtype = match tensor.kind() {
        tch::Kind::Float => "float32",
        tch::Kind::Double => "float64",
        tch::Kind::Half => "float16",
        tch::Kind::BFloat16 => "bfloat16",
        tch::Kind::Int64 => "int64",
        tch::Kind::Int => "int32",
        tch::Kind::Int16 => "int16",
        tch::Kind::Int8 => "int8",
        tch::Kind::Uint8 => "uint8",
        tch::Kind::Bool => "bool",
        other => panic!("{other:?}"),
    };
    serde_json::json!([format!("torch.{dtype}"), tensor.size(), cresset::data::sha256(&bytes)])
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn every_tensor_that_pytorch_saved_is_read_with_its_bits() {
    let folder = tempfile::tempdir().unwrap();
    let printed = python(&["-c", WRITE_WEIGHTS, text(folder.path())]);
    let files: BTreeMap<String, BTreeMap<String, serde_json::Value>> =
        serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    for (file, expected) in &files {
        let read = weights::read(&folder.path().join(file)).unwrap();
        let found: BTreeMap<String, _> =
            read.iter().map(|(name, tensor)| (name.clone(), described(tensor))).collect();
        let names: Vec<_> = found.keys().collect();
        assert_eq!(names, expected.keys().collect::<Vec<_>>(), "{file}");
        for (name, entry) in expected {
            assert_eq!(&found[name], entry, "{file}: {name}");
        }
        println!("{file}: {} tensors", found.len());
    }

    let model = weights::read(&folder.path().join("zip.pt")).unwrap();
    for file in ["legacy.pth", "whole.pt", "checkpoint.pt", "checkpoint-legacy.pt", "script.pt", "half.pt"] {
        let read = weights::read(&folder.path().join(file)).unwrap();
        let matching = Matching::of(&model, &read).unwrap();
        assert_eq!(matching.matched.len(), 122, "{file}");
        matching.apply(&model, &read).unwrap();
        let summary = matching.summary();
        assert!(summary.starts_with("122 of 122 tensors matched"), "{file}: {summary}");
        println!("{file}: {summary}");
    }
}

/// captum's integrated gradients on the same exported models, and ours.
#[test]
#[ignore = "needs Python torch: make test-python"]
fn explanations_agree_with_captum() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
import sys, numpy, torch
from captum.attr import IntegratedGradients
model = torch.jit.load(sys.argv[1])
digits = torch.tensor(numpy.loadtxt("data/digits.csv", delimiter=",", max_rows=3)[:, :64], dtype=torch.float32)
for row, x in enumerate(digits):
    x = x.reshape(1, 1, 8, 8)
    target = int(model(x).argmax())
    theirs = IntegratedGradients(model).attribute(x, torch.zeros_like(x), target=target, n_steps=256).flatten()
    ours = torch.from_numpy(numpy.load(f"{sys.argv[2]}/digits-{row + 1}.integrated-gradients.npy")).flatten()
    print(float(torch.cosine_similarity(theirs.double(), ours.double(), dim=0)))
"#;
    for (model, options) in [("cnn", "width=8"), ("resnet9", "width=8"), ("vit", "width=32,depth=2")] {
        let (out, explained) = (folder.path().join(model), folder.path().join(format!("{model}-explained")));
        succeed([
            "train",
            "--model",
            model,
            "--model-options",
            options,
            "--epochs",
            "3",
            "--out",
            text(&out),
        ]);
        let file = out.join("model.pt");
        succeed(["explain", text(&file), "data/digits.csv", "--limit", "3", "--out", text(&explained)]);
        let printed = python(&["-c", script, text(&file), text(&explained)]);
        let cosines: Vec<f64> = printed.lines().map(|line| line.parse().unwrap()).collect();
        println!("{model}: {cosines:?}");
        assert!(cosines.len() == 3 && cosines.iter().all(|cosine| *cosine >= 0.99), "{model}: {printed}");
    }
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn python_reads_a_checkpoints_weights() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    succeed(["train", "--epochs", "1", "--out", text(&out)]);
    let script = r#"
import sys, torch
from safetensors.torch import load_file
model = torch.jit.load(sys.argv[1] + "/model.pt").state_dict()
best = load_file(sys.argv[1] + "/checkpoints/best.safetensors")
assert sorted(best) == ["fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight"], list(best)
assert all(torch.equal(model[name], value) for name, value in best.items())
"#;
    python(&["-c", script, text(&out)]);
}
