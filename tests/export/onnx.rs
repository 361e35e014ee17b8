//! ONNX files in onnxruntime, against our own logits. Needs a small Python environment, which `make test` installs.

use std::path::Path;

use crate::pt2;
use crate::support::onnx::{Bench, python};
use crate::support::sizes::{FOR_TABLES, is_for_images, is_larger, is_small};
use crate::support::targets::{prices_run, tagged_images_run, tags_run};
use crate::support::{largest_difference, logits_of, root, run, stderr, succeed, text, unlabelled_digits};
use crate::tasks::{prices, tags};
use cresset::data::image::Decoding;
use cresset::data::{InputShape, TaskKind};
use cresset::export::{ExportFormat, ExportedModel};
use cresset::model::preprocessing::{Preprocessing, PreprocessingKind};
use cresset::model::{ARCHITECTURES, Network, Task};
use cresset::predict::Classifier;
use cresset_bridge::script::{Module, Values};
use tch::{Device, Kind, Tensor};

/// Values as training leaves them: no statistic is that of a fresh layer, no parameter zero.
pub fn wear_in(network: &Network) {
    for (name, mut tensor) in network.state() {
        let noise = || Tensor::randn(tensor.size(), (Kind::Float, Device::Cpu));
        let value = match name.rsplit('.').next() {
            _ if !tensor.is_floating_point() => continue,
            Some("running_var") => (noise() * 0.2).exp() * 1.3,
            _ => &tensor * (noise() * 0.1 + 1) + noise() * 0.01,
        };
        tch::no_grad(|| tensor.copy_(&value));
    }
}

/// The network behind its preprocessing, as a run exports it.
pub fn exported(folder: &Path, network: &Network, preprocessing: &Preprocessing) -> ExportedModel {
    let mut module = network
        .script(&|class| class.child("preprocess", preprocessing.script(Decoding::default())))
        .unwrap();
    let forward =
        "def forward(self, x: Tensor) -> Tensor:\n    return self.logits(self.preprocess.forward(x))\n";
    module.define(forward).unwrap();
    let path = folder.join("model.pt");
    module.save(&path, &[]).unwrap();
    ExportedModel::foreign(&path, preprocessing.shape.clone()).unwrap()
}

pub fn images(shape: [i64; 3]) -> Preprocessing {
    Preprocessing {
        kind: PreprocessingKind::StandardizeChannels,
        offset: (0..shape[0]).map(|channel| 100. + 10. * channel as f32).collect(),
        scale: (0..shape[0]).map(|channel| 50. + channel as f32).collect(),
        fill: None,
        quantiles: None,
        missing: Vec::new(),
        shape: InputShape(shape.to_vec()),
    }
}

/// Adds architectures to the bench, each for images of these shapes.
fn add_architectures(
    bench: &mut Bench,
    folder: &Path,
    names: impl Iterator<Item = &'static str>,
    shapes: &[[i64; 3]],
) {
    for name in names {
        for shape in shapes {
            let preprocessing = images(*shape);
            let task = Task::new(preprocessing.shape.clone(), 7);
            let network = Network::new(name, "", &task, Device::Cpu, 3).unwrap();
            wear_in(&network);
            let exported = exported(folder, &network, &preprocessing);
            let input = |batch| {
                let [channels, height, width] = *shape;
                Tensor::rand([batch, channels, height, width], (Kind::Float, Device::Cpu)) * 255.
            };
            bench.add(folder, &format!("{name}-{}", shape[1]), &exported, input);
        }
    }
}

#[test]
#[ignore = "needs onnxruntime: make test"]
fn every_architecture_computes_the_same_in_onnxruntime() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::of_batches(&[1, 2, 64]);
    let small = ARCHITECTURES.iter().map(|known| known.name).filter(|name| is_small(name));
    add_architectures(&mut bench, folder.path(), small, &[[1, 8, 8], [3, 32, 32], [3, 37, 20]]);
    bench.check(folder.path());
}

/// Of each family the smallest one.
#[test]
#[ignore = "needs onnxruntime: make test"]
fn image_backbones_compute_the_same_in_onnxruntime() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::of_batches(&[1, 3]);
    let names = ARCHITECTURES.iter().map(|known| known.name);
    let names = names.filter(|name| !is_small(name) && !is_larger(name) && is_for_images(name));
    add_architectures(&mut bench, folder.path(), names, &[[3, 37, 52]]);
    bench.check(folder.path());
}

