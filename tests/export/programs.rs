//! The exported model, loaded by other programs: C++ and Rust here, Python in `python/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{self, largest_difference, logits_of, root, stderr, succeed, text};
use cresset::data::image;
use cresset::distributed::World;
use cresset::options::Config;
use cresset::run::{self, Outcome, Prepared};
use cresset::train::{Silent, TrainOptions};
use safetensors::SafeTensors;
use tch::{CModule, Device, IValue, Kind, Tensor};

/// Trains in this process, and gives the trained model beside the file that it wrote into `folder`.
fn train(folder: &Path) -> (Prepared, PathBuf) {
    train_with(folder, Config { epochs: 2, ..Config::default() })
}

fn train_with(folder: &Path, config: Config) -> (Prepared, PathBuf) {
    let run = run::start(&config, Some(&folder.join("run")), &World::alone()).unwrap();
    match run::finish(run, &mut Silent, &|| false).unwrap() {
        Outcome::Trained(trained) => (trained.prepared, folder.join("run/model.pt")),
        Outcome::Interrupted { .. } | Outcome::CompletedOnRank0 => {
            unreachable!("it is alone, and nobody interrupts")
        }
    }
}

/// The logits that the training process computes for the first `count` digits.
fn native_logits(trained: &Prepared, count: i64) -> Tensor {
    let raw = support::first_rows(&trained.dataset, count);
    tch::no_grad(|| trained.network.forward(&trained.preprocessing.apply(&raw), false).unwrap())
}

/// The logits that the training process computes for an image.
pub fn native_logits_of(trained: &Prepared, image: &Path) -> Vec<f32> {
    let dataset = &trained.dataset;
    let values = image::read(image, &dataset.shape, dataset.range.unwrap()).unwrap();
    let raw = Tensor::from_slice(&values).view(&[&[1], &dataset.shape.0[..]].concat()[..]);
    let logits = tch::no_grad(|| trained.network.forward(&trained.preprocessing.apply(&raw), false).unwrap());
    Vec::try_from(logits.view(-1)).unwrap()
}

/// Runs a program that classifies images as the examples do, against the training process.
fn check_program(program: &Path, trained: &Prepared, model: &Path) {
    let images = support::digit_images(model.parent().unwrap(), &trained.dataset, 64);
    let output = Command::new(program).arg(model).args(&images).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected: Vec<_> = images.iter().map(|path| native_logits_of(trained, path)).collect();
    let difference = largest_difference(&logits_of(&printed, 3), &expected);
    let largest = expected.iter().flatten().fold(1f32, |largest, logit| largest.max(logit.abs()));
    assert!(difference <= 1e-6 * largest, "{difference} of {largest}");
    for ((line, path), logits) in printed.lines().zip(&images).zip(&expected) {
        let best = (0..10).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
        assert!(line.starts_with(&format!("{} {best} ", path.display())), "{line}");
    }
    let failed = Command::new(program).args(["absent.pt", "absent.png"]).output().unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(!stderr(&failed).is_empty());
}

/// The command in docs/export.md that starts with this.
pub fn shown_command(start: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/export.md")).unwrap();
    let found = page.lines().find(|line| line.starts_with(start));
    found.unwrap_or_else(|| panic!("docs/export.md shows no `{start}`")).to_string()
}

pub fn bash(command: &str) {
    let output = Command::new("bash").args(["-c", command]).current_dir(root()).output().unwrap();
    let remedy = "if png.h is missing, install libpng (Debian, Ubuntu: apt install libpng-dev)";
    assert!(output.status.success(), "{remedy}:\n{}", stderr(&output));
}

