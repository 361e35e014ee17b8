//! torch.export packages in Python: `torch.export.load`, `torch.compile` and AOTInductor.

use std::path::Path;

use super::python;
use super::torchvision::{MODULES, modules};
use crate::pt2::{BATCHES, PACKAGE, architecture, check, pixels, rows, table, write};
use crate::support::sizes::{is_for_images, is_larger, is_small};
use crate::support::{largest_difference, logits_of, root, succeed, text, unlabelled_digits};
use cresset::export::ExportedModel;
use cresset::model::ARCHITECTURES;
use cresset_bridge::script::Module;
use tch::{Device, Kind, Tensor};

/// Writes a package, and beside it inputs of each batch size with the logits of the module. Libtorch's interpreter must compute
/// them, too.
fn put(folder: &Path, name: &str, exported: &ExportedModel, input: impl Fn(i64) -> Tensor) {
    check(folder, name, exported, &input);
    std::fs::rename(folder.join(PACKAGE), folder.join(format!("{name}.pt2"))).unwrap();
    for batch in BATCHES {
        let inputs = input(batch);
        let logits = tch::no_grad(|| exported.module.call("forward", &inputs)).unwrap().remove(0);
        inputs.write_npy(folder.join(format!("{name}.{batch}.input.npy"))).unwrap();
        logits.detach().write_npy(folder.join(format!("{name}.{batch}.logits.npy"))).unwrap();
    }
}

/// Loads each package in a folder, and compares its logits with those beside it.
const COMPARE: &str = r#"
import pathlib, sys, numpy, torch

def compared(model, path):
    for inputs in path.parent.glob(path.stem + ".*.input.npy"):
        x = torch.from_numpy(numpy.load(inputs))
        expected = torch.from_numpy(numpy.load(str(inputs).replace("input.npy", "logits.npy")))
        with torch.no_grad():
            logits = model(x)
        assert (logits.shape, logits.dtype) == (expected.shape, expected.dtype), (path, logits.shape)
        difference = (logits - expected).abs().max().item()
        assert difference <= 1e-5 * max(1, expected.abs().max().item()), (path, tuple(x.shape), difference)

count = 0
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.pt2")):
    try:
        program = torch.export.load(path)
        program.validate()
        compared(program.module(), path)
        if path.stem in sys.argv[2:]:
            compared(torch.compile(program.module(), dynamic=True), path)
            compiled = torch._inductor.aoti_compile_and_package(program, package_path=str(path) + ".compiled.pt2")
            compared(torch._inductor.aoti_load_package(compiled), path)
    except Exception as error:
        raise SystemExit(f"{path.stem}: {type(error).__name__}: {error}")
    count += 1
print(count)
"#;

#[test]
#[ignore = "needs Python torch: make test-python"]
fn python_computes_the_same_from_packages_of_all_architectures() {
    let folder = tempfile::tempdir().unwrap();
    let names = ARCHITECTURES.iter().map(|known| known.name);
    let names = names.filter(|name| !is_larger(name) && is_for_images(name));
    let mut count = 0;
    for name in names {
        let shape = if is_small(name) { [1, 8, 8] } else { [3, 37, 52] };
        let exported = architecture(folder.path(), name, "", shape);
        let limit = if is_small(name) { 64 } else { 3 };
        put(folder.path(), name, &exported, |batch| pixels(batch.min(limit), &shape));
        count += 1;
    }
    put(folder.path(), "table", &table(folder.path()), rows);
    let printed = python(&["-c", COMPARE, text(folder.path())]);
    assert_eq!(printed.trim(), (count + 1).to_string());
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn packages_of_torchvisions_modules_compute_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for (name, exported) in modules(folder.path()) {
        let input = |batch: i64| Tensor::randn([batch.min(3), 3, 224, 224], (Kind::Float, Device::Cpu));
        put(folder.path(), name, &exported, input);
    }
    let printed = python(&["-c", COMPARE, text(folder.path())]);
    assert_eq!(printed.trim(), MODULES.len().to_string());
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn pytorch_compiles_packages() {
    let folder = tempfile::tempdir().unwrap();
    let shape = [1, 8, 8];
    for (name, options) in [("mlp", ""), ("cnn", "width=8"), ("lstm", "width=8"), ("vit", "width=32,depth=1")]
    {
        let exported = architecture(folder.path(), name, options, shape);
        put(folder.path(), name, &exported, |batch| pixels(batch, &shape));
    }
    let printed = python(&["-c", COMPARE, text(folder.path()), "mlp", "cnn", "lstm", "vit"]);
    assert_eq!(printed.trim(), "4");
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn python_trains_on_from_a_package() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pt2");
    write(&architecture(folder.path(), "mlp", "", [1, 8, 8]), &path);
    let script = r#"
import sys, torch
program = torch.export.load(sys.argv[1])
model = program.module()
names = [name for name, _ in model.named_parameters()]
assert names == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"], names
model(torch.rand(2, 1, 8, 8)).square().sum().backward()
assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())
for shape in [(2, 1, 8, 7), (2, 64)]:
    try:
        model(torch.ones(shape))
        raise SystemExit(f"{shape} was accepted")
    except (RuntimeError, AssertionError, ValueError):
        pass
# What the writer takes for granted, for the update of PyTorch.
assert torch._export.serde.schema.SCHEMA_VERSION[0] == 8, torch._export.serde.schema.SCHEMA_VERSION
assert torch._C._get_max_operator_version() == 10
"#;
    python(&["-c", script, text(&path)]);
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn the_python_example_compiles_a_package_and_computes_the_logits_of_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let (out, package) = (folder.path().join("run"), folder.path().join("model.pt2"));
    succeed(["train", "--epochs", "1", "--out", text(&out)]);
    succeed(["export", text(&out), "--output", text(&package)]);
    let rows = unlabelled_digits(folder.path(), 5);
    let example = root().join("examples/python/classify_pt2.py");
    let found = logits_of(&python(&[text(&example), text(&package), text(&rows)]), 2);
    let rows = std::fs::read_to_string(rows).unwrap();
    let values: Vec<f32> = rows.split([',', '\n']).filter_map(|cell| cell.parse().ok()).collect();
    let (module, _) = Module::load(&out.join("model.pt"), Device::Cpu, &[]).unwrap();
    let expected = module.call("forward", &Tensor::from_slice(&values).view([5, 64])).unwrap().remove(0);
    let expected = expected.detach().to_kind(Kind::Float);
    let difference = largest_difference(&found, &Vec::<Vec<f32>>::try_from(&expected).unwrap());
    assert!(difference <= 1e-4, "{difference}");
}