#[test]
#[ignore = "needs onnxruntime: make test"]
fn recurrent_layers_of_any_depth_and_transformers_of_any_form_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::of_batches(&[1, 2, 64]);
    for (name, options) in [
        ("lstm", "depth=1,width=5"),
        ("lstm", "depth=4,width=3"),
        ("gru", "depth=1,width=5"),
        ("gru", "depth=3,width=4"),
        ("vit", "patch=5,depth=1,heads=2,width=6"),
        ("cnn", "width=3"),
    ] {
        let preprocessing = images([2, 9, 7]);
        let task = Task::new(preprocessing.shape.clone(), 3);
        let network = Network::new(name, options, &task, Device::Cpu, 4).unwrap();
        wear_in(&network);
        let exported = exported(folder.path(), &network, &preprocessing);
        let input = |batch| Tensor::rand([batch, 2, 9, 7], (Kind::Float, Device::Cpu)) * 255.;
        bench.add(folder.path(), &format!("{name}-{options}"), &exported, input);
    }
    bench.check(folder.path());
}

#[test]
#[ignore = "needs onnxruntime: make test"]
fn a_table_with_missing_values_is_filled_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::of_batches(&[1, 2, 64]);
    bench.add(folder.path(), "table", &pt2::table(folder.path()), pt2::rows);
    bench.check(folder.path());
}

#[test]
#[ignore = "needs onnxruntime: make test"]
fn models_of_tables_and_quantile_normalization_compute_the_same_in_onnxruntime() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::of_batches(&[1, 2, 64]);
    for (name, kind) in pt2::models_of_tables(FOR_TABLES) {
        let exported = pt2::model_of_tables(folder.path(), name, "", kind);
        bench.add(folder.path(), &format!("{name}-{kind:?}"), &exported, pt2::rows);
    }
    let periodic = pt2::model_of_tables(folder.path(), "tabm", "frequencies=3", TaskKind::Classification);
    bench.add(folder.path(), "periodic", &periodic, pt2::rows);
    bench.check(folder.path());
}

#[test]
#[ignore = "needs onnxruntime: make test"]
fn a_trained_run_is_exported_with_names_and_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::of_batches(&[1, 2, 64]);
    for (name, arguments) in [
        ("mlp", ["--data", "digits", "--model-options", ""]),
        ("resnet9", ["--data", "digits", "--model-options", "width=4"]),
        ("vit", ["--data", "digits", "--model-options", "width=32,depth=1"]),
    ] {
        let (out, model) = (folder.path().join(name), folder.path().join(format!("{name}.onnx")));
        let command = ["train", "--epochs", "2", "--model", name, "--out", text(&out)];
        succeed(command.iter().chain(&arguments));
        // From the run and from its file: the same bytes.
        let printed = succeed(["export", text(&out), "--output", text(&model)]);
        assert!(printed.contains("validation accuracy"), "{printed}");
        let again = folder.path().join("again");
        succeed(["export", text(&out.join("model.pt")), "--format", "onnx", "--output", text(&again)]);
        assert!(std::fs::read(&model).unwrap() == std::fs::read(&again).unwrap());
        std::fs::remove_file(&again).unwrap();
        let (module, _) = Module::load(&out.join("model.pt"), Device::Cpu, &[]).unwrap();
        let input = |batch| Tensor::rand([batch, 1, 8, 8], (Kind::Float, Device::Cpu)) * 16.;
        bench.expect(folder.path(), name, &module, input);
    }
    bench.check(folder.path());
    let script = r#"
import sys, json, onnx
model = onnx.load(sys.argv[1])
assert model.ir_version == 8 and [opset.version for opset in model.opset_import] == [17]
notes = {note.key: note.value for note in model.metadata_props}
assert json.loads(notes["classes"]) == [str(i) for i in range(10)] == json.loads(notes["cresset.metadata"])["classes"]
names = {tensor.name for tensor in model.graph.initializer}
assert {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "preprocess.offset"} <= names, names
print("sound")
"#;
    assert_eq!(python(&["-c", script, text(&folder.path().join("mlp.onnx"))]), "sound\n");
}

