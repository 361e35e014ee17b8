//! torchvision's modules and ours: the same names, the same weights, the same figures.

use std::path::Path;

use cresset::data::InputShape;
use cresset::export::{ExportFormat, ExportedModel};
use cresset::model::{Network, Task};
use cresset_bridge::script::Module;
use tch::{Device, Kind, Tensor};

use super::python;
use crate::support::onnx::Bench;
use crate::support::{self, succeed, text};

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
        let task = Task::new(InputShape(vec![3, 32, 32]), 10);
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
    let images = folder.path().join("images");
    support::color_images(&images, 24);
    let train =
        ["train", "--model", text(&file), "--data", text(&images), "--epochs", "4", "--image-size", "32"];
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
    features = exported.features(x)
    assert features.shape == (5, 512)
    assert torch.allclose(own.fc(features), expected, atol=1e-5)
"#;
    python(&["-c", script, text(&out.join("model.pt"))]);
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn torchvision_loads_our_pth_and_safetensors_strictly() {
    let folder = tempfile::tempdir().unwrap();
    let task = Task::new(InputShape(vec![3, 32, 32]), 10);
    let network = Network::new("resnet18", "", &task, Device::Cpu, 6).unwrap();
    let (source, class, values) = network.layers().unwrap().class("Model", "forward").compile().unwrap();
    let path = folder.path().join("model.pt");
    Module::from_source(&source, &class, &values).unwrap().save(&path, &[]).unwrap();
    let exported = ExportedModel::foreign(&path, task.input).unwrap();
    for format in ["pth", "safetensors"] {
        let output = folder.path().join(format!("model.{format}"));
        (ExportFormat::named(format).unwrap().write)(&exported, &output).unwrap();
    }
    let script = r#"
import json, sys, torch
from torchvision.models import resnet18
folder = sys.argv[1]
expected = torch.jit.load(f"{folder}/model.pt").eval()
x = torch.randn(2, 3, 32, 32)

def check(state):
    model = resnet18(num_classes=10)
    model.load_state_dict(state, strict=True)
    assert torch.equal(model.eval()(x), expected(x))

for mmap in [False, True]:
    state = torch.load(f"{folder}/model.pth", weights_only=True, mmap=mmap)
    assert list(state) == list(resnet18().state_dict()), "in PyTorch's order"
    check(state)

data = open(f"{folder}/model.safetensors", "rb").read()
start = 8 + int.from_bytes(data[:8], "little")
header = json.loads(data[8:start])
assert header.pop("__metadata__")["format"] == "pt"
dtypes = {"F32": torch.float32, "I64": torch.int64}
def tensor(dtype, shape, data_offsets):
    begin, end = data_offsets
    return torch.frombuffer(bytearray(data[start + begin : start + end]), dtype=dtypes[dtype]).reshape(shape)
check({name: tensor(**entry) for name, entry in header.items()})
"#;
    python(&["-c", script, text(folder.path())]);
}

/// Modules of torchvision, as Python scripts or traces them.
pub const MODULES: &[&str] = &[
    "resnet18-script",
    "mobilenet_v3_small-script",
    "mobilenet_v3_small-trace",
    "efficientnet_b0-script",
    "convnext_tiny-script",
    "densenet121-script",
    "shufflenet_v2_x1_0-trace",
    "vit_b_32-script",
    "vit_b_32-trace",
    "swin_t-script",
];

/// Writes modules, with statistics that are not fresh and a head that is not zero.
const MAKE: &str = r#"
import sys, torch, torchvision
folder, *models = sys.argv[1:]
torch.manual_seed(0)
for name, form in (model.split("-") for model in models):
    model = torchvision.models.get_model(name, num_classes=10).eval()
    for key, value in model.state_dict().items():
        if key.endswith("running_mean"):
            value.copy_(torch.randn_like(value) / 10)
        elif key.endswith("running_var"):
            value.copy_(torch.rand_like(value) + 0.5)
        elif value.is_floating_point():
            value.add_(torch.randn_like(value) / 100)
    if form == "script":
        module = torch.jit.script(model)
    else:
        module = torch.jit.trace(model, torch.randn(3, 3, 224, 224), check_trace=False)
    module.save(f"{folder}/{name}-{form}.pt")
"#;

/// Writes [`MODULES`] to a folder, and loads them.
pub fn modules(folder: &Path) -> Vec<(&'static str, ExportedModel)> {
    python(&[&["-c", MAKE, text(folder)], MODULES].concat());
    let load = |name: &&'static str| {
        let path = folder.join(format!("{name}.pt"));
        (*name, ExportedModel::foreign(&path, InputShape(vec![3, 224, 224])).unwrap())
    };
    MODULES.iter().map(load).collect()
}

#[test]
#[ignore = "needs Python torch and onnxruntime: make test-python"]
fn torchvisions_modules_compute_the_same_in_onnxruntime() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::of_batches(&[1, 3]);
    for (name, exported) in modules(folder.path()) {
        let input = |batch| Tensor::randn([batch, 3, 224, 224], (Kind::Float, Device::Cpu));
        bench.add(folder.path(), name, &exported, input);
    }
    bench.check(folder.path());
}
