//! Several labels per example, and numbers: from training to prediction.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::support::job::{Job, kill, wait_for};
use crate::support::{assert_same_bits, cresset, run, stderr, succeed, text, train_once};

/// Images of 28×28 pixels with any of three shapes, and a list of them. Shapes and noise follow from the number of the image.
fn scenes(folder: &Path, count: u32) -> PathBuf {
    let mut list = "image,shapes\n".to_string();
    for number in 0..count {
        let shown = [number % 2 == 0, number % 3 == 0, number % 5 < 2];
        let image = image::GrayImage::from_fn(28, 28, |x, y| {
            let (dx, dy) = (x as i32 - 7, y as i32 - 7);
            let is_shape = shown[0] && (dx * dx + dy * dy) < 25
                || shown[1] && (16..25).contains(&x) && (15..25).contains(&y)
                || shown[2] && x + y == 28;
            let noise = (x * 31 + y * 17 + number * 7) % 60;
            image::Luma([if is_shape { 195 + noise as u8 } else { noise as u8 }])
        });
        image.save(folder.join(format!("{number}.png"))).unwrap();
        let names = ["circle", "square", "line"].into_iter().zip(shown);
        let names: Vec<_> = names.filter(|(_, shown)| *shown).map(|(name, _)| name).collect();
        writeln!(list, "{number}.png,{}", names.join("|")).unwrap();
    }
    let path = folder.join("scenes.csv");
    std::fs::write(&path, list).unwrap();
    path
}

fn json(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap()
}

fn metric(report: &Value, name: &str) -> f64 {
    let metrics = report["metrics"].as_array().unwrap();
    let metric = metrics.iter().find(|metric| metric["name"] == name);
    metric.unwrap_or_else(|| panic!("{report} has no {name}"))["value"].as_f64().unwrap()
}

fn eval(run: &Path, data: &Path) -> Value {
    let report = run.join("report.json");
    succeed(["eval", text(&run.join("model.pt")), text(data), "--json", text(&report)]);
    json(&std::fs::read_to_string(report).unwrap())
}

#[test]
fn the_labels_of_scenes_are_learned_and_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let (list, out) = (scenes(folder.path(), 240), folder.path().join("run"));
    let options = ["--data", text(&list), "--task", "multilabel", "--epochs", "6"];
    train_once(&out, &options);
    let metrics = std::fs::read_to_string(out.join("metrics.csv")).unwrap();
    assert!(metrics.starts_with("epoch,train_loss,train_f1,held_out_loss,held_out_f1,"), "{metrics}");
    let report = eval(&out, &list);
    assert!(metric(&report, "micro F1") > 0.97 && metric(&report, "mAP") > 0.97, "{report}");
    let names: Vec<_> = report["classes"].as_array().unwrap().iter().map(|class| &class["class"]).collect();
    assert_eq!(names, ["circle", "line", "square"]);

    let predicted = succeed(["predict", text(&out.join("model.pt")), text(&list), "--output", "jsonl"]);
    let mut exact = 0.;
    for (line, row) in predicted.lines().zip(std::fs::read_to_string(&list).unwrap().lines().skip(1)) {
        let (_, actual) = row.split_once(',').unwrap();
        let mut actual: Vec<_> = actual.split('|').filter(|name| !name.is_empty()).collect();
        actual.sort_unstable();
        let predicted = &json(line)["labels"];
        let predicted: Vec<_> =
            predicted.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        exact += f64::from(u8::from(predicted == actual)) / 240.;
    }
    assert!((exact - metric(&report, "exact match")).abs() < 1e-9, "{exact}: {report}");

    // The same images as JSON lines are the same data.
    let mut lines = String::new();
    for row in std::fs::read_to_string(&list).unwrap().lines().skip(1) {
        let (image, labels) = row.split_once(',').unwrap();
        let labels: Vec<_> = labels.split('|').filter(|name| !name.is_empty()).collect();
        writeln!(lines, "{}", serde_json::json!({ "file_name": image, "labels": labels })).unwrap();
    }
    let path = folder.path().join("scenes.jsonl");
    std::fs::write(&path, lines).unwrap();
    assert_eq!(eval(&out, &path), report);
}