#[test]
fn a_cpp_program_computes_the_logits_of_the_training_process() {
    let folder = tempfile::tempdir().unwrap();
    let (trained, model) = train(folder.path());
    let program = folder.path().join("classify");
    // The command in docs/export.md, with another output.
    bash(&shown_command("g++ ").replace("-o classify", &format!("-o {}", text(&program))));
    check_program(&program, &trained, &model);
    let failed = Command::new(&program).args([&model, &model]).output().unwrap();
    assert!(stderr(&failed).contains("model.pt: Not a PNG file"), "{}", stderr(&failed));
    for head in ["mlp", "knn"] {
        let training = TrainOptions { head_only: true, head: head.into(), ..TrainOptions::default() };
        let folder = folder.path().join(head);
        std::fs::create_dir(&folder).unwrap();
        let (trained, model) =
            train_with(&folder, Config { training, recipe: "none".into(), ..Config::default() });
        check_program(&program, &trained, &model);
    }
}

#[test]
#[ignore = "needs CMake: make test"]
fn a_cpp_program_built_by_cmake_computes_the_logits_of_the_training_process() {
    let folder = tempfile::tempdir().unwrap();
    let (trained, model) = train(folder.path());
    let cmake = std::env::var("CRESSET_CMAKE").expect("`make test` sets CRESSET_CMAKE");
    let build = folder.path().join("build");
    for line in ["cmake -S ", "cmake --build "] {
        let command = shown_command(line).replacen("cmake", &cmake, 1);
        bash(&command.replace("build/classify", text(&build)));
    }
    check_program(&build.join("classify"), &trained, &model);
}

#[test]
fn a_rust_program_computes_the_logits_of_the_training_process() {
    let folder = tempfile::tempdir().unwrap();
    let (trained, model) = train(folder.path());
    // Cargo builds the examples before it runs the tests, and puts them beside the program.
    let program = Path::new(env!("CARGO_BIN_EXE_cresset")).parent().unwrap().join("examples/classify");
    check_program(&program, &trained, &model);
}

#[test]
fn the_examples_are_short() {
    for example in [
        "cpp/classify.cpp",
        "cpp/classify_table.cpp",
        "rust/classify.rs",
        "python/classify.py",
        "python/classify_table.py",
    ] {
        let source = std::fs::read_to_string(root().join("examples").join(example)).unwrap();
        assert!(source.lines().count() < 60, "{example}");
    }
}

#[test]
fn every_form_of_the_input_gives_the_same_logits() {
    let folder = tempfile::tempdir().unwrap();
    let (trained, model) = train(folder.path());
    let module = CModule::load(&model).unwrap();
    for count in [1, 2, 64] {
        let expected = native_logits(&trained, count);
        let flat = support::first_rows(&trained.dataset, count);
        for shape in [vec![count, 64], vec![count, 8, 8], vec![count, 1, 8, 8]] {
            for kind in [Kind::Uint8, Kind::Float, Kind::Double, Kind::Int64] {
                let input = flat.view(&shape[..]).to_kind(kind);
                let logits = tch::no_grad(|| module.forward_ts(&[&input])).unwrap();
                assert_eq!(logits.kind(), Kind::Float);
                assert_eq!(logits, expected, "{shape:?} {kind:?}");
            }
        }
    }
    let nothing = Tensor::zeros([0, 64], (Kind::Float, Device::Cpu));
    assert_eq!(module.forward_ts(&[&nothing]).unwrap().size(), [0, 10]);
}

#[test]
fn predict_gives_classes_and_probabilities() {
    let folder = tempfile::tempdir().unwrap();
    let (trained, model) = train(folder.path());
    let module = CModule::load(&model).unwrap();
    let input = support::first_rows(&trained.dataset, 64);
    let pair = tch::no_grad(|| module.method_is("predict", &[IValue::Tensor(input)])).unwrap();
    let (classes, probabilities) = <(Tensor, Tensor)>::try_from(pair).unwrap();
    let expected = native_logits(&trained, 64).softmax(-1, Kind::Float);
    assert_eq!((classes.kind(), classes.size()), (Kind::Int64, vec![64]));
    assert_eq!(classes, expected.argmax(-1, false));
    assert!((probabilities - expected).abs().max().double_value(&[]) <= 1e-6);
}

