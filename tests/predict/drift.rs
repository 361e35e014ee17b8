//! Drift of tables and images against the training data of a model.

use std::path::{Path, PathBuf};

use cresset::predict::Classifier;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::support::{color_images, run, stderr, succeed, text};

const HEADER: &str = "weight,color,kind";

/// Rows of apples and melons: a weight in kilograms, a color and the kind, which `change` may replace.
fn rows(count: usize, seed: u64, change: impl Fn(f64, &str) -> (String, String)) -> String {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let mut text = format!("{HEADER}\n");
    for _ in 0..count {
        let is_melon = generator.random_bool(0.5);
        let weight = if is_melon { 2.5 } else { 0.2 } * generator.random_range(0.7..1.3);
        let color = ["red", "red", "red", "green", "yellow"][generator.random_range(0..5)];
        let (weight, color) = change(weight, color);
        text += &format!("{weight},{color},{}\n", if is_melon { "melon" } else { "apple" });
    }
    text
}

fn same(weight: f64, color: &str) -> (String, String) {
    (format!("{weight:.4}"), color.to_string())
}

/// A folder with a model of 1000 fruits.
struct Fruits {
    folder: tempfile::TempDir,
    run: PathBuf,
}

impl Fruits {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (table, run) = (folder.path().join("fruits.csv"), folder.path().join("run"));
        std::fs::write(&table, rows(1000, 1, same)).unwrap();
        let options = ["--epochs", "3", "--recipe", "none", "--device", "cpu", "--missing", "mean"];
        succeed(["train", "--data", text(&table), "--out", text(&run)].iter().chain(&options));
        Fruits { folder, run }
    }

    fn table(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn psi_of(report: &Value, name: &str) -> f64 {
    let variables = report["variables"].as_array().unwrap();
    variables.iter().find(|variable| variable["name"] == name).unwrap()["psi"].as_f64().unwrap()
}

#[test]
fn other_rows_have_no_drift_and_a_permuted_category_is_named_by_predict_and_eval() {
    let fruits = Fruits::new();
    let drift = fruits.folder.path().join("drift.json");
    let fresh = fruits.table("fresh.csv", &rows(500, 2, same));
    let output = run(["predict", text(&fruits.run), text(&fresh), "--drift", text(&drift)]);
    assert!(output.status.success() && !stderr(&output).contains("drift:"), "{}", stderr(&output));
    let report = read(&drift);
    assert_eq!(report["rows"], 500);
    for name in ["weight", "color", "predictions"] {
        assert!(psi_of(&report, name) < 0.1, "{name} in {report}");
    }

    let swap = |weight: f64, color: &str| {
        let color = if color == "red" { "green" } else { "red" };
        (format!("{weight:.4}"), color.to_string())
    };
    let swapped = fruits.table("swapped.csv", &rows(500, 2, swap));
    for command in ["predict", "eval"] {
        let output = run([command, text(&fruits.run), text(&swapped), "--drift", text(&drift)]);
        let warned = stderr(&output);
        assert!(output.status.success(), "{warned}");
        assert!(warned.contains("drift: 500 inputs differ") && warned.contains("column `color`"), "{warned}");
        assert!(!warned.contains("column `weight`"), "{warned}");
        let report = read(&drift);
        assert!(psi_of(&report, "color") > 0.25 && psi_of(&report, "weight") < 0.1, "{report}");
        // `eval` also compares the labels.
        assert_eq!(report.to_string().contains("\"labels\""), command == "eval");
    }
    let csv = drift.with_extension("csv");
    succeed(["predict", text(&fruits.run), text(&swapped), "--drift", text(&csv)]);
    let csv = std::fs::read_to_string(csv).unwrap();
    assert!(csv.starts_with("kind,name,psi,by_chance,rows\ncolumn,color,"), "{csv}");
}

#[test]
fn rows_that_are_stored_have_the_results_of_rows_in_memory() {
    let fruits = Fruits::new();
    let table = fruits.table("fresh.csv", &rows(9000, 2, same));
    let of = |values: Option<usize>| {
        let mut classifier = Classifier::load(fruits.run.join("model.pt")).unwrap();
        if let Some(values) = values {
            classifier = classifier.with_values_in_memory(values);
        }
        let (examples, names) = classifier.read_labeled(&table).unwrap();
        let (found, drift) = classifier.evaluate_with_drift(&*examples).unwrap();
        let scores = found.scores.unwrap();
        ((scores.logits, scores.labels, found.loss), drift.unwrap(), names.location(&table, 8999))
    };
    let (stored, in_memory) = (of(Some(1000)), of(None));
    assert!(stored == in_memory, "{stored:?} {in_memory:?}");
}

#[test]
fn a_table_in_another_unit_and_an_empty_column_are_refused_unless_allowed() {
    let fruits = Fruits::new();
    let grams = |weight: f64, color: &str| (format!("{:.0}", 1000. * weight), color.to_string());
    let empty = |weight: f64, _: &str| (format!("{weight:.4}"), String::new());
    let tables = [
        (fruits.table("grams.csv", &rows(200, 3, grams)), "column `weight`", "another unit"),
        (fruits.table("empty.csv", &rows(200, 3, empty)), "column `color`", "no known value in all"),
    ];
    for (table, column, problem) in &tables {
        for command in ["predict", "eval"] {
            let output = run([command, text(&fruits.run), text(table)]);
            let told = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{told}");
            assert!(output.stdout.is_empty(), "something was written");
            let expected = [*column, *problem, "--allow-drift"];
            assert!(expected.iter().all(|part| told.contains(part)), "{told}");
            let output = run([command, text(&fruits.run), text(table), "--allow-drift"]);
            assert!(output.status.success() && stderr(&output).contains(problem), "{}", stderr(&output));
        }
    }
    // One row is the business of the one who asks.
    let one = fruits.table("one.csv", &format!("{HEADER}\n250,red,apple\n"));
    assert!(run(["predict", text(&fruits.run), text(&one)]).status.success());
}

#[test]
fn the_figures_depend_neither_on_threads_nor_on_batches() {
    let fruits = Fruits::new();
    let table = fruits.table("fresh.csv", &rows(700, 5, same));
    let drift = |name: &str, options: &[&str]| {
        let path = fruits.folder.path().join(name);
        let fixed = ["predict", text(&fruits.run), text(&table), "--drift", text(&path)];
        succeed(fixed.iter().chain(options));
        std::fs::read_to_string(path).unwrap()
    };
    let one = drift("one.json", &["--threads", "1", "--batch-size", "1"]);
    assert_eq!(one, drift("two.json", &["--threads", "2", "--batch-size", "300"]));
}

#[test]
fn images_of_another_color_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    color_images(&images, 60);
    let run_folder = folder.path().join("run");
    let options = ["--epochs", "1", "--recipe", "none", "--device", "cpu", "--model", "cnn"];
    succeed(["train", "--data", text(&images), "--out", text(&run_folder)].iter().chain(&options));
    let metadata = Classifier::load(run_folder.join("model.pt")).unwrap().metadata().clone();
    let names: Vec<_> = metadata.drift.unwrap().inputs.into_iter().map(|variable| variable.name).collect();
    assert_eq!(names, ["brightness", "contrast", "red", "green", "blue"]);
    let (drift, white) = (folder.path().join("drift.json"), folder.path().join("white"));
    std::fs::create_dir(&white).unwrap();
    for number in 0..120 {
        let image = image::RgbImage::from_pixel(16, 16, image::Rgb([255, 250, (number % 6) as u8 + 245]));
        image.save(white.join(format!("{number}.png"))).unwrap();
    }
    let output = run(["predict", text(&run_folder), text(&white), "--drift", text(&drift)]);
    assert!(stderr(&output).contains("image contrast"), "{}", stderr(&output));
    assert!(psi_of(&read(&drift), "brightness") > 0.25);
}

#[test]
fn a_model_of_an_older_version_says_nothing() {
    let fruits = Fruits::new();
    let classifier = Classifier::load(fruits.run.join("model.pt")).unwrap();
    let mut metadata = serde_json::to_value(classifier.metadata()).unwrap();
    let bytes = metadata["drift"].to_string().len();
    assert!(bytes < 4000, "{bytes} bytes");
    metadata.as_object_mut().unwrap().remove("drift");
    let older = cresset::export::Metadata::read(&metadata.to_string()).unwrap();
    assert_eq!(older.drift, None);
    metadata["drift"] = serde_json::to_value(&classifier.metadata().drift).unwrap();
    metadata["drift"]["inputs"][0]["start"] = 99.into();
    let error = cresset::export::Metadata::read(&metadata.to_string()).unwrap_err();
    assert!(error.contains("histograms of the training data"), "{error}");
}
