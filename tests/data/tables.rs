//! Numeric and mixed tables from file to exported model, as a user trains on them.

use std::io::Write;
use std::path::Path;

use crate::support::{cresset, root, stderr, succeed, text};
use cresset::predict::Classifier;
use tch::Device;

fn metadata(run: &Path) -> cresset::export::Metadata {
    Classifier::load_on(&run.join("model.pt"), Device::Cpu).unwrap().metadata().clone()
}

/// The rows of a CSV file without its header, as numbers and labels.
fn rows(path: &Path) -> Vec<(Vec<f64>, String)> {
    let row = |record: csv::Result<csv::StringRecord>| {
        let record = record.unwrap();
        let (label, values) =
            record.iter().collect::<Vec<_>>().split_last().map(|(l, v)| (*l, v.to_vec())).unwrap();
        (values.iter().map(|value| value.parse().unwrap()).collect(), label.to_string())
    };
    csv::Reader::from_path(path).unwrap().into_records().map(row).collect()
}

#[test]
fn the_builtin_tables_train_to_a_good_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    for (name, classes) in [
        ("iris", &["setosa", "versicolor", "virginica"][..]),
        ("wine", &["class_0", "class_1", "class_2"]),
        ("breast-cancer", &["benign", "malignant"]),
    ] {
        let run = folder.path().join(name);
        succeed(["train", "--data", name, "--epochs", "60", "--out", text(&run)]);
        let metadata = metadata(&run);
        assert_eq!(metadata.classes, classes);
        let accuracy = metadata.metrics.validation["accuracy"].as_f64().unwrap();
        assert!(accuracy > 0.9, "{name}: {accuracy}");
    }
}

#[test]
fn the_exported_statistics_are_those_of_the_training_set() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(["train", "--data", "wine", "--bag", "0", "--epochs", "1", "--out", text(&run)]);
    let rows = rows(&root().join("data/wine.csv"));
    let trained: Vec<_> = csv::Reader::from_path(run.join("split.csv"))
        .unwrap()
        .into_records()
        .map(|record| record.unwrap())
        .filter(|record| &record[1] == "train")
        .map(|record| &rows[record[0].parse::<usize>().unwrap()].0)
        .collect();
    assert!(trained.len() < rows.len());
    let preprocessing = metadata(&run).preprocessing;
    for feature in 0..13 {
        let mean = trained.iter().map(|row| row[feature]).sum::<f64>() / trained.len() as f64;
        let squares = trained.iter().map(|row| (row[feature] - mean).powi(2)).sum::<f64>();
        let deviation = (squares / trained.len() as f64).sqrt();
        assert!((f64::from(preprocessing.offset[feature]) / mean - 1.).abs() < 1e-6);
        assert!((f64::from(preprocessing.scale[feature]) / deviation - 1.).abs() < 1e-6);
    }
}

/// 200 rows: the label follows from the color and from whether x is above 10; every tenth x is missing.
fn mixed_table() -> String {
    let row = |row: u32| {
        let color = ["red", "blue", "green"][(row % 3) as usize];
        let x = f64::from(row * 37 % 201) / 10.;
        let label = if color == "red" || x > 10. { "yes" } else { "no" };
        let x = if row % 10 == 4 { String::new() } else { x.to_string() };
        format!("{label}\t{row}\t{color}\t{x}\n")
    };
    "bought\tid\tcolor\tx\n".to_string() + &(0..200).map(row).collect::<String>()
}

