//! torch.export packages in libtorch's interpreter for them, against the logits of their modules.

use std::io::Read;
use std::path::Path;
use std::process::Command;

use crate::onnx::{OPERATIONS, exported, images, small, wear_in};
use crate::support::sizes::{FOR_TABLES, is_small};
use crate::support::{largest_difference, logits_of, root, run, stderr, succeed, text, unlabelled_digits};
use cresset::data::column::FeatureGroup;
use cresset::data::{InputShape, TaskKind};
use cresset::export::{ExportFormat, ExportedModel};
use cresset::model::preprocessing::{Preprocessing, PreprocessingKind, Quantiles};
use cresset::model::{ARCHITECTURES, Network, Task};
use cresset_bridge::package::Package;
use cresset_bridge::script::Module;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// Batch sizes, among them 1, which libtorch could take for a size to broadcast.
pub const BATCHES: [i64; 3] = [1, 2, 64];

/// Writes the package of a model.
pub fn write(exported: &ExportedModel, path: &Path) {
    (ExportFormat::of_file(path).write)(exported, path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// Values as images have them, between 0 and 255.
pub fn pixels(batch: i64, shape: &[i64]) -> Tensor {
    let size: Vec<i64> = std::iter::once(batch).chain(shape.iter().copied()).collect();
    Tensor::rand(&size[..], (Kind::Float, Device::Cpu)) * 255.
}

/// An architecture with worn weights behind the preprocessing of images.
pub fn architecture(folder: &Path, name: &str, options: &str, shape: [i64; 3]) -> ExportedModel {
    let preprocessing = images(shape);
    let task = Task::new(preprocessing.shape.clone(), 7);
    let network = Network::new(name, options, &task, Device::Cpu, 3).unwrap();
    wear_in(&network);
    exported(folder, &network, &preprocessing)
}

/// A table model with missing values.
pub fn table(folder: &Path) -> ExportedModel {
    let preprocessing = Preprocessing {
        kind: PreprocessingKind::Standardize,
        offset: vec![1., 2., 3., 4., 5.],
        scale: vec![2., 1., 0.5, 3., 10.],
        fill: Some(vec![1.5, 2.5, 3.5, 4.5, 5.5]),
        quantiles: None,
        missing: Vec::new(),
        shape: InputShape(vec![5]),
    };
    let task = Task::new(preprocessing.shape.clone(), 3);
    exported(folder, &Network::new("mlp", "", &task, Device::Cpu, 2).unwrap(), &preprocessing)
}

/// The models of tables with the tasks that they are exported for.
pub fn models_of_tables<'a>(names: &'a [&'a str]) -> impl Iterator<Item = (&'a str, TaskKind)> {
    let kinds = [TaskKind::Classification, TaskKind::Multilabel, TaskKind::Regression];
    names.iter().flat_map(move |name| kinds.map(|kind| (*name, kind)))
}

/// A model of tables with missing values behind quantile normalization.
pub fn model_of_tables(folder: &Path, name: &str, options: &str, kind: TaskKind) -> ExportedModel {
    let groups = vec![
        FeatureGroup::Number,
        FeatureGroup::Indicators { count: 2 },
        FeatureGroup::Number,
        FeatureGroup::Number,
    ];
    let examples = Tensor::randn([300, 5], (Kind::Float, Device::Cpu)) * 5.;
    let preprocessing = Preprocessing {
        kind: PreprocessingKind::Quantiles,
        offset: vec![0.; 5],
        scale: vec![1.; 5],
        fill: Some(vec![1.5, 0., 0., 4.5, 5.5]),
        quantiles: Some(Quantiles::fit(&examples, &groups)),
        missing: vec![0, 4],
        shape: InputShape(vec![5]),
    };
    let classes = if kind == TaskKind::Regression { 1 } else { 3 };
    let groups = [&groups[..], &[FeatureGroup::Indicators { count: 2 }]].concat();
    let task = Task { groups, kind, ..Task::new(preprocessing.output(), classes) };
    let network = Network::new(name, options, &task, Device::Cpu, 2).unwrap();
    wear_in(&network);
    exported(folder, &network, &preprocessing)
}

/// Rows of a table, some of whose values are missing.
pub fn rows(batch: i64) -> Tensor {
    let values = Tensor::randn([batch, 5], (Kind::Float, Device::Cpu)) * 5.;
    Tensor::from(f32::NAN).where_self(&values.gt(4.), &values)
}

/// The file that [`check`] writes.
pub const PACKAGE: &str = "model.pt2";

/// Fails unless the package of a model gives the logits of its module in libtorch's interpreter.
pub fn check(folder: &Path, name: &str, exported: &ExportedModel, input: impl Fn(i64) -> Tensor) {
    let path = folder.join(PACKAGE);
    write(exported, &path);
    let package = Package::load(&path, "model").unwrap_or_else(|e| panic!("{name}: {e}"));
    for inputs in BATCHES.map(input) {
        let expected = tch::no_grad(|| exported.module.call("forward", &inputs)).unwrap().remove(0);
        let found = package.run(&inputs).unwrap_or_else(|e| panic!("{name}, {:?}: {e}", inputs.size()));
        assert_eq!((found.size(), found.kind()), (expected.size(), expected.kind()), "{name}");
        let difference = (&found - &expected).to_kind(Kind::Double).abs().max().double_value(&[]);
        let scale = expected.abs().max().double_value(&[]).max(1.);
        assert!(difference <= 1e-5 * scale, "{name}, {:?}: {difference} of {scale}", inputs.size());
    }
}

/// `models/model.json` of a package.
pub fn program(path: &Path) -> Value {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut json = String::new();
    archive.by_name("model/models/model.json").unwrap().read_to_string(&mut json).unwrap();
    serde_json::from_str(&json).unwrap()
}

#[test]
fn small_architectures_compute_the_same_in_libtorchs_interpreter() {
    let folder = tempfile::tempdir().unwrap();
    for name in ARCHITECTURES.iter().map(|known| known.name).filter(|name| is_small(name)) {
        for shape in [[1, 8, 8], [3, 37, 20]] {
            let exported = architecture(folder.path(), name, "", shape);
            check(folder.path(), name, &exported, |batch| pixels(batch, &shape));
        }
    }
}

/// `tests/export/python/packages.rs` runs all.
#[test]
fn image_backbones_compute_the_same_in_libtorchs_interpreter() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["swin_t", "mobilenetv3_small_100"] {
        let exported = architecture(folder.path(), name, "", [3, 37, 52]);
        check(folder.path(), name, &exported, |batch| pixels(batch.min(3), &[3, 37, 52]));
    }
}

#[test]
fn recurrent_layers_of_any_depth_and_transformers_of_any_form_compute_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in [
        ("lstm", "depth=1,width=5"),
        ("lstm", "depth=4,width=3"),
        ("gru", "depth=3,width=4"),
        ("vit", "patch=5,depth=1,heads=2,width=6"),
    ] {
        let exported = architecture(folder.path(), name, options, [2, 9, 7]);
        check(folder.path(), name, &exported, |batch| pixels(batch, &[2, 9, 7]));
    }
}

