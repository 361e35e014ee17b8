//! What Python makes of an exported model, and the same job done by PyTorch.

use std::path::Path;

use cresset::distributed::World;
use cresset::options::Config;
use cresset::run::{self, Outcome};
use cresset::train::Silent;

use super::python;
use crate::programs::native_logits_of;
use crate::support::mixed::{mixed_run, unusual_rows, write_rows};
use crate::support::targets::{predicted, prices_run, tags_run};
use crate::support::{self, largest_difference, logits_of, succeed, text};
use crate::tasks::{Inputs, prices, tags};

#[test]
#[ignore = "needs Python torch: make test-python"]
fn the_python_example_computes_the_logits_of_the_training_process() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { epochs: 2, ..Config::default() };
    let run = run::start(&config, Some(&folder.path().join("run")), &World::alone()).unwrap();
    let Outcome::Trained(trained) = run::finish(run, &mut Silent, &|| false).unwrap() else { unreachable!() };
    let trained = trained.prepared;
    let images = support::digit_images(folder.path(), &trained.dataset, 16);
    let model = folder.path().join("run/model.pt");
    let arguments: Vec<_> = [&model].into_iter().chain(&images).map(|path| text(path)).collect();
    let printed = python(&[&["examples/python/classify.py"], &arguments[..]].concat());
    let expected: Vec<_> = images.iter().map(|path| native_logits_of(&trained, path)).collect();
    let difference = largest_difference(&logits_of(&printed, 3), &expected);
    assert!(difference <= 1e-6, "{difference}");
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn python_gets_prediction_sets() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    support::train_once(&out, &["--epochs", "2", "--coverage", "0.9"]);
    let model = out.join("model.pt");
    let threshold = cresset::predict::metadata(&model).unwrap().conformal.unwrap().threshold.to_string();
    let script = "import sys, torch\nmodel = torch.jit.load(sys.argv[1])\nsets, found = model.predict_set(torch.rand(9, 64) * 16)\n\
                  print(sets.dtype, tuple(sets.shape), torch.equal(sets, found >= float(sys.argv[2])))";
    let printed = python(&["-c", script, text(&model), &threshold]);
    assert_eq!(printed.trim(), "torch.bool (9, 10) True");
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn python_gets_energies() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    support::train_once(&out, &["--epochs", "2", "--ood", "0.1"]);
    let model = out.join("model.pt");
    let ood = cresset::predict::metadata(&model).unwrap().ood.unwrap();
    let script = "import sys, torch\nmodel = torch.jit.load(sys.argv[1])\nx = torch.rand(9, 64) * 16\n\
                  energy, is_ood = model.energy(x), model.is_ood(x)\n\
                  print(energy.dtype, torch.allclose(energy, -torch.logsumexp(model(x), -1)), is_ood.dtype, \
                  torch.equal(is_ood, energy > float(sys.argv[2])))";
    let printed = python(&["-c", script, text(&model), &ood.threshold.unwrap().to_string()]);
    assert_eq!(printed.trim(), "torch.float32 True torch.bool True");
}