#[test]
fn texts_missing_values_tabs_gzip_and_a_label_by_name_work_together_and_predict_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.tsv.gz");
    let mut packed = flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), Default::default());
    packed.write_all(mixed_table().as_bytes()).unwrap();
    packed.finish().unwrap();
    let run = folder.path().join("run");
    let options =
        ["--label", "bought", "--ignore", "id", "--missing", "median", "--epochs", "80", "--lr", "0.01"];
    succeed(["train", "--data", text(&path), "--out", text(&run)].iter().chain(&options));
    let metadata = metadata(&run);
    assert!(metadata.metrics.validation["accuracy"].as_f64().unwrap() > 0.85, "{:?}", metadata.metrics);
    let names = metadata.input.table.unwrap().feature_names();
    assert_eq!(names, ["color=blue", "color=green", "color=red", "x"]);
    assert_eq!(metadata.preprocessing.fill.unwrap().len(), 4);

    // Other columns, another order, another delimiter, no label: the header says what is what.
    let fresh = folder.path().join("fresh.csv");
    std::fs::write(&fresh, "x;note;color\n3.5;a;red\n2;b;blue\n19;c;green\n;d;red\n").unwrap();
    let model = run.join("model.pt");
    let said = succeed(["predict", text(&model), text(&fresh)]);
    let classes: Vec<_> = said.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(classes, ["yes", "no", "yes", "yes"], "{said}");
    let said = succeed(["eval", text(&model), text(&path)]);
    assert!(said.contains("rows                       200"), "{said}");

    std::fs::write(&fresh, "x,color\n3.5,pink\n3.5,red\n").unwrap();
    let output =
        cresset().args(["predict", text(&model), text(&fresh), "--unknown", "error"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert!(
        lines[1].contains("fresh.csv:2,,,") && lines[1].contains("column 2 (color): unknown category `pink`"),
        "{said}"
    );
    assert!(lines[2].contains("fresh.csv:3,yes,"), "{said}");
}

#[test]
fn the_files_of_a_pattern_are_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let whole = mixed_table();
    let (header, rows) = whole.split_once('\n').unwrap();
    let rows: Vec<_> = rows.lines().collect();
    let part = |name: &str, rows: &[&str]| {
        let text = format!("{header}\n{}\n", rows.join("\n"));
        std::fs::write(folder.path().join(name), &text).unwrap();
        text
    };
    let texts = [part("shop-1.tsv", &rows[..30]), part("shop-2.tsv", &rows[30..])];
    let (run, pattern) = (folder.path().join("run"), folder.path().join("shop-*.tsv"));
    let options = ["--label", "bought", "--group", "id", "--epochs", "2"];
    succeed(["train", "--data", text(&pattern), "--out", text(&run)].iter().chain(&options));
    let metadata = metadata(&run);
    assert_eq!(metadata.data_sha256, cresset::data::sha256(texts.concat().as_bytes()));
    assert_eq!(
        (metadata.metrics.train_rows + metadata.metrics.validation_rows, &*metadata.data_file),
        (200, "shop-*.tsv")
    );
    let model = run.join("model.pt");
    let said = succeed(["eval", text(&model), text(&pattern)]);
    assert!(said.contains("rows                       200"), "{said}");

    let other = texts[1].replacen("color", "colour", 1);
    std::fs::write(folder.path().join("shop-2.tsv"), other).unwrap();
    let refused = cresset().args(["train", "--data", text(&pattern), "--label", "bought"]).output().unwrap();
    let said = stderr(&refused);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(
        said.contains("shop-2.tsv, line 1: the header differs") && said.contains("column 3 is `colour`"),
        "{said}"
    );
}

#[test]
fn a_missing_number_is_a_value_of_its_own_in_training_and_in_the_exported_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lacking.csv");
    // The class is whether x is missing.
    let row = |row: u32| match row % 3 {
        0 => format!("{},,gone\n", row % 7),
        _ => format!("{},{},here\n", row % 7, f64::from(row * 37 % 201) / 10. - 10.),
    };
    std::fs::write(&path, "y,x,class\n".to_string() + &(0..240).map(row).collect::<String>()).unwrap();
    let run = folder.path().join("run");
    succeed(["train", "--data", text(&path), "--missing", "value", "--epochs", "15", "--out", text(&run)]);
    let metadata = metadata(&run);
    assert_eq!(metadata.preprocessing.missing, [1]);
    assert_eq!(metadata.metrics.validation["accuracy"].as_f64(), Some(1.));
    let fresh = folder.path().join("fresh.csv");
    std::fs::write(&fresh, "y,x\n3,\n3,0\n").unwrap();
    let said = succeed(["predict", text(&run.join("model.pt")), text(&fresh)]);
    let classes: Vec<_> = said.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(classes, ["gone", "here"], "{said}");
}

#[test]
fn no_group_is_in_both_training_and_validation_set() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("patients.csv");
    let row = |row: u32| format!("{},p{},{}\n", row % 17, row / 6, row % 2);
    std::fs::write(&path, "x,patient,ill\n".to_string() + &(0..300).map(row).collect::<String>()).unwrap();
    let run = folder.path().join("run");
    succeed(["train", "--data", text(&path), "--group", "patient", "--epochs", "1", "--out", text(&run)]);
    let side = |part: &str| {
        let records = csv::Reader::from_path(run.join("split.csv")).unwrap().into_records();
        let of_part = records.map(|record| record.unwrap()).filter(|record| &record[1] == part);
        of_part.map(|record| record[0].parse::<u32>().unwrap() / 6).collect::<std::collections::BTreeSet<_>>()
    };
    let (train, validation) = (side("train"), side("heldout"));
    assert!(train.is_disjoint(&validation) && train.len() + validation.len() == 50);
    assert_eq!(validation.len(), 10);
}

#[test]
fn rows_without_a_value_are_dropped_with_a_warning_and_keep_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.tsv");
    std::fs::write(&path, mixed_table()).unwrap();
    let run = folder.path().join("run");
    let options = ["--label", "bought", "--ignore", "id", "--missing", "drop", "--epochs", "1"];
    let output =
        cresset().args(["train", "--data", text(&path), "--out", text(&run)]).args(options).output().unwrap();
    assert!(
        output.status.success() && stderr(&output).contains("dropped 20 of 200 rows"),
        "{}",
        stderr(&output)
    );
    let split = std::fs::read_to_string(run.join("split.csv")).unwrap();
    assert_eq!(split.lines().count(), 181);
    assert!(split.contains("\n199,") && !split.contains("\n194,"));
}
