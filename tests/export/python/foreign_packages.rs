//! torch.export packages that Python wrote, and those that AOTInductor compiled, in the commands.

use std::path::{Path, PathBuf};

use cresset::predict::Classifier;
use tch::{Device, Tensor};

use super::{python, python_with_transformers};
use crate::support::{self, run, stderr, succeed, text, unlabelled_digits};

/// Exports models of torchvision and timm with the metadata of a model of ours, and writes inputs and logits beside them.
const EXPORT: &str = r#"
import pathlib, sys, numpy, timm, torch, torchvision

folder, metadata = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).read_text()
torch.manual_seed(1)
vit = torchvision.models.VisionTransformer(40, 8, 2, 2, 32, 64, num_classes=3)
torch.nn.init.normal_(vit.heads[-1].weight)
models = {
    "resnet18": torchvision.models.resnet18(num_classes=3),
    "mobilenet_v3_small": torchvision.models.mobilenet_v3_small(num_classes=3),
    "vit": vit,
    "timm_vit": timm.create_model("vit_tiny_patch16_224", img_size=40, patch_size=8, num_classes=3),
    "swin_t": torchvision.models.swin_t(num_classes=3),
}
batch = torch.export.Dim("batch", min=1, max=512)
for name, model in models.items():
    model = model.eval()
    inputs = torch.rand(5, 3, 40, 40)
    with torch.no_grad():
        logits = model(inputs)
    numpy.save(folder / f"{name}.input.npy", inputs.numpy())
    numpy.save(folder / f"{name}.logits.npy", logits.numpy())
    free = torch.export.export(model, (inputs,), dynamic_shapes=({0: batch},))
    torch.export.save(free, folder / f"{name}.pt2", extra_files={"metadata.json": metadata})
    fixed = torch.export.export(model, (inputs[:2],))
    torch.export.save(fixed, folder / f"{name}.fixed.pt2", extra_files={"metadata.json": metadata})
    torch.export.save(free, folder / f"{name}.plain.pt2")
"#;

/// A run on images of three colors, 40×40, and its metadata as a file.
fn images(folder: &Path) -> (PathBuf, PathBuf) {
    let (images, out, metadata) = (folder.join("images"), folder.join("run"), folder.join("metadata.json"));
    support::color_images(&images, 12);
    succeed([
        "train",
        "--data",
        text(&images),
        "--model",
        "cnn",
        "--model-options",
        "width=4",
        "--epochs",
        "1",
        "--out",
        text(&out),
    ]);
    let own = cresset::predict::metadata(&out.join("model.pt")).unwrap();
    std::fs::write(&metadata, serde_json::to_string(&own).unwrap()).unwrap();
    (images, metadata)
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn models_of_torchvision_and_timm_exported_by_python_are_classified_with() {
    let folder = tempfile::tempdir().unwrap();
    let (images, metadata) = images(folder.path());
    python(&["-c", EXPORT, text(folder.path()), text(&metadata)]);
    for name in ["resnet18", "mobilenet_v3_small", "vit", "timm_vit"] {
        for form in ["pt2", "fixed.pt2"] {
            let path = folder.path().join(format!("{name}.{form}"));
            assert_computes_the_logits_of_python(folder.path(), name, &path);
            assert_eq!(succeed(["predict", text(&path), text(&images)]).lines().count(), 37, "{name}.{form}");
        }
        let plain = folder.path().join(format!("{name}.plain.pt2"));
        let refused = run(["predict", text(&plain), text(&images)]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(
            stderr(&refused).contains("was not exported by cresset: it has no metadata.json"),
            "{}",
            stderr(&refused)
        );
        let said = succeed(["inspect", text(&plain)]);
        assert!(
            said.contains("torch.export package of PyTorch 2.11.0") && !said.contains("REFUSED"),
            "{name}: {said}"
        );
    }
    let out = folder.path().join("tuned");
    let plain = folder.path().join("resnet18.plain.pt2");
    let options = ["--data", text(&images), "--model", "resnet18", "--epochs", "1", "--init", text(&plain)];
    let output = run(["train", "--verbose", "--out", text(&out)].iter().chain(&options));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("122 of 122 tensors"), "{}", stderr(&output));
    // libtorch computes a product in it incorrectly.
    let refused = run(["predict", text(&folder.path().join("swin_t.pt2")), text(&images)]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("it multiplies a slice by a number"), "{}", stderr(&refused));
}

/// Exports classifiers of transformers as they are, whose output is a dictionary.
const EXPORT_OF_TRANSFORMERS: &str = r#"
import pathlib, sys, numpy, torch, transformers

folder, metadata = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).read_text()
torch.manual_seed(1)
sizes = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=40, patch_size=8, num_labels=3)
stages = dict(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_labels=3)
models = {
    "vit": transformers.ViTForImageClassification(transformers.ViTConfig(intermediate_size=64, **sizes)),
    "dinov2": transformers.Dinov2ForImageClassification(transformers.Dinov2Config(**sizes)),
    "resnet": transformers.ResNetForImageClassification(transformers.ResNetConfig(embedding_size=8, **stages)),
    "convnext": transformers.ConvNextForImageClassification(transformers.ConvNextConfig(**stages)),
}
batch = torch.export.Dim("batch", min=1, max=512)
for name, model in models.items():
    model, inputs = model.eval(), torch.rand(5, 3, 40, 40)
    with torch.no_grad():
        logits = model(inputs).logits
    numpy.save(folder / f"{name}.input.npy", inputs.numpy())
    numpy.save(folder / f"{name}.logits.npy", logits.numpy())
    program = torch.export.export(model, (inputs,), dynamic_shapes=({0: batch},))
    torch.export.save(program, folder / f"{name}.pt2", extra_files={"metadata.json": metadata})