/// Writes inputs beside a run and lets a script load them with the model: `model`, `inputs`, and `lines` of `cresset predict`.
fn python_with_predictions(run: &Path, inputs: &Inputs, script: &str) -> String {
    let model = run.join("model.pt");
    let (values, lines) = (run.join("values.json"), run.join("lines.json"));
    let rows = Vec::<Vec<f32>>::try_from(&inputs.values).unwrap();
    std::fs::write(&values, serde_json::to_string(&rows).unwrap()).unwrap();
    std::fs::write(&lines, serde_json::to_string(&predicted(&model, &inputs.file)).unwrap()).unwrap();
    let head = "import json, sys, torch\nmodel = torch.jit.load(sys.argv[1])\n\
                inputs, lines = torch.tensor(json.load(open(sys.argv[2]))), json.load(open(sys.argv[3]))\n";
    python(&["-c", &format!("{head}{script}"), text(&model), text(&values), text(&lines)])
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn python_gets_labels_and_their_probabilities() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
labels, probabilities = model.predict(inputs)
names = list(model.classes)
assert labels.dtype == torch.bool and labels.shape == probabilities.shape == (len(lines), 3)
for line, found, shares in zip(lines, labels.tolist(), probabilities.tolist()):
    assert [name for name, is_found in zip(names, found) if is_found] == line["labels"], line
    assert all(abs(share - line["probabilities"][name]) < 1e-5 for name, share in zip(names, shares)), line
assert torch.allclose(probabilities, torch.sigmoid(model(inputs)))
print(names)
"#;
    let said = python_with_predictions(&tags_run(folder.path()), &tags(folder.path()), script);
    assert_eq!(said.trim(), "['hot', 'rare', 'wide']");
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn python_gets_numbers_and_their_intervals() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
values, intervals = model.predict(inputs)
assert values.shape == (len(lines),) and intervals.shape == (len(lines), 2)
for line, value, interval in zip(lines, values.tolist(), intervals.tolist()):
    assert abs(value - line["value"]) < 1e-3, (value, line)
    assert all(abs(a - b) < 1e-3 for a, b in zip(interval, line["interval"])), (interval, line)
assert torch.equal(model(inputs)[:, 0], values)
print("sound")
"#;
    let said = python_with_predictions(&prices_run(folder.path()), &prices(folder.path()), script);
    assert_eq!(said.trim(), "sound");
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn python_gets_distances_to_training_features() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    support::train_once(&out, &["--model", "cnn", "--epochs", "2", "--ood", "0.1", "--ood-score", "knn"]);
    let model = out.join("model.pt");
    let ood = cresset::predict::metadata(&model).unwrap().ood.unwrap();
    let script = "import sys, torch\nmodel = torch.jit.load(sys.argv[1])\nx = torch.rand(9, 64) * 16\n\
                  score, is_ood = model.ood_score(x), model.is_ood(x)\n\
                  unit = torch.nn.functional.normalize(model.features(x))\n\
                  expected = torch.cdist(unit, model.ood_bank).kthvalue(int(sys.argv[3])).values\n\
                  print(score.dtype, torch.allclose(score, expected, atol=1e-3), is_ood.dtype, \
                  torch.equal(is_ood, score > float(sys.argv[2])))";
    let (threshold, k) = (ood.threshold.unwrap().to_string(), ood.k.unwrap().to_string());
    let printed = python(&["-c", script, text(&model), &threshold, &k]);
    assert_eq!(printed.trim(), "torch.float32 True torch.bool True");
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn python_loads_the_models_of_all_heads_and_their_embeddings() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
import base64, json, sys, numpy, torch
path, npy, names, head = sys.argv[1:]
extra = {"verification.json": ""}
model = torch.jit.load(path, _extra_files=extra)
recorded = json.loads(extra["verification.json"])
inputs, logits = (
    torch.frombuffer(bytearray(base64.b64decode(of["values"])), dtype=getattr(torch, of["dtype"])).view(of["shape"])
    for of in (recorded["inputs"], recorded["logits"])
)
digits = numpy.loadtxt("data/digits.csv", delimiter=",", dtype=numpy.float32)
x = torch.from_numpy(digits[:, :64].copy())
embeddings = numpy.load(npy)
assert embeddings.dtype == numpy.float32 and embeddings.flags.c_contiguous and len(embeddings) == len(x)
labels = numpy.loadtxt(names, delimiter=",", dtype=str, skiprows=1)
assert (labels[:, 1].astype(int) == digits[:, 64]).all()
with torch.inference_mode():
    assert (model(inputs) - logits).abs().max() < 1e-4
    assert numpy.allclose(embeddings, model.features(x).numpy(), rtol=1e-4, atol=1e-4)
    found, probabilities = model.predict(x)
    assert torch.equal(found, probabilities.argmax(-1)) and (probabilities.sum(-1) - 1).abs().max() < 1e-5
    assert torch.isfinite(model(torch.zeros(2, 64))).all()
accuracy = (found.numpy() == digits[:, 64]).mean()
assert accuracy > 0.8, accuracy
if head == "knn":
    # The log-probabilities, computed by numpy from the embeddings.
    state = {name.split(".")[-1]: value.numpy() for name, value in model.state_dict().items() if ".bank" in name or ".labels" in name}
    unit = embeddings / numpy.linalg.norm(embeddings, axis=1, keepdims=True)
    similarities = unit @ state["bank"].T
    nearest = numpy.argsort(-similarities, axis=1, kind="stable")[:, :5]
    weights = numpy.exp(numpy.take_along_axis(similarities, nearest, 1) / 0.07)
    votes = numpy.zeros((len(x), 10))
    for column in range(5):
        numpy.add.at(votes, (numpy.arange(len(x)), state["labels"][nearest[:, column]]), weights[:, column])
    votes /= votes.sum(1, keepdims=True)
    difference = numpy.abs(probabilities.numpy() - votes).max(1)
    # Rounding may exchange equally similar neighbors.
    assert (difference < 1e-3).mean() > 0.99, difference.max()
"#;
    for (head, options) in [("linear", ""), ("mlp", "width=32,epochs=30"), ("knn", "k=5")] {
        let path = |name: &str| folder.path().join(format!("{head}{name}"));
        let (run, npy, names) = (path(""), path(".npy"), path(".csv"));
        let options = ["--head-only", "--head", head, "--head-options", options, "--model", "cnn"];
        succeed(["train", "--recipe", "none", "--out", text(&run)].iter().chain(&options));
        succeed(["embed", text(&run), "--out", text(&npy), "--names", text(&names)]);
        python(&["-c", script, text(&run.join("model.pt")), text(&npy), text(&names), head]);
    }
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn python_runs_an_int8_model() {
    let folder = tempfile::tempdir().unwrap();
    for model in ["cnn", "lstm"] {
        let run = folder.path().join(model);
        succeed(["train", "--model", model, "--epochs", "1", "--out", text(&run)]);
        succeed(["compress", text(&run), "--quantize", "int8"]);
        let int8 = run.join("compressed/int8.pt");
        let script = r#"
import base64, json, sys, torch
extra = {"verification.json": ""}
model = torch.jit.load(sys.argv[1], _extra_files=extra)
recorded = json.loads(extra["verification.json"])
inputs, logits = (
    torch.frombuffer(bytearray(base64.b64decode(of["values"])), dtype=getattr(torch, of["dtype"])).view(of["shape"])
    for of in (recorded["inputs"], recorded["logits"])
)
with torch.inference_mode():
    assert (model(inputs) - logits).abs().max() < 1e-4
    classes, probabilities = model.predict(inputs)
assert torch.equal(classes, logits.argmax(-1)) and len(model.classes) == probabilities.shape[1]
"#;
        python(&["-c", script, text(&int8)]);
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

#[test]
#[ignore = "needs Python torch: make test-python"]
fn python_classifies_raw_cells() {
    let folder = tempfile::tempdir().unwrap();
    let run = mixed_run(folder.path(), &["--recipe", "none"]);
    let rows = unusual_rows();
    let table = write_rows(folder.path(), &rows);
    let frozen = folder.path().join("frozen.pt");
    succeed(["export", text(&run), "--freeze", "--output", text(&frozen)]);
    for file in [run.join("model.pt"), frozen] {
        let printed = python(&["examples/python/classify_table.py", text(&file), text(&table)]);
        let lines = predicted(&file, &table);
        for (shown, line) in printed.lines().zip(&lines) {
            let (class, probability) = shown.rsplit_once(' ').unwrap();
            assert_eq!(line["predictions"][0]["class"], *class);
            let expected = line["probabilities"][class].as_f64().unwrap();
            assert!((probability.parse::<f64>().unwrap() - expected).abs() < 1e-5, "{shown}: {line}");
        }
        assert_eq!(printed.lines().count(), rows.len());
    }
    let script = r#"
import csv, sys, torch
model = torch.jit.load(sys.argv[1])
names = ["size", "price", "share", "color", "city", "grade", "paid", "at", "tags", "buyer", "note"]
assert model.column_names() == names and model.numeric_column_names() == names[:3] and model.text_column_names() == names[3:]
rows = [[row[name] for name in names] for row in csv.DictReader(open(sys.argv[2], newline=""))]
expected = model.encode_table(rows)
found = model.encode_columns(expected[:, :3].double(), [row[3:] for row in rows])
assert torch.equal(found.nan_to_num(7.5), expected.nan_to_num(7.5)) and found.dtype == torch.float32
assert torch.equal(model.predict_columns(expected[:, :3], [row[3:] for row in rows])[1], model.predict(expected)[1])
assert model.predict_table([])[1].shape == (0, 2)
rows[1][6] = "maybe"
try:
    model.predict_table(rows)
    raise SystemExit("a cell that is no boolean was accepted")
except Exception as error:
    assert "row 2, column 7 (paid): `maybe` is not a boolean" in str(error), error
"#;
    python(&["-c", script, text(&run.join("model.pt")), text(&table)]);
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn python_loads_the_variants() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(["train", "--model", "cnn", "--model-options", "width=8", "--epochs", "1", "--out", text(&run)]);
    let script = r#"
import sys, torch
plain, variant = (torch.jit.load(path) for path in sys.argv[1:3])
x = torch.randint(0, 17, (5, 1, 11, 9), dtype=torch.uint8)
with torch.inference_mode():
    expected = plain(x)
    assert torch.allclose(variant(x), expected, atol=float(sys.argv[3])), (variant(x) - expected).abs().max()
    assert variant(x).dtype == variant.features(x).dtype == torch.float32
    assert variant.class_names() == list(plain.classes) == list(variant.classes)
    assert variant.predict(variant.pixels(x))[1].shape == (5, 10)
"#;
    for (number, (options, tolerance)) in
        [(&["--optimize"] as &[&str], "1e-5"), (&["--dtype", "bf16", "--freeze"], "0.3")].iter().enumerate()
    {
        let variant = folder.path().join(format!("{number}.pt"));
        succeed([&["export", text(&run), "--output", text(&variant)], *options].concat());
        python(&["-c", script, text(&run.join("model.pt")), text(&variant), tolerance]);
    }
}

/// One seed of the job in PyTorch, on the rows that our run uses for validation.
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
        "mean validation accuracy over 10 seeds: cresset {:.2} %, PyTorch {:.2} %",
        100. * ours,
        100. * theirs
    );
    assert!((ours - theirs).abs() <= 0.003, "cresset {ours}, PyTorch {theirs}");
}

/// The metrics are checked in Rust against figures; this shows where the figures are from.
#[test]
#[ignore = "needs Python torch: make test-python"]
fn the_values_in_the_metrics_test_are_those_of_scikit_learn() {
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