#[test]
#[ignore = "needs onnxruntime: make test"]
fn the_onnxruntime_example_computes_our_logits() {
    let folder = tempfile::tempdir().unwrap();
    let (out, model) = (folder.path().join("run"), folder.path().join("model.onnx"));
    succeed(["train", "--epochs", "1", "--out", text(&out)]);
    succeed(["export", text(&out), "--output", text(&model)]);
    let rows = unlabelled_digits(folder.path(), 5);
    let example = root().join("examples/python/classify_onnx.py");
    let found = logits_of(&python(&[text(&example), text(&model), text(&rows)]), 2);
    let rows = std::fs::read_to_string(rows).unwrap();
    let values: Vec<f32> = rows.split([',', '\n']).filter_map(|cell| cell.parse().ok()).collect();
    let (module, _) = Module::load(&out.join("model.pt"), Device::Cpu, &[]).unwrap();
    let expected = module.call("forward", &Tensor::from_slice(&values).view([5, 64])).unwrap().remove(0);
    let difference = largest_difference(&found, &Vec::<Vec<f32>>::try_from(&expected.detach()).unwrap());
    assert!(difference <= 1e-4, "{difference}");
}

/// A model whose forward is this source, for images of one channel and 6 × 6 pixels, with the parameters `w` (3, 1, 3, 3)
/// and `v` (3).
pub fn small(folder: &Path, forward: &str) -> ExportedModel {
    let head = "class M(Module):\n  __parameters__ = [\"w\", \"v\", ]\n  __buffers__ = []\n  w : Tensor\n  v : Tensor\n  training : bool\n";
    let source = format!("{head}  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n{forward}");
    let mut values = Values::new();
    values.put_tensor("w", &Tensor::randn([3, 1, 3, 3], (Kind::Float, Device::Cpu))).unwrap();
    values.put_tensor("v", &Tensor::randn([3], (Kind::Float, Device::Cpu))).unwrap();
    let path = folder.join("small.pt");
    Module::from_source(&source, "__torch__.M", &values).unwrap().save(&path, &[]).unwrap();
    ExportedModel::foreign(&path, InputShape(vec![1, 6, 6])).unwrap()
}

