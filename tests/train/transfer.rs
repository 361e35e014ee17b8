//! Training that starts from the weights of a file.

use std::path::Path;

use std::collections::HashMap;

use crate::support::shift::Shift;
use crate::support::{assert_same_bits, run, stderr, succeed, text};
use cresset::model::weights::{self, safetensors};
use cresset::train::TrainOptions;

#[test]
fn pretraining_on_some_digits_helps_with_others() {
    let shift = Shift::new();
    let head_first = TrainOptions { head_epochs: 10, ..TrainOptions::default() };
    let mean = |init: bool, training: &TrainOptions| {
        (0..3).map(|seed| shift.accuracy(init, training.clone(), seed)).sum::<f64>() / 3.
    };
    let (scratch, transferred) = (mean(false, &TrainOptions::default()), mean(true, &head_first));
    println!("from scratch {:.2} %, transferred {:.2} %", 100. * scratch, 100. * transferred);
    assert!(transferred > scratch, "{scratch} {transferred}");
}

#[test]
fn a_run_is_initialized_from_any_weight_file_and_reports_the_matches() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first");
    succeed(["train", "--epochs", "20", "--lr", "0.003", "--out", text(&first)]);
    for file in ["checkpoints/best.safetensors", "checkpoints/last.safetensors", "model.pt"] {
        let out = folder.path().join(file.replace('/', "-"));
        let init = first.join(file);
        let base = ["train", "--init", text(&init), "--epochs", "1", "--lr", "1e-6", "--out", text(&out)];
        let said = succeed(base);
        assert!(said.contains("init    4 of 4 tensors matched"), "{said}");
        let accuracy = said.split("validation accuracy  ").nth(1).unwrap().split(' ').next().unwrap();
        assert!(accuracy.parse::<f64>().unwrap() > 96., "{said}");
    }
    let out = folder.path().join("wider");
    let said = succeed([
        "train",
        "--init",
        text(&first.join("model.pt")),
        "--model-options",
        "depth=2",
        "--epochs",
        "1",
        "--out",
        text(&out),
    ]);
    assert!(
        said.contains(
            "2 of 6 tensors matched; randomly initialized: fc2.bias (128 here, 10 in the file), fc2.weight"
        ),
        "{said}"
    );
}

/// Writes a file of weights whose names are others.
fn rename(from: &Path, to: &Path, names: impl Fn(&str) -> Vec<String>) {
    let weights = weights::read(from).unwrap();
    let renamed: Vec<_> = weights
        .iter()
        .flat_map(|(name, tensor)| names(name).into_iter().map(move |name| (name, tensor)))
        .collect();
    safetensors::write(to, &renamed, HashMap::new()).unwrap();
}

#[test]
fn of_several_copies_in_a_file_one_is_selected_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let options = ["train", "--model", "resnet18", "--validation", "0.95", "--epochs", "1"];
    let train = |more: &[&str]| succeed([&options[..], more].concat());
    train(&["--out", text(&path("first"))]);
    let (best, copies) = (path("first/checkpoints/best.safetensors"), path("copies.safetensors"));
    rename(&best, &copies, |name| {
        ["student.module.", "teacher.", "optimizer.exp_avg."].map(|copy| format!("{copy}{name}")).into()
    });
    let shown = train(&["--init", text(&copies), "--out", text(&path("second"))]);
    assert!(
        shown.contains(
            "tensors matched, from `teacher`; choose another copy with --init-key: `student.module`"
        ),
        "{shown}"
    );
    let shown = train(&["--init", text(&copies), "--init-key", "student", "--out", text(&path("third"))]);
    assert!(shown.contains("tensors matched, from `student.module`"), "{shown}");
    let refuse = |more: &[&str], says: &[&str]| {
        let refused = run([&options[..], more, &["--out", text(&path("refused"))]].concat());
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        says.iter().for_each(|says| assert!(stderr(&refused).contains(says), "{says}: {}", stderr(&refused)));
        assert!(!path("refused").exists());
    };
    refuse(
        &["--init", text(&copies), "--init-key", "ema"],
        &["under the key `ema`", "`teacher` (", "`optimizer` ("],
    );
    refuse(&["--init-key", "ema"], &["--init FILE"]);

    // The body of a model whose layers are numbered, as fastai has them: only names of inner blocks are the model's.
    let numbered = path("numbered.safetensors");
    rename(&best, &numbered, |name| {
        let places = [
            ("conv1", "0.0"),
            ("bn1", "0.1"),
            ("layer1", "0.4"),
            ("layer2", "0.5"),
            ("layer3", "0.6"),
            ("layer4", "0.7"),
            ("fc", "1.8"),
        ];
        let (layer, rest) = name.split_once('.').unwrap();
        let place = places.iter().find(|(known, _)| *known == layer).unwrap().1;
        vec![format!("{place}.{rest}")]
    });
    refuse(
        &["--init", text(&numbered)],
        &["match the file by name and size", "The file has 0.0.weight", "the model has conv1.weight"],
    );
}

#[test]
fn a_run_resumes_bit_identically_without_its_initial_weights_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let init = path("start.safetensors");
    succeed(["train", "--epochs", "3", "--seed", "5", "--out", text(&path("first"))]);
    std::fs::copy(path("first/checkpoints/best.safetensors"), &init).unwrap();
    let train = |out: &Path, epochs: &str| {
        succeed(["train", "--init", text(&init), "--epochs", epochs, "--out", text(out)])
    };
    train(&path("whole"), "4");
    train(&path("parts"), "2");
    std::fs::remove_file(&init).unwrap();
    succeed(["train", "--resume", text(&path("parts")), "--epochs", "4"]);
    assert_same_bits(&path("whole"), &path("parts"));
}

#[test]
fn a_file_that_does_not_fit_or_holds_no_weights_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    succeed([
        "train",
        "--model",
        "gru",
        "--model-options",
        "width=4",
        "--epochs",
        "1",
        "--out",
        text(&path("gru")),
    ]);
    let refuse = |init: &Path, says: &str| {
        let refused =
            run(["train", "--init", text(init), "--model-options", "width=7", "--out", text(&path("out"))]);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(says), "{says} is not in {}", stderr(&refused));
        assert!(!path("out").exists());
    };
    refuse(&path("none.pth"), "none.pth: cannot read the weights");
    std::fs::write(path("list.txt"), "not weights").unwrap();
    refuse(&path("list.txt"), "neither safetensors nor a file of torch.save");
    std::fs::write(path("bad.pth"), b"PK\x03\x04\0\0\0\0").unwrap();
    refuse(&path("bad.pth"), "bad.pth: ");
    refuse(&path("gru/checkpoints/last.safetensors"), "tensors match the file by name and size");
}
