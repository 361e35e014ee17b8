//! `--bag`: one model of several, each trained without one fold.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use cresset::model::script;
use cresset::predict::Classifier;
use cresset::run::{FinishedRun, RunFolder};
use tch::{Device, Kind, Tensor};

use crate::support::job::{kill, wait_for};
use crate::support::{assert_same_bits, cresset, run, stderr, succeed, text};

/// A table of 90 rows whose classes overlap.
fn table(folder: &Path) -> PathBuf {
    let row = |row: usize| {
        let class = (row * 7 % 11 + row % 3) / 6;
        format!("{},{},{}\n", row * 7 % 11, row % 3 + row * 5 % 13, ["no", "yes", "maybe"][class.min(2)])
    };
    let path = folder.join("table.csv");
    std::fs::write(&path, (0..90).map(row).collect::<String>()).unwrap();
    path
}

/// Trains a bag of three perceptrons.
fn train(folder: &Path, out: &Path, options: &[&str]) -> String {
    let table = table(folder);
    let fixed = ["train", "--recipe", "none", "--data", text(&table), "--bag", "3", "--out", text(out)];
    succeed(fixed.iter().chain(options))
}

#[test]
fn a_bag_is_validated_by_the_members_trained_without_each_row() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let said = train(folder.path(), &out, &["--epochs", "60", "--lr", "0.01"]);
    assert!(said.contains("90 in 3 folds") && said.contains("of 90 rows"), "{said}");

    // Every row is in one fold, and the folds have equal sizes.
    let split = std::fs::read_to_string(out.join("split.csv")).unwrap();
    for fold in ["fold-1", "fold-2", "fold-3"] {
        assert_eq!(split.lines().filter(|line| line.ends_with(&format!(",{fold}"))).count(), 30);
    }
    assert_eq!(split.lines().count(), 91);

    // The predictions of the file for each row, by the member of its fold, have the recorded metrics.
    let run = FinishedRun::open(&RunFolder::open(&out).unwrap(), Device::Cpu).unwrap();
    let rows = run.examples.split.validation.clone();
    let folds = Tensor::from_slice(&run.examples.split.folds_of(&rows).unwrap());
    let (module, _) = script::load(&out.join("model.pt"), Device::Cpu, &[]).unwrap();
    let batch = run.examples.raw(&rows, &run.config, Device::Cpu).in_order().next().unwrap().unwrap();
    let members = module.call("members", &batch.inputs).unwrap().remove(0);
    assert_eq!(members.size(), [90, 3, 3]);
    let own = Tensor::stack(
        &(0..90).map(|row| members.get(row).get(folds.int64_value(&[row]))).collect::<Vec<_>>(),
        0,
    );
    let correct = own.argmax(-1, false).eq_tensor(&batch.labels).sum(Kind::Int64).int64_value(&[]);
    let recorded = run.classifier.metadata().metrics.validation["accuracy"].as_f64().unwrap();
    assert_eq!(correct as f64 / 90., recorded);
    let loss = own.cross_entropy_for_logits(&batch.labels).double_value(&[]);
    assert!((loss - run.classifier.metadata().metrics.validation_loss).abs() < 1e-5, "{loss}");
    // All members together know the rows: their accuracy is no validation.
    let forward = module.call("forward", &batch.inputs).unwrap().remove(0);
    let known = forward.argmax(-1, false).eq_tensor(&batch.labels).sum(Kind::Int64).int64_value(&[]);
    assert!(known > correct, "{known}, {correct}");
    // The probabilities of the file are the mean of those of the members.
    let mean = members.softmax(-1, Kind::Float).mean_dim([1].as_slice(), false, Kind::Float);
    assert!((forward.softmax(-1, Kind::Float) - mean).abs().max().double_value(&[]) < 1e-6);

    // The commands that read a run use out-of-fold predictions, too.
    let said = succeed(["eval", text(&out)]);
    let accuracy = format!("{:.2} %", 100. * recorded);
    assert!(said.lines().any(|line| line.starts_with("accuracy") && line.ends_with(&accuracy)), "{said}");
    // The predictions by which runs are compared.
    let own = cresset::report::runs::ValidationPredictions::of(&out, Device::Cpu).unwrap();
    let compared = own.compare(&own).unwrap();
    assert_eq!((compared.rows, compared.accuracy_a), (90, recorded));
    succeed(["report", text(&out)]);
    let report = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains(&accuracy), "{accuracy}");
    assert_eq!(
        Classifier::load_on(&out.join("model.pt"), Device::Cpu).unwrap().replay().unwrap().unwrap().problem(),
        None
    );
}