#[test]
fn missing_values_of_a_table_are_filled_in_the_package() {
    let folder = tempfile::tempdir().unwrap();
    check(folder.path(), "table", &table(folder.path()), rows);
}

#[test]
fn models_of_tables_and_quantile_normalization_compute_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for (name, kind) in models_of_tables(FOR_TABLES) {
        check(folder.path(), name, &model_of_tables(folder.path(), name, "", kind), rows);
    }
    let periodic = model_of_tables(folder.path(), "tabm", "frequencies=3", TaskKind::Classification);
    check(folder.path(), "periodic", &periodic, rows);
}

#[test]
fn operations_of_other_models_compute_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for operation in OPERATIONS {
        let exported = small(folder.path(), &format!("    {operation}\n"));
        let input = |batch| Tensor::randn([batch, 1, 6, 6], (Kind::Float, Device::Cpu));
        check(folder.path(), operation, &exported, input);
    }
}

#[test]
fn a_run_is_exported_with_names_metadata_and_a_free_batch_size() {
    let folder = tempfile::tempdir().unwrap();
    let (out, path) = (folder.path().join("run"), folder.path().join("mine.pt2"));
    succeed(["train", "--epochs", "1", "--out", text(&out)]);
    let printed = succeed(["export", text(&out), "--output", text(&path)]);
    assert!(printed.contains("validation accuracy"), "{printed}");
    // From the run and from its file: the same bytes.
    let again = folder.path().join("again");
    succeed(["export", text(&out.join("model.pt")), "--format", "pt2", "--output", text(&again)]);
    assert!(std::fs::read(&path).unwrap() == std::fs::read(&again).unwrap());

    let program = program(&path);
    let graph = &program["graph_module"]["graph"];
    let targets: Vec<_> = graph["nodes"].as_array().unwrap().iter().map(|node| &node["target"]).collect();
    assert!(targets.contains(&&Value::from("torch.ops.aten.linear.default")), "{targets:?}");
    let specs = program["graph_module"]["signature"]["input_specs"].as_array().unwrap();
    let names: Vec<_> =
        specs.iter().filter_map(|spec| spec["parameter"]["parameter_name"].as_str()).collect();
    assert_eq!(names, ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]);
    let size = &graph["tensor_values"]["x"]["sizes"];
    assert!(
        size[0]["as_expr"]["expr_str"].as_str().unwrap().contains("s0") && size[1]["as_int"] == 1,
        "{size}"
    );
    assert_eq!(program["range_constraints"]["s0"], serde_json::json!({"min_val": 1, "max_val": null}));

    let package = Package::load(&path, "model").unwrap();
    assert_eq!(package.extra("classes.txt").unwrap(), "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    let metadata: Value = serde_json::from_str(&package.extra("metadata.json").unwrap()).unwrap();
    assert_eq!(metadata["input"]["shape"], serde_json::json!([1, 8, 8]));
    assert!(package.extra("absent").is_err());
    assert!(package.run(&Tensor::zeros([2, 1, 8], (Kind::Float, Device::Cpu))).is_err());
}

