//! Runs that are listed and compared.

use std::path::Path;
use std::process::Output;

use crate::support::{run, stderr, succeed, text};
use serde_json::Value;

fn train(folder: &Path, name: &str, options: &[&str]) {
    let out = folder.join(name);
    let fixed = ["train", "--threads", "1", "--device", "cpu", "--out", text(&out)];
    succeed(fixed.iter().chain(options));
}

fn json(folder: &Path, options: &[&str]) -> Vec<Value> {
    let printed = succeed(["runs", text(folder), "--format", "json"].iter().chain(options));
    serde_json::from_str(&printed).unwrap()
}

fn names(folder: &Path, options: &[&str]) -> Vec<String> {
    json(folder, options).iter().map(|run| run["name"].as_str().unwrap().to_string()).collect()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{}", stderr(output));
    stderr(output)
}

/// Three finished runs, an unfinished one, and what is none.
fn some_runs(folder: &Path) {
    train(folder, "short", &["--epochs", "1"]);
    train(folder, "long-9", &["--epochs", "3", "--lr", "0.01"]);
    train(folder, "long-10", &["--epochs", "3", "--seed", "1"]);
    train(folder, "stopped", &["--epochs", "2"]);
    std::fs::remove_file(folder.join("stopped/model.pt")).unwrap();
    std::fs::create_dir(folder.join("notes")).unwrap();
    std::fs::create_dir(folder.join("other")).unwrap();
    std::fs::write(folder.join("other/config.toml"), "epochs = 3\nwings = 2\n").unwrap();
}

#[test]
fn runs_are_listed_sorted_and_filtered_by_any_option_and_metric() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    some_runs(path);
    assert_eq!(names(path, &[]), ["long-9", "long-10", "short", "stopped"]);
    assert_eq!(names(path, &["--filter", "epochs>=3", "--filter", "lr<0.01"]), ["long-10"]);
    assert_eq!(
        names(path, &["--filter", "state=finished", "--sort", "-epochs"]),
        ["long-9", "long-10", "short"]
    );
    assert_eq!(names(path, &["--filter", "model=cnn"]), [""; 0]);
    let all = json(path, &["--sort", "loss"]);
    let losses: Vec<f64> = all.iter().map(|run| run["loss"].as_f64().unwrap()).collect();
    assert!(losses.is_sorted() && losses.len() == 4, "{losses:?}");
    assert_eq!(names(path, &["--best", "loss"]), [all[0]["name"].as_str().unwrap()]);
    // The figures are those that the exported model tells.
    let best = &json(path, &["--best", "accuracy"])[0];
    let model = path.join(best["name"].as_str().unwrap()).join("model.pt");
    let told = cresset::predict::metadata(&model).unwrap().metrics;
    assert_eq!(best["accuracy"], told.validation["accuracy"]);
    assert_eq!(
        (best["loss"].as_f64(), best["option.loss"].as_str()),
        (Some(told.validation_loss), Some("cross-entropy"))
    );
    let stopped = &json(path, &["--filter", "name=stopped"])[0];
    assert_eq!((stopped["state"].as_str(), stopped["epochs_done"].as_u64()), (Some("interrupted"), Some(2)));

    let csv =
        succeed(["runs", text(path), "--format", "csv", "--columns", "name,lr", "--filter", "name~long"]);
    assert_eq!(csv, "name,lr\nlong-9,0.01\nlong-10,0.001\n");
}

#[test]
fn folders_that_are_not_runs_are_skipped_with_a_note() {
    let folder = tempfile::tempdir().unwrap();
    some_runs(folder.path());
    let output = run(["runs", text(folder.path())]);
    assert!(output.status.success());
    let notes = stderr(&output);
    assert!(notes.contains("notes: this folder holds no run"), "{notes}");
    assert!(notes.contains("other/config.toml, line 2: unknown option `wings`"), "{notes}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.starts_with("name") && printed.contains("interrupted"), "{printed}");
    assert_eq!(printed.lines().count(), 5, "{printed}");
}

#[test]
fn unknown_columns_and_metrics_are_rejected_with_the_closest_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = text(folder.path());
    assert!(refused(&run(["runs", path, "--filter", "acuracy>0.9"])).contains("did you mean `accuracy`?"));
    assert!(refused(&run(["runs", path, "--sort", "-los"])).contains("did you mean `loss`?"));
    assert!(refused(&run(["runs", path, "--columns", "name,epoch"])).contains("did you mean `epochs`?"));
    assert!(refused(&run(["runs", path, "--best", "lr"])).contains("lr is not a metric"));
    assert!(refused(&run(["runs", "no/such/folder"])).contains("there is no such folder"));
    assert!(succeed(["runs", path, "--columns", "help"]).contains("\ntest_accuracy\n"));
}