"#;

#[test]
#[ignore = "needs Python torch and transformers: make test-python"]
fn models_of_transformers_exported_by_python_are_classified_with() {
    let folder = tempfile::tempdir().unwrap();
    let (images, metadata) = images(folder.path());
    python_with_transformers(&["-c", EXPORT_OF_TRANSFORMERS, text(folder.path()), text(&metadata)]);
    for name in ["vit", "dinov2", "resnet", "convnext"] {
        let path = folder.path().join(format!("{name}.pt2"));
        assert_computes_the_logits_of_python(folder.path(), name, &path);
        assert_eq!(succeed(["predict", text(&path), text(&images)]).lines().count(), 37, "{name}");
    }
}

/// Compares the model in `path` with the logits NAME.logits.npy of NAME.input.npy.
fn assert_computes_the_logits_of_python(folder: &Path, name: &str, path: &Path) {
    let array = |kind: &str| Tensor::read_npy(folder.join(format!("{name}.{kind}.npy"))).unwrap();
    let (inputs, expected) = (array("input"), array("logits"));
    let classifier = Classifier::load_on(path, Device::Cpu).unwrap_or_else(|e| panic!("{name}: {e}"));
    let found = classifier.logits(&inputs).unwrap_or_else(|e| panic!("{name}: {e}"));
    let difference = (&found - &expected).abs().max().double_value(&[]);
    let scale = expected.abs().max().double_value(&[]).max(1.);
    assert!(difference <= 1e-5 * scale, "{}: {difference}", path.display());
}

/// Compiles a package of ours and keeps its metadata.
const COMPILE: &str = r#"
import pathlib, sys, zipfile, torch

package, compiled, batch = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
program = torch.export.load(package)
if batch == "fixed":
    program = torch.export.export(program.module(), (torch.rand(4, 1, 8, 8),))
torch._inductor.aoti_compile_and_package(program, package_path=str(compiled))
with zipfile.ZipFile(package) as source, zipfile.ZipFile(compiled, "a") as target:
    folder = target.namelist()[0].split("/")[0]
    for name in source.namelist():
        if name.split("/")[1] == "extra":
            target.writestr(f"{folder}/extra/{name.split('/')[2]}", source.read(name))
"#;

#[test]
#[ignore = "needs Python torch: make test-python"]
fn a_package_that_aotinductor_compiled_runs_only_if_it_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (out, package) = (folder.path().join("run"), folder.path().join("mine.pt2"));
    succeed(["train", "--epochs", "1", "--out", text(&out)]);
    succeed(["export", text(&out), "--output", text(&package)]);
    let compiled = folder.path().join("compiled.pt2");
    python(&["-c", COMPILE, text(&package), text(&compiled), "free"]);
    let rows = unlabelled_digits(folder.path(), 33);
    let refused = run(["predict", text(&compiled), text(&rows)]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("use --trust if you trust the author"), "{}", stderr(&refused));
    let said = succeed(["inspect", text(&compiled)]);
    assert!(said.contains("compiled by AOTInductor") && said.contains("AOTI_CPU_ISA"), "{said}");

    let predict = |arguments: &[&str]| {
        let said = succeed(["predict", "--output", "plain"].iter().chain(arguments));
        said.lines().map(str::to_string).collect::<Vec<_>>()
    };
    assert_eq!(predict(&[text(&compiled), text(&rows), "--trust"]), predict(&[text(&package), text(&rows)]));
    succeed(["eval", text(&compiled), "data/digits.csv", "--trust"]);
    let said = succeed(["inspect", text(&compiled), "--verify", "--trust"]);
    assert!(
        said.contains("not readable in a compiled package") && said.contains("samples     as recorded"),
        "{said}"
    );

    let fixed = folder.path().join("fixed.pt2");
    python(&["-c", COMPILE, text(&package), text(&fixed), "fixed"]);
    let refused = run(["predict", text(&fixed), text(&rows), "--trust"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("compile it with a free batch size"), "{}", stderr(&refused));
}
