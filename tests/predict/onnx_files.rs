//! ONNX files in the commands that take model.pt.

use std::path::{Path, PathBuf};

use crate::support::{run, stderr, succeed, text, train_once};

/// The model and the ONNX file of a run on the digits.
fn exported(folder: &Path, options: &[&str]) -> (PathBuf, PathBuf) {
    let (out, file) = (folder.join("run"), folder.join("mine.onnx"));
    train_once(&out, options);
    succeed(["export", text(&out), "--output", text(&file)]);
    (out.join("model.pt"), file)
}

#[test]
fn inspect_shows_an_onnx_file_and_a_model_starts_from_its_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (_, file) = exported(folder.path(), &["--epochs", "1"]);
    let said = succeed(["inspect", text(&file)]);
    for says in [
        "input       1×8×8, values 0–16",
        "ONNX, operator set 17",
        "fc1.weight",
        "Gemm                                          2",
    ] {
        assert!(said.contains(says), "{says} is not in {said}");
    }
    let out = folder.path().join("next");
    let output = run(["train", "--epochs", "1", "--init", text(&file), "--out", text(&out), "--verbose"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("4 of 4 tensors"), "{}", stderr(&output));
}

#[test]
fn a_damaged_onnx_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_, file) = exported(folder.path(), &["--epochs", "1"]);
    let bytes = std::fs::read(&file).unwrap();
    for length in [0, 1, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&file, &bytes[..length]).unwrap();
        for command in [vec!["inspect", text(&file)], vec!["predict", text(&file), "data/digits.csv"]] {
            let refused = run(&command);
            assert_eq!(refused.status.code(), Some(2), "{length}: {}", stderr(&refused));
            assert!(
                stderr(&refused).contains("this is not an ONNX file, or it is damaged"),
                "{}",
                stderr(&refused)
            );
        }
    }
}

#[cfg(not(feature = "onnx"))]
#[test]
fn a_program_without_onnx_runtime_names_the_feature() {
    let folder = tempfile::tempdir().unwrap();
    let (_, file) = exported(folder.path(), &["--epochs", "1"]);
    for command in [vec!["predict", text(&file), "data/digits.csv"], vec!["inspect", text(&file), "--verify"]]
    {
        let refused = run(&command);
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains("build it with `--features onnx`"), "{}", stderr(&refused));
    }
}

#[cfg(feature = "onnx")]
mod with_runtime {
    use super::*;
    use crate::packages::assert_close;
    use crate::support::{cresset, unlabelled_digits};

    /// Models of each kind: `make test-python` sets ORT_DYLIB_PATH.
    #[test]
    #[ignore = "needs the shared library of ONNX Runtime"]
    fn onnx_files_are_classified_with_evaluated_and_verified_like_their_models() {
        let folder = tempfile::tempdir().unwrap();
        for model in ["mlp", "cnn", "lstm", "vit", "resnet18"] {
            let options = match model {
                "resnet18" => "stem=3",
                "mlp" | "cnn" | "lstm" => "width=8",
                _ => "width=16,depth=1,heads=2",
            };
            let options = ["--epochs", "1", "--model", model, "--model-options", options];
            let (model, file) = exported(folder.path(), &options);
            let rows = unlabelled_digits(folder.path(), 33);
            let predict = |file: &Path| succeed(["predict", text(file), text(&rows), "--probabilities"]);
            assert_close(&predict(&model), &predict(&file));
            let eval = |file: &Path| succeed(["eval", text(file), "data/digits.csv"]);
            assert_close(&eval(&model), &eval(&file));
            let said = succeed(["inspect", text(&file), "--verify"]);
            assert!(
                said.contains("parameters  as recorded") && said.contains("samples     as recorded: 4"),
                "{said}"
            );
            std::fs::remove_dir_all(folder.path().join("run")).unwrap();
            std::fs::remove_file(file).unwrap();
        }
    }

    #[test]
    #[ignore = "needs the shared library of ONNX Runtime"]
    fn labels_numbers_explanations_and_teachers_work() {
        let folder = tempfile::tempdir().unwrap();
        let (_, file) = exported(folder.path(), &["--epochs", "1"]);
        let out = folder.path().join("explained");
        succeed([
            "explain",
            text(&file),
            "data/digits.csv",
            "--limit",
            "1",
            "--method",
            "occlusion",
            "--out",
            text(&out),
        ]);
        let run = folder.path().join("run");
        succeed(["compress", text(&run), "--distill", text(&file), "--epochs", "1"]);
        let (out, file) = (folder.path().join("number"), folder.path().join("number.onnx"));
        succeed([
            "train",
            "--epochs",
            "2",
            "--data",
            "diabetes",
            "--task",
            "regression",
            "--out",
            text(&out),
        ]);
        succeed(["export", text(&out), "--output", text(&file)]);
        let predict = |file: &Path| succeed(["predict", text(file), "data/diabetes.csv"]);
        assert_close(&predict(&out.join("model.pt")), &predict(&file));
    }

    #[test]
    fn a_missing_library_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (_, file) = exported(folder.path(), &["--epochs", "1"]);
        let mut command = cresset();
        command.args(["predict", text(&file), "data/digits.csv"]).env("ORT_DYLIB_PATH", "absent.so");
        let refused = command.output().unwrap();
        assert_eq!(refused.status.code(), Some(2));
        let said = stderr(&refused);
        assert!(said.contains("absent.so") && said.contains("set ORT_DYLIB_PATH"), "{said}");
    }
}
