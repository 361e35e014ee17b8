//! `cresset compress`: what it makes works alone, and its table is right.

use std::path::{Path, PathBuf};

use crate::support::targets::{prices_run, tags_run};
use crate::support::{root, run, stderr, succeed, text};
use cresset::predict::Classifier;
use tch::Device;

/// A run of a small convolutional network, one thread, so that tests beside it do not slow it down.
fn trained(folder: &Path, options: &[&str]) -> PathBuf {
    let out = folder.join("run");
    let base = ["train", "--threads", "1", "--out", text(&out)];
    succeed(base.iter().chain(options));
    out
}

fn cnn(folder: &Path) -> PathBuf {
    let recipe = root().join("recipes/cnn.toml");
    trained(folder, &["--config", text(&recipe), "--epochs", "6", "--model-options", "width=16"])
}

/// The rows of compression.csv, by column.
fn table(run: &Path) -> Vec<std::collections::BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(run.join("compressed/compression.csv")).unwrap();
    reader.deserialize().collect::<Result<_, _>>().unwrap()
}

fn number(row: &std::collections::BTreeMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap()
}

/// The classes that a model gives the digits.
fn classes(model: &Path) -> Vec<String> {
    let said = succeed(["predict", text(model), text(&root().join("data/digits.csv"))]);
    said.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().to_string()).collect()
}

#[test]
fn compressed_models_match_the_compression_table() {
    let folder = tempfile::tempdir().unwrap();
    let run = cnn(folder.path());
    let said = succeed(["compress", text(&run), "--epochs", "3"]);
    let rows = table(&run);
    let names: Vec<_> = rows.iter().map(|row| row["model"].as_str()).collect();
    assert_eq!(names, ["original", "int8", "prune-0.5", "prune-0.5-int8"]);
    assert!(names.iter().all(|name| said.contains(name)), "{said}");

    let original = classes(&run.join("model.pt"));
    for row in &rows[1..] {
        let file = run.join("compressed").join(&row["file"]);
        assert_eq!(std::fs::metadata(&file).unwrap().len() as f64, number(row, "bytes"));
        succeed(["inspect", text(&file), "--verify"]);
        let agree = original.iter().zip(classes(&file)).filter(|(a, b)| *a == b).count();
        assert!(agree * 100 >= original.len() * 96, "{}: {agree}", row["model"]);
        // The accuracy that the file speaks of is the table's, and close to the original's.
        let metadata = Classifier::load_on(&file, Device::Cpu).unwrap().metadata().clone();
        assert!(
            (metadata.metrics.validation["accuracy"].as_f64().unwrap() - number(row, "accuracy")).abs()
                < 1e-6
        );
        assert!(number(row, "accuracy") > number(&rows[0], "accuracy") - 0.03, "{row:?}");
        let compression = metadata.compression.unwrap();
        assert_eq!(compression.pruned.is_some(), row["model"].starts_with("prune"));
        assert_eq!(compression.int8.as_deref(), row["model"].ends_with("int8").then_some("static"));
    }
    let bytes: Vec<_> = rows.iter().map(|row| number(row, "bytes")).collect();
    assert!(bytes[1] < bytes[0] / 2. && bytes[2] < bytes[0] / 2. && bytes[3] < bytes[2] / 1.5, "{bytes:?}");
    assert!(number(&rows[2], "parameters") < number(&rows[0], "parameters") * 0.35);
    assert!(rows.iter().all(|row| number(row, "latency_1_us") > 0. && number(row, "latency_64_us") > 0.));
    assert!(rows.iter().filter(|row| row["chosen"] == "true").all(|row| row["pareto"] == "true"));
    // Wilson's interval of 359 validation examples.
    for row in &rows {
        let (accuracy, low, high) =
            (number(row, "accuracy"), number(row, "accuracy_low"), number(row, "accuracy_high"));
        assert!(low <= accuracy && accuracy <= high && (0.005..0.06).contains(&(high - low)), "{row:?}");
    }
    assert!(said.contains("95 % interval"), "{said}");
}

#[test]
fn a_model_that_cannot_be_pruned_is_quantized_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--data", "iris", "--model", "tabm", "--model-options", "width=8", "--epochs", "1"];
    let run_folder = trained(folder.path(), &options);
    let said = succeed(["compress", text(&run_folder)]);
    assert!(said.contains("not pruned: this model has no channels"), "{said}");
    let names: Vec<_> = table(&run_folder).iter().map(|row| row["model"].clone()).collect();
    assert_eq!(names, ["original", "int8"]);
    let refused = run(["compress", text(&run_folder), "--prune", "0.5"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--prune: this model has no channels"), "{}", stderr(&refused));
}

#[test]
fn compression_is_reproducible() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path(), &["--epochs", "4"]);
    let files = ["int8.pt", "prune-0.5.pt", "prune-0.5-int8.pt"];
    let made = || {
        succeed(["compress", text(&run)]);
        files.map(|file| std::fs::read(run.join("compressed").join(file)).unwrap())
    };
    assert!(made() == made());
}

#[test]
fn distillation_follows_the_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path(), &["--epochs", "2", "--model-options", "width=16"]);
    let teacher = folder.path().join("teacher");
    succeed(["train", "--epochs", "20", "--lr", "0.003", "--threads", "1", "--out", text(&teacher)]);
    let loss = |share: &str| {
        let options = ["--distill", text(&teacher), "--teacher-share", share, "--epochs", "3"];
        succeed(["compress", text(&run)].into_iter().chain(options));
        let file = run.join("compressed/distill.pt");
        let metadata = Classifier::load_on(&file, Device::Cpu).unwrap().metadata().clone();
        assert!(metadata.compression.unwrap().teacher_sha256.is_some());
        agreement(&teacher.join("model.pt"), &file)
    };
    // Who listens to the teacher alone says what it says more often than who listens to the labels alone.
    let (labels, taught) = (loss("0"), loss("1"));
    assert!(taught > labels, "{labels} {taught}");
}