/// Operations that none of our own models has, each as the last lines of a method.
pub const OPERATIONS: &[&str] = &[
    "return torch.conv2d(x, self.w, self.v, [2, 1], \"valid\", [1, 1], 1)",
    "return torch.conv2d(x, self.w, self.v, [1, 1], \"same\", [2, 2], 1)",
    "return torch.conv_transpose2d(torch.conv2d(x, self.w, None, [1, 1], [0, 0], [1, 1], 1), self.w, None, [2, 2], [1, 1], [1, 1], 1, [1, 1])",
    "return torch.conv2d(torch.conv2d(x, self.w, None, [1, 1], [0, 0], [1, 1], 1), self.w, self.v, [1, 1], [1, 1], [1, 1], 3)",
    "return torch.max_pool2d(x, [3, 3], [2, 2], [1, 1], [1, 1], True)",
    "return torch.max_pool2d(x, [2, 2], [], [0, 0], [2, 1], False)",
    "return torch.avg_pool2d(x, [4, 4], [3, 3], [0, 0], True, True, None)",
    "return torch.avg_pool2d(x, [3, 3], [2, 2], [1, 1], False, True, None)",
    "return torch.avg_pool2d(x, [3, 3], [2, 2], [1, 1], False, False, None)",
    "return torch.adaptive_avg_pool2d(x, [4, 3])",
    "return torch.adaptive_avg_pool2d(x, [1, 1])",
    "return torch.hardtanh(x, -0.5, 0.25)",
    "return torch.add(torch.cos(x), torch.sin(x))",
    "return torch.logsumexp(x, [1, 3])",
    "return torch.clamp(x, None, 0.25)",
    "return torch.clamp_min(x, 0.1)",
    "return torch.hardswish(torch.mul(x, 4))",
    "return torch.hardsigmoid(torch.mul(x, 4))",
    "return torch.silu(x)",
    "return torch.mish(x)",
    "return torch.gelu(x, approximate=\"tanh\")",
    "return torch.leaky_relu(x, 0.2)",
    "return torch.glu(x, -2)",
    "return torch.elu(x, 0.5, 1, 1)",
    "return torch.prelu(torch.conv2d(x, self.w, None, [1, 1], [0, 0], [1, 1], 1), self.v)",
    "return torch.log_softmax(x, -1)",
    "return torch.sub(torch.rsub(x, 2, 3), torch.div(x, 4), alpha=2)",
    "return torch.mul(torch.slice(x, 3, 0, 6, 2), 0.5)",
    "return torch.mul(torch.mul(torch.narrow(x, 2, 1, 3), 3), torch.select(x, 2, 0).unsqueeze(2))",
    "return torch.pow(torch.abs(x), 1.5)",
    "return torch.rsqrt(torch.add(torch.exp(x), 1))",
    "return torch.maximum(x, torch.neg(x))",
    "return torch.where(torch.gt(x, 0), x, torch.mul(x, 3))",
    "return torch.to(torch.gt(x, 0), 6)",
    "return torch.layer_norm(x, [6, 6], None, None, 1.0e-05, True)",
    "return torch.group_norm(torch.conv2d(x, self.w, None, [1, 1], [0, 0], [1, 1], 1), 3, self.v, self.v, 1.0e-05, True)",
    "return torch.batch_norm(torch.conv2d(x, self.w, None, [1, 1], [0, 0], [1, 1], 1), None, None, self.v, torch.exp(self.v), False, 0.1, 1.0e-05, True)",
    "return torch.sum(x, [1, -1])",
    "return torch.amax(x, [2, 3])",
    "return torch.view(x, [torch.size(x, 0), -1, 4])",
    "return torch.view(x, [-1, 3, 2])",
    "return torch.squeeze(torch.unsqueeze(x, -1), 1)",
    "return torch.transpose(x, -1, 1)",
    "return torch.add(torch.expand(torch.slice(self.v, 0, 0, 1), [torch.size(x, 0), 6]), torch.mean(x, [1, 2]))",
    "return torch.stack([x, torch.neg(x)], 1)",
    "return torch.slice(x, 2, 1, -1, 2)",
    "return torch.slice(x, 0, 0, 9223372036854775807)",
    "return torch.narrow(x, 3, 1, 2)",
    "return torch.roll(x, [2, -1], [2, 3])",
    "a, b, c = torch.chunk(x, 3, 2)\n    return torch.cat([c, torch.mul(a, b)], -1)",
    "a, b = torch.split_with_sizes(x, [2, 4], 3)\n    return torch.cat([b, a], 3)",
    "a, b, c, d, e, f = torch.unbind(x, 2)\n    return torch.sub(f, torch.mul(b, c))",
    "return torch.pad(x, [1, 0, 2, 1], \"reflect\", None)",
    "return torch.pad(x, [1, 0, 2, 1], \"constant\", 3.)",
    "return torch.constant_pad_nd(x, [-1, 0], 0)",
    "return torch.scaled_dot_product_attention(x, torch.neg(x), x, None, 0.0, True)",
    "return torch.scaled_dot_product_attention(x, x, x, torch.gt(torch.add(x, 3), 0.5), 0.0, False, scale=0.3)",
    "return torch.matmul(x, torch.transpose(x, 2, 3))",
    "return torch.add(x, torch.ones([torch.size(x, 0), 1, 6, 6]))",
    "a, b = torch.topk(x, 3, -1, True, True)\n    return torch.mul(a, torch.to(b, 6))",
    "a, b = torch.topk(x, 2, 2, False, True)\n    return a",
    "a, b = torch.topk(torch.flatten(x, 1, -1), 1, 1, True, True)\n    return torch.to(torch.one_hot(torch.flatten(b, 0, -1), 36), 6)",
    "a, b = torch.topk(torch.slice(torch.flatten(x, 1, -1), 1, 0, 3), 1, 1, True, True)\n    return torch.index_select(self.v, 0, torch.flatten(b, 0, -1))",
    "y = torch.relu_(torch.neg(x))\n    return torch.add_(y, 1)",
];

#[test]
#[ignore = "needs onnxruntime: make test"]
fn heads_on_features_compute_the_same_in_onnxruntime() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::of_batches(&[1, 2, 64]);
    for (model, head) in [("cnn", "linear"), ("cnn", "mlp"), ("cnn", "knn"), ("vit", "knn")] {
        let name = format!("{model}-{head}");
        let out = folder.path().join(&name);
        let options = ["--head-only", "--head", head, "--model", model, "--recipe", "none"];
        succeed(["train", "--out", text(&out)].iter().chain(&options));
        let exported =
            Classifier::load_on(&out.join("model.pt"), Device::Cpu).unwrap().into_exported().unwrap();
        bench.add(folder.path(), &name, &exported, |batch| {
            Tensor::rand([batch, 1, 8, 8], (Kind::Float, Device::Cpu)) * 16.
        });
    }
    bench.check(folder.path());
}

#[test]
#[ignore = "needs onnxruntime: make test"]
fn every_operation_computes_the_same_in_onnxruntime() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::of_batches(&[1, 2, 64]);
    for (index, operation) in OPERATIONS.iter().enumerate() {
        let exported = small(folder.path(), &format!("    {operation}\n"));
        let input = |batch| Tensor::randn([batch, 1, 6, 6], (Kind::Float, Device::Cpu));
        bench.add(folder.path(), &format!("operation-{index}"), &exported, input);
    }
    bench.check(folder.path());
}