/// A table of two numbers that decide about two labels, in label columns.
fn label_columns(folder: &Path) -> PathBuf {
    let mut table = "x,y,high,right,never\n".to_string();
    for row in 0..300 {
        let (x, y) = ((row * 37 % 101) as f64 / 50. - 1., (row * 53 % 97) as f64 / 48. - 1.);
        writeln!(table, "{x:.3},{y:.3},{},{},0", u8::from(y > 0.2), u8::from(x > 0.)).unwrap();
    }
    let path = folder.join("table.csv");
    std::fs::write(&path, table).unwrap();
    path
}

#[test]
fn label_columns_are_labels_in_their_order_and_found_by_name_in_evaluation() {
    let folder = tempfile::tempdir().unwrap();
    let (table, out) = (label_columns(folder.path()), folder.path().join("run"));
    train_once(&out, &["--data", text(&table), "--labels", "right,high,never", "--epochs", "10"]);
    let report = eval(&out, &table);
    assert!(metric(&report, "micro F1") > 0.9, "{report}");
    let rows: Vec<_> = report["classes"].as_array().unwrap().iter().collect();
    assert_eq!(rows.iter().map(|class| &class["class"]).collect::<Vec<_>>(), ["right", "high", "never"]);
    assert_eq!((&rows[2]["rows"], &rows[2]["recall"]), (&0.into(), &Value::Null));

    // Other columns in another order.
    let swapped = folder.path().join("swapped.csv");
    let rows = std::fs::read_to_string(&table).unwrap();
    let swap = |row: &str| {
        let cells: Vec<_> = row.split(',').collect();
        format!("{},{},{},{},{}\n", cells[4], cells[1], cells[3], cells[2], cells[0])
    };
    std::fs::write(&swapped, rows.lines().map(swap).collect::<String>()).unwrap();
    assert_eq!(eval(&out, &swapped), report);
    let bad = folder.path().join("bad.csv");
    std::fs::write(&bad, "x,y,high,right,never\n0,0,1,0,0\n0,0,1,2,0\n").unwrap();
    let refused = run(["train", "--data", text(&bad), "--labels", "right,high,never"]);
    let problem = "bad.csv, line 3, column 4 (right): `2` is neither 0 nor 1";
    assert!(stderr(&refused).contains(problem), "{}", stderr(&refused));
}

#[test]
fn a_number_is_predicted_with_an_interval_of_the_promised_coverage() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let options = ["--data", "diabetes", "--bag", "0", "--coverage", "0.8", "--seed", "2"];
    train_once(&out, &options);
    let metrics = std::fs::read_to_string(out.join("metrics.csv")).unwrap();
    assert!(metrics.starts_with("epoch,train_loss,train_r2,held_out_loss,held_out_r2,"), "{metrics}");
    let data = crate::support::root().join("data/diabetes.csv");
    let report = eval(&out, &data);
    // scikit-learn's ridge regression reaches about 0.5 on new rows.
    assert!(metric(&report, "R²") > 0.45, "{report}");
    let printed = succeed(["predict", text(&out.join("model.pt")), text(&data), "--output", "jsonl"]);
    let table = std::fs::read_to_string(&data).unwrap();
    let split = std::fs::read_to_string(out.join("split.csv")).unwrap();
    let is_validation: Vec<bool> = split.lines().skip(1).map(|line| line.contains("heldout")).collect();
    let (mut error, mut covered, mut rows) = (0., 0, 0);
    for ((line, row), is_validation) in printed.lines().zip(table.lines().skip(1)).zip(&is_validation) {
        let predicted = json(line);
        let actual: f64 = row.rsplit(',').next().unwrap().parse().unwrap();
        error += (predicted["value"].as_f64().unwrap() - actual).abs() / 442.;
        let ends = predicted["interval"].as_array().unwrap();
        if *is_validation {
            rows += 1;
            covered += usize::from((ends[0].as_f64().unwrap()..=ends[1].as_f64().unwrap()).contains(&actual));
        }
    }
    assert!((error - metric(&report, "mean absolute error")).abs() < 1e-3, "{error}: {report}");
    // The interval is the ⌈(n + 1) · 0.8⌉-th smallest of the residuals of the validation set.
    assert_eq!(covered, ((rows as f64 + 1.) * 0.8).ceil() as usize);
}