#[test]
fn a_cross_validation_is_one_row_with_its_standard_deviation_and_its_folds_on_request() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), "folds", &["--data", "iris", "--folds", "3", "--epochs", "2"]);
    let [parent] = &json(folder.path(), &[])[..] else { panic!("there is one row") };
    assert_eq!((parent["folds_done"].as_u64(), parent["state"].as_str()), (Some(3), Some("finished")));
    let all = json(folder.path(), &["--all"]);
    assert_eq!(all.len(), 4);
    let mean = all[1..].iter().map(|fold| fold["accuracy"].as_f64().unwrap()).sum::<f64>() / 3.;
    assert!((parent["accuracy"].as_f64().unwrap() - mean).abs() < 1e-12);
    let table = succeed(["runs", text(folder.path())]);
    assert!(table.contains(" ± "), "{table}");
}

#[test]
fn two_runs_on_the_same_validation_set_are_compared_by_mcnemars_test() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
    train(folder.path(), "a", &["--epochs", "1"]);
    train(folder.path(), "b", &["--epochs", "10", "--patience", "5"]);
    let shown = succeed(["diff", text(&a), text(&b)]);
    assert!(shown.contains("b is significantly better at the 5 % level (McNemar's test (1947)"), "{shown}");
    assert!(
        shown.contains("The data is the same") && shown.contains("the 359 validation examples are the same"),
        "{shown}"
    );
    let found: Value =
        serde_json::from_str(&succeed(["diff", text(&a), text(&b), "--format", "json"])).unwrap();
    let changed: Vec<_> = found["options"].as_array().unwrap().iter().map(|change| &change["name"]).collect();
    assert_eq!(changed, ["epochs", "patience"]);
    // What the models say of the rows agrees with what was measured when they were exported.
    let compared = &found["compared"];
    assert_eq!((compared["rows"].as_u64(), compared["same_rows"].as_bool()), (Some(359), Some(true)));
    for (run, accuracy) in [(&a, "accuracy_a"), (&b, "accuracy_b")] {
        let told = cresset::predict::metadata(&run.join("model.pt")).unwrap().metrics;
        assert_eq!(compared[accuracy], told.validation["accuracy"]);
    }
    let same = succeed(["diff", text(&a), text(&a)]);
    assert!(same.contains("All options are the same") && same.contains("there is no difference"), "{same}");
}

#[test]
fn runs_are_compared_on_common_validation_examples_and_not_on_different_data() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, iris] = ["a", "b", "iris"].map(|name| folder.path().join(name));
    train(folder.path(), "a", &["--epochs", "1"]);
    train(folder.path(), "b", &["--epochs", "1", "--seed", "1"]);
    train(folder.path(), "iris", &["--epochs", "1", "--data", "iris"]);
    let found: Value =
        serde_json::from_str(&succeed(["diff", text(&a), text(&b), "--format", "json"])).unwrap();
    let validation = found["data"]["parts"].as_array().unwrap().iter().find(|part| part["part"] == "heldout");
    assert_eq!(found["compared"]["rows"], validation.unwrap()["common"]);
    assert_eq!(found["compared"]["same_rows"], false);
    let shown = succeed(["diff", text(&a), text(&b)]);
    assert!(shown.contains("examples in both validation sets"), "{shown}");

    let other = succeed(["diff", text(&a), text(&iris)]);
    assert!(other.contains("not compared by example") && other.contains("different data"), "{other}");
    std::fs::remove_file(b.join("model.pt")).unwrap();
    let unfinished = succeed(["diff", text(&a), text(&b)]);
    assert!(unfinished.contains("the run is not finished"), "{unfinished}");
}
