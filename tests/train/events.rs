//! `cresset train --events json`: one JSON object per line on standard output.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::job::{Job, send, wait_for};
use crate::support::{cresset, root, run, stderr, succeed, text, train_once};

/// The events in what a command wrote to standard output. Each line must be one.
fn events(stdout: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stdout).expect("UTF-8");
    let read = |line: &str| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line:?} in {text}"))
    };
    text.lines().map(read).collect()
}

/// The events of this name.
fn named<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == name).collect()
}

/// The only event of this name.
fn only<'a>(events: &'a [Value], name: &str) -> &'a Value {
    match named(events, name)[..] {
        [event] => event,
        _ => panic!("not exactly one {name}: {events:#?}"),
    }
}

/// The arguments of a short run on the digits.
fn short(out: &Path) -> Vec<&str> {
    vec!["train", "--events", "json", "--device", "cpu", "--threads", "1", "--out", text(out)]
}

#[test]
fn a_run_reports_its_options_epochs_checkpoints_and_results() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let output = run(short(&out).into_iter().chain(["--epochs", "3", "--report"]));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "", "nothing for people");
    let events = events(&output.stdout);
    assert!(events.iter().all(|event| event["time"].as_f64().is_some_and(|time| time > 1e9)), "{events:#?}");

    let started = &events[0];
    assert_eq!(started, only(&events, "started"));
    assert_eq!((&started["version"], &started["resumed"]), (&1.into(), &false.into()));
    assert_eq!((&started["options"]["epochs"], &started["options"]["data"]), (&3.into(), &"digits".into()));
    assert_eq!(started["data"]["classes"].as_array().unwrap().len(), 10);
    assert_eq!((&started["device"], &started["processes"]), (&"cpu".into(), &1.into()));

    let metrics = cresset::train::MetricsLog::read(&out.join("metrics.csv")).unwrap();
    let epochs = named(&events, "epoch");
    assert_eq!(epochs.len(), 3);
    for (event, record) in epochs.iter().zip(&metrics) {
        assert_eq!((event["epoch"].as_u64(), event["epochs"].as_u64()), (Some(record.epoch.into()), Some(3)));
        let values = &event["metrics"];
        let expected = [
            ("train_loss", record.train_loss),
            ("train_accuracy", record.train_accuracy),
            ("validation_loss", record.validation_loss),
            ("validation_accuracy", record.validation_accuracy),
        ];
        for (name, value) in expected {
            assert_eq!(values[name].as_f64(), Some(value), "{name}");
        }
        assert_eq!(event["lr"].as_f64(), Some(record.lr));
    }
    let best = epochs.iter().rfind(|event| event["is_best"] == true).unwrap();
    let checkpoints = named(&events, "checkpoint");
    assert_eq!(checkpoints.len(), 3, "one after each epoch");
    assert!(checkpoints.iter().all(|event| Path::new(event["path"].as_str().unwrap()).is_file()));

    let finished = events.last().unwrap();
    assert_eq!(finished, only(&events, "finished"));
    assert_eq!(finished["best_epoch"], best["epoch"]);
    // Evaluated once more, in other batches.
    let losses = [&finished["validation"]["loss"], &best["metrics"]["validation_loss"]]
        .map(|loss| loss.as_f64().unwrap());
    assert!((losses[0] - losses[1]).abs() < 1e-6, "{losses:?}");
    assert_eq!(finished["validation"]["metrics"]["accuracy"], best["metrics"]["validation_accuracy"]);
    assert_eq!((&finished["test"], &finished["unchanged"]), (&Value::Null, &false.into()));
    for (name, path) in finished["paths"].as_object().unwrap() {
        assert!(Path::new(path.as_str().unwrap()).is_file(), "{name}");
    }
}

#[test]
fn a_finished_run_is_reported_as_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    train_once(&out, &["--threads", "1", "--device", "cpu"]);
    let output = succeed(["train", "--events", "json", "--resume", text(&out)]);
    let events = events(output.as_bytes());
    assert_eq!((events.len(), only(&events, "started")["resumed"].clone()), (2, true.into()));
    let finished = only(&events, "finished");
    assert_eq!(finished["unchanged"], true);
    assert!(finished["validation"]["metrics"]["accuracy"].as_f64().unwrap() > 0.9);
}

#[test]
fn early_stopping_and_warnings_are_events() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    // The learning rate is too high to learn anything.
    let options = ["--epochs", "50", "--lr", "30", "--patience", "1"];
    let output = succeed(short(&out).into_iter().chain(options));
    let events = events(output.as_bytes());
    let reason = only(&events, "stopped_early")["reason"].as_str().unwrap();
    assert!(reason.starts_with("stopped early: no improvement"), "{reason}");
    assert!(named(&events, "epoch").len() < 50);
    let warnings = named(&events, "warning");
    assert!(!warnings.is_empty(), "{events:#?}");
    assert!(warnings.iter().all(|warning| !warning["message"].as_str().unwrap().is_empty()));
}

