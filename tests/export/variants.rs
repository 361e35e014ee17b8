//! The TorchScript file in other forms: frozen, optimized, in fewer bits, for a GPU.

use std::path::{Path, PathBuf};

use crate::support::{run, stderr, succeed, text};
use cresset_bridge::script::Module;
use tch::{CModule, Device, IValue, Kind, Tensor};

/// A short run of an architecture on the digits.
fn train(folder: &Path, model: &str, options: &str) -> PathBuf {
    let out = folder.join(model);
    succeed(["train", "--model", model, "--model-options", options, "--epochs", "3", "--out", text(&out)]);
    out
}

fn accuracy(said: &str) -> f64 {
    let line = said.lines().find(|line| line.starts_with("accuracy")).unwrap();
    line.split_whitespace().find_map(|word| word.parse().ok()).unwrap()
}

/// The options of a variant, and how far its logits may be from those of the plain file, as a share of the largest.
const VARIANTS: &[(&[&str], f64)] = &[
    (&["--freeze"], 0.),
    (&["--optimize"], 1e-5),
    (&["--dtype", "bf16"], 0.05),
    (&["--dtype", "fp16"], 0.01),
    (&["--freeze", "--dtype", "bf16"], 0.05),
    (&["--optimize", "--dtype", "fp16"], 0.01),
];

#[test]
fn every_variant_computes_the_same_is_verified_and_works_with_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in [("cnn", "width=8"), ("vit", "width=16,depth=1"), ("lstm", "width=8,depth=1")] {
        let out = train(folder.path(), name, options);
        let plain = CModule::load(out.join("model.pt")).unwrap();
        let x = Tensor::randint(17, [9, 64], (Kind::Uint8, Device::Cpu));
        let of = |module: &CModule, method: &str| tch::no_grad(|| module.method_ts(method, &[&x]).unwrap());
        let expected = accuracy(&succeed(["eval", text(&out.join("model.pt")), "data/digits.csv"]));
        for (number, (options, tolerance)) in VARIANTS.iter().enumerate() {
            let file = folder.path().join(format!("{name}-{number}.pt"));
            succeed([&["export", text(&out), "--output", text(&file)], *options].concat());
            let variant = CModule::load(&file).unwrap();
            for method in ["forward", "features"] {
                let (found, plain) = (of(&variant, method), of(&plain, method));
                assert_eq!((found.kind(), found.size()), (Kind::Float, plain.size()));
                let difference = (found - &plain).abs().max() / plain.abs().max();
                assert!(
                    difference.double_value(&[]) <= *tolerance,
                    "{name} {options:?} {method}: {difference}"
                );
            }
            let pair = variant.method_is("predict", &[IValue::Tensor(x.shallow_clone())]).unwrap();
            let (classes, probabilities) = <(Tensor, Tensor)>::try_from(pair).unwrap();
            assert_eq!((classes.size(), probabilities.size()), (vec![9], vec![9, 10]));

            let verified = succeed(["inspect", text(&file), "--verify"]);
            assert!(verified.contains("as recorded (SHA-256"), "{verified}");
            if name != "cnn" {
                continue;
            }
            let found = accuracy(&succeed(["eval", text(&file), "data/digits.csv"]));
            assert!((found - expected).abs() < 1., "{options:?}: {found}, plain {expected}");
            succeed(["predict", text(&file), "data/digits.csv"]);
            let maps = folder.path().join(format!("maps-{name}-{number}"));
            succeed(["explain", text(&file), "data/digits.csv", "--limit", "1", "--out", text(&maps)]);
        }
    }
}

#[test]
fn frozen_files_have_no_parameters_and_half_precision_has_half_the_size() {
    let folder = tempfile::tempdir().unwrap();
    let out = train(folder.path(), "cnn", "width=16");
    let export = |name: &str, options: &[&str]| {
        let file = folder.path().join(name);
        succeed([&["export", text(&out), "--output", text(&file)], options].concat());
        file
    };
    let size = |file: &Path| std::fs::metadata(file).unwrap().len() as f64;
    let (plain, half) = (export("plain.pt", &[]), export("half.pt", &["--dtype", "bf16"]));
    assert!(size(&half) < 0.7 * size(&plain), "{} {}", size(&half), size(&plain));
    let said = succeed(["inspect", text(&half)]);
    assert!(said.contains("variant     bfloat16, cpu") && said.contains("bfloat16"), "{said}");

    let frozen = export("frozen.pt", &["--freeze"]);
    let (module, _) = Module::load(&frozen, Device::Cpu, &[]).unwrap();
    assert!(module.state().unwrap().is_empty());
    let said = succeed(["inspect", text(&frozen)]);
    for says in
        ["variant     frozen, float32, cpu", "constants of the code", "frozen: the weights are constants"]
    {
        assert!(said.contains(says), "{says} is not in {said}");
    }
    // A weight that is changed in the file is found.
    let mut bytes = std::fs::read(&frozen).unwrap();
    let weight = Module::load(&plain, Device::Cpu, &[]).unwrap().0.state().unwrap().remove(0).1;
    let weight = weight.view(-1).double_value(&[5]) as f32;
    let at = bytes.windows(4).position(|window| window == weight.to_le_bytes()).unwrap();
    bytes[at + 3] ^= 1;
    let other = folder.path().join("other.pt");
    std::fs::write(&other, bytes).unwrap();
    let found = run(["inspect", text(&other), "--verify"]);
    assert_eq!(found.status.code(), Some(2), "{}", stderr(&found));
    assert!(stderr(&found).contains("has changed since it was written"), "{}", stderr(&found));

    // The weights alone, in half the size.
    let weights = export("half.safetensors", &["--dtype", "fp16"]);
    let bytes = std::fs::read(&weights).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert!(tensors.tensors().iter().any(|(_, view)| view.dtype() == safetensors::Dtype::F16));
}

#[test]
fn an_invalid_variant_is_rejected_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let out = train(folder.path(), "mlp", "");
    let frozen = folder.path().join("frozen.pt");
    succeed(["export", text(&out), "--freeze", "--output", text(&frozen)]);
    let refuse = |arguments: &[&str], output: &str, says: &str| {
        let output = folder.path().join(output);
        let refused = run([&["export"], arguments, &["--output", text(&output)]].concat());
        assert_eq!(refused.status.code(), Some(2), "{arguments:?} {}", stderr(&refused));
        assert!(stderr(&refused).contains(says), "{says} is not in {}", stderr(&refused));
        assert!(!output.exists());
    };
    let (run_folder, model) = (text(&out), out.join("model.pt"));
    refuse(&[run_folder, "--freeze"], "a.onnx", "--format onnx: it is always float32 on the CPU");
    refuse(&[run_folder, "--dtype", "fp16"], "a.onnx", "are for torchscript");
    refuse(&[run_folder, "--freeze"], "a.safetensors", "--format safetensors: it stores weights only");
    refuse(&[text(&frozen), "--dtype", "bf16"], "a.pt", "it is already frozen, float32, cpu; export the run");
    refuse(&[text(&frozen)], "a.pth", "it is frozen, so its weights have no names");
    refuse(&[text(&model), "--input", "1x8x8", "--freeze"], "a.pt", "need a model exported by cresset");
    if !tch::Cuda::is_available() {
        refuse(&[run_folder, "--device", "cuda"], "a.pt", "--device cuda");
    }
    let refused = run(["train", "--model", text(&frozen), "--out", text(&folder.path().join("again"))]);
    assert!(
        stderr(&refused).contains("no parameters to train (freezing removes them)"),
        "{}",
        stderr(&refused)
    );
}