/// The logits of the first digits, as model.pt computes them.
fn expected_logits(model: &Path, rows: &Path) -> Vec<Vec<f32>> {
    let rows = std::fs::read_to_string(rows).unwrap();
    let values: Vec<f32> = rows.split([',', '\n']).filter_map(|cell| cell.parse().ok()).collect();
    let (module, _) = Module::load(model, Device::Cpu, &[]).unwrap();
    let logits = module.call("forward", &Tensor::from_slice(&values).view([-1, 64])).unwrap().remove(0);
    Vec::try_from(&logits.detach()).unwrap()
}

/// Runs an example on the package of a run, and compares its logits with those of `model.pt`.
fn check_program(program: &Path, folder: &Path) {
    let (out, package) = (folder.join("run"), folder.join("model.pt2"));
    succeed(["train", "--epochs", "1", "--out", text(&out)]);
    succeed(["export", text(&out), "--output", text(&package)]);
    let rows = unlabelled_digits(folder, 5);
    let output = Command::new(program).args([text(&package), text(&rows), "1,8,8"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected = expected_logits(&out.join("model.pt"), &rows);
    let difference = largest_difference(&logits_of(&printed, 2), &expected);
    assert!(difference <= 1e-5, "{difference}");
    for (line, logits) in printed.lines().zip(&expected) {
        let best = (0..10).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
        assert!(line.starts_with(&format!("{best} ")), "{line}");
    }
    let failed = Command::new(program).args(["absent.pt2", text(&rows), "1,8,8"]).output().unwrap();
    assert!(failed.status.code() == Some(1) && !stderr(&failed).is_empty());
}

#[test]
fn a_rust_program_runs_a_package() {
    let folder = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_cresset")).parent().unwrap().join("examples");
    check_program(&programs.join("classify_pt2"), folder.path());
}

#[test]
fn a_cpp_program_runs_a_package_with_libtorch_alone() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("classify_pt2");
    let page = std::fs::read_to_string(root().join("docs/export.md")).unwrap();
    let command = page.lines().find(|line| line.contains("examples/cpp/classify_pt2.cpp -o")).unwrap();
    let command = command.replace("-o classify_pt2", &format!("-o {}", text(&program)));
    let output = Command::new("bash").args(["-c", &command]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    check_program(&program, folder.path());
}

#[test]
fn the_programs_are_short() {
    for example in ["cpp/classify_pt2.cpp", "rust/classify_pt2.rs"] {
        let source = std::fs::read_to_string(root().join("examples").join(example)).unwrap();
        assert!(source.lines().count() < 60, "{example}");
    }
}

#[test]
fn a_model_that_is_not_plain_tensor_code_is_refused_and_the_operation_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("model.pt2");
    for (forward, says) in [
        (
            "    if bool(torch.gt(torch.sum(x), 0)):\n      y = x\n    else:\n      y = torch.neg(x)\n    return y\n",
            "depend on the values of its input",
        ),
        (
            "    if torch.gt(torch.size(x, 0), 3):\n      y = x\n    else:\n      y = torch.neg(x)\n    return y\n",
            "depend on the batch size",
        ),
        ("    return torch.slice(x, 0, 1)\n", "which are not multiples of the batch size"),
        (
            "    return torch.mul(x, torch.div(torch.size(x, 0), 3))\n",
            "pt2: cannot export `aten::mul` in the model's forward: its `other` depends on the batch size",
        ),
    ] {
        let exported = small(folder.path(), forward);
        let error = (ExportFormat::named("pt2").unwrap().write)(&exported, &output).unwrap_err().to_string();
        assert!(error.contains(says), "{forward}: {error}");
        assert!(!output.exists());
    }
}

#[test]
fn a_quantized_model_is_refused_and_the_operation_named() {
    let folder = tempfile::tempdir().unwrap();
    let (out, output) = (folder.path().join("run"), folder.path().join("int8.pt2"));
    succeed(["train", "--epochs", "1", "--out", text(&out)]);
    succeed(["compress", text(&out), "--quantize", "int8"]);
    let refused = run(["export", text(&out.join("compressed/int8.pt")), "--output", text(&output)]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("pt2: cannot export `quantized::linear"), "{}", stderr(&refused));
}