#[test]
fn errors_are_events_and_are_still_printed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    for (options, problem) in [
        (&["--data", "missing.csv"][..], "missing.csv"),
        (&["--folds", "3", "--report"], "--report is for a single run"),
    ] {
        let output = run(short(&out).iter().chain(options));
        assert_eq!(output.status.code(), Some(2));
        let events = events(&output.stdout);
        let error = only(&events, "error");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(problem), "{message}");
        assert_eq!(error["exit_code"], 2);
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
        assert!(!out.exists());
    }
}

#[test]
fn each_fold_is_a_run_and_their_metrics_and_label_errors_follow() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("folds");
    let options = ["--data", "iris", "--folds", "3", "--epochs", "2", "--find-label-errors"];
    let events = events(succeed(short(&out).into_iter().chain(options)).as_bytes());
    let folds: Vec<_> =
        named(&events, "started").iter().map(|event| event["options"]["fold"].clone()).collect();
    assert_eq!(folds, [1, 2, 3]);
    let finished = named(&events, "finished");
    assert_eq!((finished.len(), named(&events, "epoch").len()), (3, 6));

    let result = only(&events, "cross_validated");
    assert_eq!(result["run"], text(&out));
    let losses: Vec<_> =
        result["folds"].as_array().unwrap().iter().map(|fold| fold["loss"].as_f64().unwrap()).collect();
    let found: Vec<_> = finished.iter().map(|event| event["validation"]["loss"].as_f64().unwrap()).collect();
    assert_eq!(losses, found);
    let mean = result["mean"]["loss"].as_f64().unwrap();
    assert!((mean - losses.iter().sum::<f64>() / 3.).abs() < 1e-12);
    let accuracy = |value: &Value| value["metrics"]["accuracy"].as_f64().unwrap();
    let accuracies: Vec<_> = result["folds"].as_array().unwrap().iter().map(accuracy).collect();
    let squares = accuracies.iter().map(|value| (value - accuracy(&result["mean"])).powi(2)).sum::<f64>();
    assert!((accuracy(&result["deviation"]) - (squares / 2.).sqrt()).abs() < 1e-12);
    assert!(Path::new(result["paths"]["folds"].as_str().unwrap()).is_file());

    let label_errors = events.last().unwrap();
    assert_eq!((&label_errors["event"], &label_errors["ranked"]), (&"label_errors".into(), &150.into()));
    let rows = std::fs::read_to_string(label_errors["path"].as_str().unwrap()).unwrap();
    let errors = rows.lines().filter(|line| line.ends_with(",yes")).count();
    assert_eq!(label_errors["errors"].as_u64(), Some(errors as u64));
}

#[test]
fn an_interrupted_run_says_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut command = cresset();
    command.args(short(&out)).args(["--epochs", "1000000"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    wait_for(&out.join("checkpoints/best.safetensors"), &mut child);
    // A few intervals of the progress.
    std::thread::sleep(Duration::from_millis(500));
    send("-INT", &child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let events = events(&output.stdout);
    let interrupted = events.last().unwrap();
    assert_eq!(interrupted["event"], "interrupted");
    let step = |event: &Value| (event["epoch"].as_u64(), event["step"].as_u64());
    assert_eq!(step(interrupted), step(named(&events, "checkpoint").last().unwrap()));
    assert!(!named(&events, "progress").is_empty(), "a run of some time shows its progress");
}

#[test]
fn only_the_first_process_writes_events() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let arguments: Vec<_> = short(&out).into_iter().chain(["--epochs", "2"]).collect();
    let outputs = Job::start(2, &arguments).succeed();
    let events = events(&outputs[0].stdout);
    assert_eq!((only(&events, "started")["processes"].as_u64(), named(&events, "epoch").len()), (Some(2), 2));
    only(&events, "finished");
    assert!(outputs[1].stdout.is_empty());
}

#[test]
fn the_table_in_the_docs_has_every_event() {
    let page = std::fs::read_to_string(root().join("docs/events.md")).unwrap();
    let code = ["mod", "training"].map(|name| {
        std::fs::read_to_string(root().join(format!("crates/cli/src/events/{name}.rs"))).unwrap()
    });
    let names: Vec<_> = code.iter().flat_map(|code| code.split("emit(").skip(1)).collect();
    let names = names.iter().filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    let names: std::collections::BTreeSet<_> = names.collect();
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("| `{name}` |")), "docs/events.md lacks {name}");
    }
}