#[test]
fn an_input_of_the_wrong_shape_is_rejected_with_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let (_, model) = train(folder.path());
    let module = CModule::load(&model).unwrap();
    for (shape, says) in [
        (vec![2, 32], "must have 64 values (1×8×8)"),
        (vec![64], "needs a batch dimension: (N, 64)"),
        (
            vec![1, 2, 8, 8],
            "images must be (N, height, width), (N, 1, height, width) or (N, 3, height, width)",
        ),
        (vec![1, 1, 0, 8], "the images have no pixels"),
    ] {
        let input = Tensor::zeros(&shape[..], (Kind::Float, Device::Cpu));
        let error = module.forward_ts(&[&input]).unwrap_err().to_string();
        assert!(error.contains(says), "{shape:?}: {error}");
    }
}

#[test]
fn parameters_have_hierarchical_names_and_can_be_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let (trained, model) = train(folder.path());
    let module = CModule::load(&model).unwrap();
    let mut parameters = module.named_parameters().unwrap();
    parameters.sort_by(|a, b| a.0.cmp(&b.0));
    let names: Vec<_> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight"]);
    for (name, tensor) in &parameters {
        assert_eq!(tensor.detach(), trained.network.state()[name].detach(), "{name}");
        assert!(tensor.requires_grad(), "{name}");
    }
    let input = support::first_rows(&trained.dataset, 8);
    module.forward_ts(&[&input]).unwrap().sum(Kind::Float).backward();
    assert!(parameters.iter().all(|(_, tensor)| tensor.grad().defined()));
}

#[test]
fn the_metadata_describe_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let (trained, model) = train(folder.path());
    let (_, mut extra) =
        cresset_bridge::script::Module::load(&model, Device::Cpu, &["metadata.json"]).unwrap();
    let metadata: serde_json::Value = serde_json::from_str(&extra.remove(0)).unwrap();
    let digits = serde_json::json!(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    let expected = [
        ("/classes", digits),
        ("/input/shape", serde_json::json!([1, 8, 8])),
        ("/input/value_range", serde_json::json!({"min": 0.0, "max": 16.0})),
        ("/input/sizing", "middle-bilinear".into()),
        ("/variant/dtype", "float32".into()),
        ("/preprocessing/kind", "range".into()),
        ("/preprocessing/scale", serde_json::json!([16.0])),
        ("/metrics/epoch", 2.into()),
        ("/metrics/held_out_rows", 359.into()),
        ("/config/batch_size", 32.into()),
        ("/config/model", "mlp".into()),
        ("/seed", 0.into()),
        ("/data_sha256", trained.dataset.sha256.clone().into()),
        ("/libtorch", "2.11.0".into()),
        ("/cresset", env!("CARGO_PKG_VERSION").into()),
    ];
    for (pointer, value) in expected {
        assert_eq!(metadata.pointer(pointer), Some(&value), "{pointer}");
    }
    let accuracy = metadata.pointer("/metrics/held_out/accuracy").unwrap().as_f64().unwrap();
    assert!((0.5..1.).contains(&accuracy), "{accuracy}");
}

#[test]
fn a_checkpoint_exports_again_to_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let (run, again) = (folder.path().join("run"), folder.path().join("again/model.pt"));
    std::fs::create_dir(folder.path().join("again")).unwrap();
    succeed(["train", "--epochs", "3", "--out", text(&run)]);
    let printed = succeed(["export", text(&run), "--output", text(&again)]);
    assert!(printed.contains("validation accuracy"), "{printed}");
    assert!(std::fs::read(run.join("model.pt")).unwrap() == std::fs::read(&again).unwrap());

    let last = folder.path().join("last.pt");
    succeed(["export", text(&run), "--checkpoint", "last", "--output", text(&last)]);
    assert!(CModule::load(&last).is_ok());
}

