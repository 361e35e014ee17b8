//! What only an NVIDIA GPU can show; `scripts/gpu-check` runs these tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{last_accuracy, root, run, stderr, succeed, text, unlabelled_digits};
use cresset_bridge::cuda::{self, Graph, Plugin, SideStream};
use cresset_bridge::memory::pinned;
use safetensors::SafeTensors;
use tch::{Device, Kind, Tensor};

const GPU: Device = Device::Cuda(0);

/// Trains on the GPU into a folder of this name.
fn train(folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let out = folder.join(name);
    succeed([&["train", "--device", "cuda", "--out", text(&out)], options].concat());
    out
}

/// The bits of all tensors of a run's last checkpoint.
fn last_weights(run: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = std::fs::read(run.join("checkpoints/last.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut found: Vec<_> =
        tensors.iter().map(|(name, view)| (name.to_string(), view.data().to_vec())).collect();
    found.sort();
    found
}

/// The folder of the libraries that this program is linked with.
fn libraries() -> PathBuf {
    let library = std::fs::canonicalize(root().join("libtorch/lib/libtorch_cpu.so")).unwrap();
    library.parent().unwrap().to_path_buf()
}

/// Compiles tests/setup/gpu/NAME.cpp against libtorch with CUDA.
fn compile(name: &str, folder: &Path) -> PathBuf {
    let (program, libraries) = (folder.join(name), libraries());
    let mut command = Command::new("c++");
    command.args(["-std=c++17", "-DNDEBUG", &format!("tests/setup/gpu/{name}.cpp"), "-o", text(&program)]);
    command.args(["-isystem", "libtorch/include", "-isystem", "libtorch/include/torch/csrc/api/include"]);
    command.arg(format!("-L{}", libraries.display())).arg(format!("-Wl,-rpath,{}", libraries.display()));
    command.args(["-Wl,--no-as-needed", "-Wl,--unresolved-symbols=ignore-in-shared-libs"]);
    command.args(["-ltorch_cuda", "-ltorch_cpu", "-lc10_cuda", "-lc10", "-ldl"]);
    let output = command.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    program
}

fn printed(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs an NVIDIA GPU: scripts/gpu-check"]
fn doctor_sees_the_gpu_with_its_memory_and_the_plugin() {
    let said = succeed(["doctor"]);
    assert!(said.contains("GPU(s): cuda:0 with ") && said.contains(" GB free"), "{said}");
    assert!(said.contains("ok     CUDA plugin"), "{said}");
}

#[test]
#[ignore = "needs an NVIDIA GPU: scripts/gpu-check"]
fn the_mlp_recipe_reaches_96_percent_accuracy_on_the_digits() {
    let folder = tempfile::tempdir().unwrap();
    let run = train(folder.path(), "run", &["--config", "recipes/mlp.toml"]);
    let accuracy = last_accuracy(&run);
    assert!(accuracy >= 0.96, "{accuracy}");
}

#[test]
#[ignore = "needs an NVIDIA GPU: scripts/gpu-check"]
fn a_resumed_run_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--model-options", "dropout=0.2"];
    let whole = train(folder.path(), "whole", &[&options[..], &["--epochs", "6"]].concat());
    let parts = train(folder.path(), "parts", &[&options[..], &["--epochs", "3"]].concat());
    succeed(["train", "--resume", text(&parts), "--epochs", "6"]);
    assert!(last_weights(&whole) == last_weights(&parts));
}

#[test]
#[ignore = "needs an NVIDIA GPU: scripts/gpu-check"]
fn captured_steps_are_bit_identical_to_eager_steps() {
    let folder = tempfile::tempdir().unwrap();
    for (optimizer, more) in
        [("adam", "constant"), ("adamw", "cosine"), ("sgd", "one-cycle"), ("adagrad", "step")]
    {
        let weights = ["yes", "no"].map(|choice| {
            let out = folder.path().join(format!("{optimizer}-{choice}"));
            let options =
                ["--epochs", "3", "--model-options", "dropout=0.2", "--lr", "0.01", "--cuda-graph", choice];
            let output = run([
                &[
                    "train",
                    "--device",
                    "cuda",
                    "--out",
                    text(&out),
                    "--optimizer",
                    optimizer,
                    "--schedule",
                    more,
                ],
                &options[..],
            ]
            .concat());
            let said = stderr(&output);
            assert!(output.status.success() && !said.contains("steps are not captured"), "{said}");
            last_weights(&out)
        });
        assert!(weights[0] == weights[1], "{optimizer}");
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU: scripts/gpu-check"]
fn convolutions_in_bfloat16_are_captured() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let output = run([
        &["train", "-v", "--device", "cuda", "--model", "cnn", "--precision", "bf16", "--channels-last"][..],
        &["--epochs", "5", "--out", text(&out)],
    ]
    .concat());
    let said = stderr(&output);
    assert!(output.status.success() && said.contains("GPU memory: peak "), "{said}");
    assert!(!said.contains("operation by operation"), "{said}");
    assert!(last_accuracy(&out) > 0.9, "{}", last_accuracy(&out));
}

#[test]
#[ignore = "needs an NVIDIA GPU: scripts/gpu-check"]
fn an_exported_model_predicts_the_same_classes_on_the_gpu_in_cpp_and_python() {
    let folder = tempfile::tempdir().unwrap();
    let model = train(folder.path(), "run", &[]).join("model.pt");
    let rows = unlabelled_digits(folder.path(), 500);
    let predicted = succeed(["predict", text(&model), text(&rows), "--output", "plain", "--device", "cpu"]);
    let cpp = compile("classes", folder.path());
    assert_eq!(printed(Command::new(cpp).args([&model, &rows])), predicted);
    let python = std::env::var("CRESSET_PYTHON").expect("scripts/gpu-check sets CRESSET_PYTHON");
    assert_eq!(
        printed(Command::new(python).arg("tests/setup/gpu/classes.py").args([&model, &rows])),
        predicted
    );
}

#[test]
#[ignore = "needs an NVIDIA GPU: scripts/gpu-check"]
fn every_gpu_variant_reproduces_its_recorded_samples() {
    let folder = tempfile::tempdir().unwrap();
    let run = train(folder.path(), "run", &["--model", "cnn", "--epochs", "2"]);
    for dtype in ["f32", "bf16", "fp16"] {
        for form in [None, Some("--freeze"), Some("--optimize")] {
            let output = folder.path().join("variant.pt");
            let mut arguments = vec!["export", text(&run), "--device", "cuda", "--dtype", dtype];
            arguments.extend(form);
            arguments.extend(["--output", text(&output)]);
            succeed(arguments);
            succeed(["inspect", text(&output), "--verify"]);
            std::fs::remove_file(&output).unwrap();
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU: scripts/gpu-check"]
fn transfers_on_a_side_stream_are_complete() {
    Plugin::open().unwrap();
    let mut stream = SideStream::new(GPU).unwrap();
    let values = |number: i64| Tensor::full([1 << 20], number, (Kind::Int64, Device::Cpu));
    let busy = Tensor::rand([2048, 2048], (Kind::Float, GPU));
    let mut next = stream.send(&pinned(&values(0)).unwrap()).unwrap();
    for number in 0..50 {
        let tensor = stream.receive(next).unwrap();
        next = stream.send(&pinned(&values(number + 1)).unwrap()).unwrap();
        // Work before and behind the use, so that memory that were used anew too early would be seen.
        let _ = busy.matmul(&busy);
        let wrong = tensor.ne(number).sum(Kind::Int64);
        drop(tensor);
        let _ = busy.matmul(&busy);
        assert_eq!(wrong.int64_value(&[]), 0, "tensor {number}");
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU: scripts/gpu-check"]
fn a_failed_capture_leaves_the_device_and_its_generator_unchanged() {
    Plugin::open().unwrap();
    let mut graph = Graph::new(GPU).unwrap();
    let draw = || Tensor::rand([4], (Kind::Float, GPU)).to_device(Device::Cpu);
    tch::Cuda::manual_seed_all(5);
    let (first, second) = (draw(), draw());
    tch::Cuda::manual_seed_all(5);
    assert_eq!(draw(), first);
    // Reading a value waits for the device, which nothing that is recorded may do.
    let read = || Ok::<_, cresset_bridge::Error>(Tensor::rand([4], (Kind::Float, GPU)).double_value(&[0]));
    assert!(graph.record(read).is_err());
    assert_eq!(draw(), second);

    let mut total = Tensor::zeros([1], (Kind::Float, GPU));
    let add = || {
        drop(total.g_add_scalar_(1));
        Ok::<_, cresset_bridge::Error>(())
    };
    graph.record(add).unwrap();
    (0..3).for_each(|_| graph.replay().unwrap());
    assert_eq!(total.double_value(&[0]), 3.);
}

#[test]
#[ignore = "needs an NVIDIA GPU: scripts/gpu-check"]
fn the_gpu_memory_of_tensors_is_reported() {
    Plugin::open().unwrap();
    cuda::reset_peak(GPU).unwrap();
    let before = cuda::memory(GPU).unwrap();
    let large = Tensor::zeros([256 << 20], (Kind::Uint8, GPU));
    let with = cuda::memory(GPU).unwrap();
    assert_eq!(with.allocated - before.allocated, 256 << 20);
    drop(large);
    let after = cuda::memory(GPU).unwrap();
    assert_eq!(after.allocated, before.allocated);
    assert!(after.peak_allocated >= with.allocated && after.free <= after.total);
}

#[test]
#[ignore = "needs an NVIDIA GPU: scripts/gpu-check"]
fn nccl_all_reduces_over_two_processes_or_one_on_a_single_gpu() {
    let folder = tempfile::tempdir().unwrap();
    let program = compile("nccl", folder.path());
    let size = cuda::load().unwrap().min(2);
    let start = |rank: usize| {
        let store = folder.path().join("store");
        let (rank, size) = (rank.to_string(), size.to_string());
        let mut command = Command::new(&program);
        command.args([text(Plugin::path()), text(&store), &rank, &size]);
        command.stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let processes: Vec<_> = (0..size).map(start).collect();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
}