#[test]
fn a_selected_column_of_quantities_is_predicted_and_an_unselected_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rooms.csv");
    let row = |row: u32| format!("{},{},{}.5\n", row % 7, row % 5, 3 * (row % 7) + row % 5 + row % 60);
    std::fs::write(&path, format!("a,b,price\n{}", (0..120).map(row).collect::<String>())).unwrap();
    let train = |name: &str, options: &[&str]| {
        let out = folder.path().join(name);
        let arguments = ["train", "--data", text(&path), "--epochs", "2", "--out", text(&out)];
        run(arguments.iter().chain(options))
    };
    let refused = train("a", &[]);
    assert!(stderr(&refused).contains("--task regression"), "{}", stderr(&refused));
    let selected = train("b", &["--label", "price"]);
    assert!(String::from_utf8_lossy(&selected.stdout).contains("predicting price (regression)"));
    assert!(train("c", &["--task", "regression"]).status.success());
    for options in [
        &["--loss", "cross-entropy"][..],
        &["--loss", "bce"],
        &["--sampling", "balanced"],
        &["--class-weights", "balanced"],
        &["--monitor", "accuracy"],
        &["--ood", "0.1"],
        &["--head-only"],
        &["--feedback", text(folder.path())],
        &["--labels", "a,b"],
    ] {
        let refused = train("d", &[&["--task", "regression"], options].concat());
        let said = stderr(&refused);
        assert!(!refused.status.success() && said.contains("regression"), "{options:?}: {said}");
        assert!(!said.contains("internal error"), "{said}");
    }
    let huber = train("e", &["--task", "regression", "--loss", "huber", "--loss-options", "delta=0.5"]);
    assert!(huber.status.success(), "{}", stderr(&huber));
}

#[test]
fn killed_runs_of_labels_and_of_numbers_resume_bit_identically() {
    let folder = tempfile::tempdir().unwrap();
    let table = label_columns(folder.path());
    let labels = [
        "--data",
        text(&table),
        "--labels",
        "high,right",
        "--loss",
        "asymmetric",
        "--bag",
        "0",
        "--epochs",
        "400",
    ];
    let numbers = ["--data", "diabetes", "--bag", "0", "--epochs", "400", "--patience", "400"];
    for (name, options) in [("labels", &labels[..]), ("numbers", &numbers)] {
        let (whole, killed) = (folder.path().join(format!("{name}-whole")), folder.path().join(name));
        train_once(&whole, options);
        let arguments = [&["train", "--out", text(&killed)], options].concat();
        let mut child =
            cresset().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for(&killed.join("checkpoints/last.safetensors"), &mut child);
        std::thread::sleep(std::time::Duration::from_millis(150));
        assert!(kill(&mut child), "{name}: the run ended before it was killed");
        succeed(["train", "--resume", text(&killed)]);
        assert_same_bits(&killed, &whole);
        let header = |run: &Path| {
            std::fs::read_to_string(run.join("metrics.csv")).unwrap().lines().next().unwrap().to_string()
        };
        assert_eq!(header(&killed), header(&whole));
    }
}

#[test]
fn two_processes_agree_on_the_scores_of_labels_and_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let table = label_columns(folder.path());
    let labels = ["--data", text(&table), "--labels", "high,right"];
    for (name, options) in [("labels", &labels[..]), ("numbers", &["--data", "diabetes"])] {
        let out = folder.path().join(name);
        let last = ["--epochs", "3", "--threads", "1", "--out", text(&out)];
        Job::start(2, &[&["train"], options, &last].concat()).succeed();
        // Both have evaluated half of the validation set; rank 0 has then evaluated the whole of the best epoch.
        let metadata = cresset::predict::metadata(&out.join("model.pt")).unwrap();
        let epochs = cresset::train::MetricsLog::read(&out.join("metrics.csv")).unwrap();
        let record = &epochs[metadata.metrics.epoch as usize - 1];
        assert!((metadata.metrics.validation_loss - record.validation_loss).abs() < 1e-5, "{record:?}");
        if name == "numbers" {
            let r2 = metadata.metrics.validation["R²"].as_f64().unwrap();
            assert!((r2 - record.validation_accuracy).abs() < 1e-5, "{r2}, {record:?}");
        }
    }
}