/// The message that a model is refused with.
fn refusal(forward: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let exported = small(folder.path(), forward);
    let output = folder.path().join("model.onnx");
    let error = (ExportFormat::named("onnx").unwrap().write)(&exported, &output).unwrap_err();
    assert!(!output.exists());
    error.to_string()
}

#[test]
fn operations_without_a_translation_are_named() {
    for (forward, says) in [
        (
            "    return torch.special_erfcx(x)\n",
            "`aten::special_erfcx` in the model's forward is not supported",
        ),
        (
            "    return torch.avg_pool2d(x, [2, 2], [2, 2], [0, 0], False, True, 3)\n",
            "cannot export `aten::avg_pool2d` in the model's forward: it uses divisor_override",
        ),
        (
            "    if bool(torch.gt(torch.sum(x), 0)):\n      y = x\n    else:\n      y = torch.neg(x)\n    return y\n",
            "depend on the values of its input",
        ),
        (
            "    if torch.gt(torch.size(x, 0), 3):\n      y = x\n    else:\n      y = torch.neg(x)\n    return y\n",
            "depend on the batch size",
        ),
        ("    return torch.mul(x, torch.size(x, 0))\n", "its `other` depends on the batch size"),
        ("    return torch.slice(x, 0, 1)\n", "which are not multiples of the batch size"),
    ] {
        let message = refusal(forward);
        assert!(message.contains(says), "{forward}: {message}");
    }
}

#[test]
fn a_file_that_exists_and_a_model_from_elsewhere_are_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let exported = small(folder.path(), "    return torch.flatten(x, 1, -1)\n");
    let (model, output) = (text(&exported.path), folder.path().join("model.onnx"));
    let refused = run(["export", model, "--output", text(&output)]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("not exported by cresset"), "{}", stderr(&refused));

    succeed(["export", model, "--input", "1x6x6", "--output", text(&output)]);
    let before = std::fs::read(&output).unwrap();
    let refused = run(["export", model, "--input", "1x6x6", "--output", text(&output)]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("the file exists"), "{}", stderr(&refused));
    assert!(std::fs::read(&output).unwrap() == before);
}

/// Compares the outputs of onnxruntime with arrays beside the model.
const RUN_ONNX: &str = r#"
import sys, json, numpy, onnx, onnxruntime
path, *names = sys.argv[1:]
model = onnx.load(path)
onnx.checker.check_model(model, full_check=True)
session = onnxruntime.InferenceSession(path)
assert [of.name for of in session.get_outputs()] == names, [of.name for of in session.get_outputs()]
assert all(of.shape[0] == "batch" for of in session.get_outputs())
inputs = numpy.load(path + ".npy")
for batch in [inputs, inputs[:1]]:
    for name, found in zip(names, session.run(None, {"input": batch})):
        expected = numpy.load(f"{path}.{name}.npy")[:len(batch)]
        assert found.shape == expected.shape and found.dtype == numpy.float32, (name, found.shape, expected.shape)
        assert numpy.abs(found - expected).max() <= 1e-5 * max(1, numpy.abs(expected).max()), (name, found, expected)
notes = {note.key: note.value for note in model.metadata_props}
print(json.loads(notes["outputs"])["task"])
"#;

#[test]
#[ignore = "needs onnxruntime: make test"]
fn onnxruntime_computes_the_outputs_of_the_task() {
    let folder = tempfile::tempdir().unwrap();
    for (run, inputs, names, task) in [
        (
            tags_run(folder.path()),
            tags(folder.path()).values,
            &["logits", "probabilities"] as &[&str],
            "multilabel",
        ),
        (prices_run(folder.path()), prices(folder.path()).values, &["values"], "regression"),
        (
            tagged_images_run(folder.path()),
            Tensor::rand([3, 3, 16, 16], (Kind::Float, Device::Cpu)) * 255.,
            &["logits", "probabilities"],
            "multilabel",
        ),
    ] {
        let file = run.join("model.onnx");
        succeed(["export", text(&run), "--output", text(&file)]);
        let (module, _) = Module::load(&run.join("model.pt"), Device::Cpu, &[]).unwrap();
        let results = tch::no_grad(|| module.call("forward", &inputs)).unwrap().remove(0);
        inputs.write_npy(format!("{}.npy", text(&file))).unwrap();
        for (name, expected) in names.iter().zip([&results, &results.sigmoid()]) {
            expected.write_npy(format!("{}.{name}.npy", text(&file))).unwrap();
        }
        let said = python(&[&["-c", RUN_ONNX, text(&file)], names].concat());
        assert_eq!(said.trim(), task);
    }
}