#[test]
fn the_weights_alone_are_written_under_pytorchs_names_and_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (trained, model) = train(folder.path());
    let run = model.parent().unwrap();
    for (name, format) in [("a.safetensors", "safetensors"), ("a.pth", "pth")] {
        let (output, again) = (folder.path().join(name), folder.path().join("again"));
        succeed(["export", text(run), "--output", text(&output)]);
        succeed(["export", text(&model), "--format", format, "--output", text(&again)]);
        assert!(std::fs::read(&output).unwrap() == std::fs::read(&again).unwrap(), "{format}");
        std::fs::remove_file(&again).unwrap();
    }
    let bytes = std::fs::read(folder.path().join("a.safetensors")).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let notes = header.metadata().as_ref().unwrap();
    assert_eq!(notes["format"], "pt");
    assert!(notes["cresset.metadata"].contains("\"preprocessing\""));
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let state = trained.network.state();
    assert_eq!(tensors.len(), state.len());
    for (name, tensor) in state {
        let view = tensors.tensor(&name).unwrap();
        let size: Vec<_> = view.shape().iter().map(|n| *n as i64).collect();
        let read = Tensor::from_data_size(view.data(), &size, Kind::Float);
        assert_eq!(read, tensor.detach(), "{name}");
    }
    // PyTorch maps the values into memory, for which they must be aligned.
    let archive = std::fs::File::open(folder.path().join("a.pth")).unwrap();
    let mut archive = zip::ZipArchive::new(archive).unwrap();
    for index in 0..4 {
        let member = archive.by_name(&format!("archive/data/{index}")).unwrap();
        assert_eq!(member.data_start().map(|start| start % 64), Some(0), "{index}");
    }
}

#[test]
fn an_invalid_export_is_rejected_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let (_, model) = train(folder.path());
    let output = folder.path().join("a.onnx");
    let run = text(model.parent().unwrap());
    for (arguments, says) in [
        (
            vec![run, "--format", "hdf5"],
            "--format: unknown format `hdf5`; the formats are torchscript, pt2, onnx",
        ),
        (vec![text(&model), "--checkpoint", "last"], "--checkpoint needs a run folder"),
        (vec![run, "--input", "1x8x8"], "--input: a run folder has the shape of its examples"),
        (vec![text(&model), "--input", "2x8x8"], "images must be (N, height, width)"),
        (vec!["/no/such/model.pt"], "cannot read the model"),
    ] {
        let arguments = [&["export"], arguments.as_slice(), &["--output", text(&output)]].concat();
        let refused = support::run(arguments);
        assert!(!refused.status.success() && stderr(&refused).contains(says), "{}", stderr(&refused));
        assert!(!output.exists());
    }
}

#[test]
fn features_are_the_inputs_of_the_last_layer() {
    let folder = tempfile::tempdir().unwrap();
    for (name, head, width) in
        [("mlp", "fc2", 128), ("resnet9", "fc", 64), ("vit", "heads.head", 16), ("gru", "fc", 16)]
    {
        let options = match name {
            "mlp" => "",
            "vit" => "width=16,depth=1",
            "gru" => "width=8,depth=1",
            _ => "width=8",
        };
        let out = folder.path().join(name);
        succeed(["train", "--model", name, "--model-options", options, "--epochs", "1", "--out", text(&out)]);
        let model = CModule::load(out.join("model.pt")).unwrap();
        let x = Tensor::randint(17, [3, 64], (Kind::Uint8, Device::Cpu));
        let features = model.method_ts("features", &[&x]).unwrap();
        assert_eq!(features.size(), [3, width], "{name}");
        let parameters = model.named_parameters().unwrap();
        let of_head = |end: &str| {
            let name = format!("{head}.{end}");
            parameters.iter().find(|(known, _)| *known == name).unwrap().1.shallow_clone()
        };
        let logits = features.linear(&of_head("weight"), Some(&of_head("bias")));
        assert_eq!(logits, model.forward_ts(&[&x]).unwrap(), "{name}");
    }
}
