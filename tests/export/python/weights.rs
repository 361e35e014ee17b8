//! Weights in files that PyTorch wrote, and that PyTorch reads.

use std::collections::BTreeMap;

use cresset::model::weights::{self, Matching};
use tch::Tensor;

use super::python;
use crate::support::{succeed, text};

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
        let matching = Matching::of(&model, &read, None).unwrap();
        assert_eq!(matching.matched.len(), 122, "{file}");
        matching.apply(&model, &read).unwrap();
        let summary = matching.summary();
        assert!(summary.starts_with("122 of 122 tensors matched"), "{file}: {summary}");
        println!("{file}: {summary}");
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