#[test]
fn a_bag_is_exported_to_other_formats() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    train(folder.path(), &out, &["--epochs", "3", "--model-options", "width=16"]);
    let table = table(folder.path());
    let expected = succeed(["eval", text(&out), text(&table)]);
    let formats = [("pt2", "model.pt2"), ("onnx", "model.onnx"), ("safetensors", "model.safetensors")];
    for (format, file) in formats {
        let file = out.join(file);
        succeed(["export", text(&out), "--format", format, "--output", text(&file)]);
        if format == "pt2" {
            assert_eq!(succeed(["eval", text(&file), text(&table)]), expected);
        }
    }
    let frozen = out.join("frozen.pt");
    succeed(["export", text(&out), "--freeze", "--output", text(&frozen)]);
    let (module, _) = script::load(&frozen, Device::Cpu, &[]).unwrap();
    assert!(module.methods().unwrap().iter().any(|method| method == "members"));
    assert_eq!(succeed(["eval", text(&frozen), text(&table)]), expected);
    // The features of the members, 16 each, one after the other.
    let features = out.join("features.npy");
    succeed(["predict", text(&out), text(&table), "--embeddings", text(&features)]);
    let values = Tensor::read_npy(&features).unwrap();
    assert_eq!(values.size(), [90, 3 * 16]);
}

#[test]
fn a_bag_of_each_task_and_of_images_is_trained_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |row: usize| format!("{},{},{}\n", row % 7, row % 5, row % 7 * 2 + row % 5);
    let numbers = folder.path().join("numbers.csv");
    std::fs::write(&numbers, "a,b,y\n".to_string() + &(0..60).map(rows).collect::<String>()).unwrap();
    let out = folder.path().join("numbers");
    let options = ["--task", "regression", "--label", "y", "--bag", "2", "--epochs", "40", "--lr", "0.02"];
    let fixed = ["train", "--recipe", "none", "--data", text(&numbers), "--out", text(&out)];
    succeed(fixed.iter().chain(&options));
    let metadata = cresset::predict::metadata(&out.join("model.pt")).unwrap();
    assert_eq!(metadata.metrics.validation_rows, 60);
    assert!(metadata.metrics.validation["R²"].as_f64().unwrap() > 0.8, "{:?}", metadata.metrics.validation);
    let again = succeed(["eval", text(&out)]);
    let shown = format!("{:.4}", metadata.metrics.validation["R²"].as_f64().unwrap());
    assert!(again.contains(&shown), "{again}");

    // Batch normalization, augmentation and class weights.
    let out = folder.path().join("digits");
    let options = ["--model", "cnn", "--model-options", "width=4", "--bag", "2", "--epochs", "1"];
    let augment = ["--augment", "digits", "--class-weights", "balanced", "--out", text(&out)];
    succeed(["train", "--recipe", "none"].iter().chain(&options).chain(&augment));
    assert!(succeed(["eval", text(&out)]).contains("accuracy"));
}

#[test]
fn a_killed_bag_resumes_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (out, undisturbed) = (folder.path().join("run"), folder.path().join("undisturbed"));
    let options = ["--epochs", "150", "--model", "tabm", "--model-options", "members=4,width=16"];
    train(folder.path(), &undisturbed, &options);
    let table = table(folder.path());
    let fixed = ["train", "--recipe", "none", "--data", text(&table), "--bag", "3", "--out", text(&out)];
    let mut child = cresset()
        .args(fixed.iter().chain(&options))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&out.join("checkpoints/best.safetensors"), &mut child);
    assert!(kill(&mut child), "it was over before it could be killed");
    succeed(["train", "--resume", text(&out)]);
    assert_same_bits(&out, &undisturbed);
}

#[test]
fn what_a_bag_does_not_have_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path());
    let out = folder.path().join("run");
    let cases: [(&[&str], &str); 7] = [
        (&["--bag", "1"], "--bag 1 is a single model"),
        (&["--bag", "3", "--folds", "3", "--fold", "1"], "--folds trains separate models"),
        (&["--bag", "3", "--head-only"], "--head-only needs a single model"),
        (&["--bag", "3", "--freeze", "fc1"], "--freeze needs a single model"),
        (&["--bag", "3", "--ood", "0.05", "--ood-score", "knn"], "--ood-score knn needs a single model"),
        (&["--bag", "3", "--model", "x.pt"], "must be an architecture that `cresset models` lists"),
        (&["--bag", "101"], "101"),
    ];
    for (options, problem) in cases {
        let fixed = ["train", "--recipe", "none", "--data", text(&table), "--out", text(&out)];
        let output = run(fixed.iter().chain(options));
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        assert!(stderr(&output).contains(problem), "{options:?}: {}", stderr(&output));
        assert!(!out.exists(), "{options:?}");
    }
    let digits = ["train", "--recipe", "none", "--bag", "2", "--augment", "mixup", "--out", text(&out)];
    let output = run(digits);
    assert!(stderr(&output).contains("combine examples of different folds"), "{}", stderr(&output));
}