/// How alike the probabilities are that two models give: the mean of those that the second gives the first one's classes.
fn agreement(teacher: &Path, student: &Path) -> f64 {
    let digits = root().join("data/digits.csv");
    let classes = classes(teacher);
    let said = succeed(["predict", text(student), text(&digits), "--top-k", "10"]);
    let of_line = |(line, class): (&str, &String)| {
        let cells: Vec<_> = line.split(',').skip(1).collect();
        let pair = cells.chunks(2).find(|pair| pair[0] == class).expect("every class is named");
        pair[1].parse::<f64>().unwrap()
    };
    said.lines().skip(1).zip(&classes).map(of_line).sum::<f64>() / classes.len() as f64
}

#[test]
fn models_that_cannot_be_compressed_are_rejected_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str], part: &str| {
        let output = run(["compress"].iter().chain(arguments));
        assert!(!output.status.success() && stderr(&output).contains(part), "{}", stderr(&output));
    };
    refused(&["/no/such/run"], "there is no such run folder");
    let lstm = trained(folder.path(), &["--model", "lstm", "--epochs", "1"]);
    refused(&[text(&lstm), "--prune", "0.5"], "no channels or hidden units");
    refused(&[text(&lstm), "--prune", "1.5"], "a share is above 0 and below 1");
    let iris = folder.path().join("iris");
    succeed(["train", "--data", "iris", "--epochs", "1", "--threads", "1", "--out", text(&iris)]);
    refused(&[text(&lstm), "--distill", text(&iris)], "it cannot teach this model");

    // Cells of integers are no weights that another format could hold.
    succeed(["compress", text(&lstm), "--quantize", "int8"]);
    let int8 = lstm.join("compressed/int8.pt");
    succeed(["inspect", text(&int8), "--verify"]);
    assert!(
        std::fs::metadata(&int8).unwrap().len() < std::fs::metadata(lstm.join("model.pt")).unwrap().len()
    );
    for format in ["safetensors", "pth", "onnx"] {
        let output = folder.path().join(format!("x.{format}"));
        let said = run(["export", text(&int8), "--output", text(&output)]);
        assert!(!said.status.success() && !output.exists(), "{format}: {}", stderr(&said));
    }
    let (digits, embeddings) = (root().join("data/digits.csv"), folder.path().join("e.npy"));
    let said = run(["predict", text(&int8), text(&digits), "--embeddings", text(&embeddings)]);
    assert_eq!(said.status.code(), Some(2));
    assert!(stderr(&said).contains("the model has no method `features`"), "{}", stderr(&said));
    std::fs::remove_file(lstm.join("model.pt")).unwrap();
    refused(&[text(&lstm)], "the run has no model.pt yet");
}

/// The value of a metric that `cresset eval` prints for some rows, without its unit.
fn evaluated(model: &Path, rows: &Path, metric: &str) -> f64 {
    let said = succeed(["eval", text(model), text(rows)]);
    let line = said.lines().find(|line| line.starts_with(metric)).unwrap_or_else(|| panic!("{said}"));
    line[metric.len()..].split_whitespace().next().unwrap().parse().unwrap()
}

/// The validation rows of a run on a table, as a table.
fn validation_rows(run: &Path, table: &Path) -> PathBuf {
    let split = std::fs::read_to_string(run.join("split.csv")).unwrap();
    let lines: Vec<_> = std::fs::read_to_string(table).unwrap().lines().map(String::from).collect();
    let rows = split.lines().filter_map(|line| line.strip_suffix(",heldout"));
    let rows: Vec<_> = rows.map(|row| lines[row.parse::<usize>().unwrap() + 1].clone()).collect();
    assert!(rows.len() > 20, "{split}");
    let path = run.join("validation.csv");
    std::fs::write(&path, format!("{}\n{}\n", lines[0], rows.join("\n"))).unwrap();
    path
}

#[test]
fn the_table_has_the_score_of_the_task_and_each_file_reaches_it() {
    let folder = tempfile::tempdir().unwrap();
    for (run, table_file, column, metric, unit, least) in [
        (tags_run(folder.path()), "tags.csv", "f1", "micro F1", 100., 0.85),
        (prices_run(folder.path()), "prices.csv", "r²", "R²", 1., 0.9),
    ] {
        let options = ["--quantize", "int8", "--dtype", "bf16", "--prune", "0.5", "--epochs", "6"];
        succeed(["compress", text(&run)].iter().chain(&options));
        let rows = table(&run);
        assert_eq!(rows.len(), 6);
        let validation = validation_rows(&run, &folder.path().join(table_file));
        for row in &rows {
            let score = number(row, column);
            assert!(score > least, "{row:?}");
            let file = match row["model"].as_str() {
                "original" => run.join("model.pt"),
                _ => run.join("compressed").join(&row["file"]),
            };
            // Thresholds and intervals of the file, on the rows of the table. Dynamic quantization depends on the batch.
            let found = evaluated(&file, &validation, metric) / unit;
            assert!((found - score).abs() < 0.01, "{row:?}: {found}");
        }
    }
}

#[test]
fn distillation_needs_classes() {
    let folder = tempfile::tempdir().unwrap();
    let out = tags_run(folder.path());
    let refused = run(["compress", text(&out), "--distill", text(&out)]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    let says = "a teacher works only for classification, and this is multi-label classification";
    assert!(stderr(&refused).contains(says), "{}", stderr(&refused));
    assert!(!out.join("compressed").exists());
}
