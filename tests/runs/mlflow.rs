//! Reports to MLflow: to a server of the tests that fails when it is told to, and to a real one.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use cresset::train::MetricsLog;

use crate::support::job::{Job, epochs, free_port, kill, send, wait_for};
use crate::support::mlflow::{Fault, Mlflow, StoredRun};
use crate::support::{cresset, root, stderr, text};

/// Trains on the digits and reports to a server.
fn train(out: &Path, uri: &str, options: &[&str]) -> Output {
    start(out, uri, options).wait_with_output().unwrap()
}

fn start(out: &Path, uri: &str, options: &[&str]) -> Child {
    let mut command = cresset();
    command
        .args(["train", "--device", "cpu", "--threads", "1", "--out", text(out), "--mlflow", uri])
        .args(options);
    command.env_remove("MLFLOW_EXPERIMENT_NAME").env_remove("MLFLOW_TRACKING_TOKEN");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn sync(run: &Path) -> Output {
    cresset().args(["sync", text(run)]).output().unwrap()
}

/// Fails unless the server has each epoch of the run's metrics.csv once.
fn assert_has_each_epoch(run: &StoredRun, folder: &Path) {
    let records = MetricsLog::read(&folder.join("metrics.csv")).unwrap();
    let expected = |value: fn(&cresset::prelude::EpochRecord) -> f64| -> Vec<_> {
        records.iter().map(|record| (u64::from(record.epoch), value(record))).collect()
    };
    assert_eq!(run.metric("train_loss"), expected(|record| record.train_loss));
    assert_eq!(run.metric("validation_accuracy"), expected(|record| record.validation_accuracy));
}

#[test]
fn a_run_arrives_with_options_metrics_files_and_model() {
    let folder = tempfile::tempdir().unwrap();
    let (out, server) = (folder.path().join("run"), Mlflow::start());
    let output =
        train(&out, &server.uri(), &["--epochs", "3", "--report", "--mlflow-experiment", "my digits"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let run = server.run();
    assert_eq!((run.experiment.as_str(), run.name.as_str()), ("my digits", "run"));
    assert_eq!((run.params["epochs"].as_str(), run.params["data"].as_str()), ("3", "digits"));
    assert_eq!(run.tags["cresset.data_sha256"].len(), 64);
    assert_has_each_epoch(&run, &out);
    assert_eq!(run.metric("validation/accuracy").len(), 1);
    assert_eq!(run.status, ["FINISHED"]);
    for name in ["config.toml", "metrics.csv", "split.csv", "report.html"] {
        assert_eq!(run.artifacts[name], std::fs::read(out.join(name)).unwrap(), "{name}");
    }
    assert_eq!(run.artifacts["model/data/model.pth"], std::fs::read(out.join("model.pt")).unwrap());
    let [model] = &run.models[..] else { panic!("one model: {:?}", run.models) };
    let inputs: serde_json::Value =
        serde_json::from_str(model["signature"]["inputs"].as_str().unwrap()).unwrap();
    assert_eq!(inputs[0]["tensor-spec"]["shape"], serde_json::json!([-1, 1, 8, 8]));
    assert!(String::from_utf8(sync(&out).stdout).unwrap().contains(": 0 records sent"));
}

#[test]
fn a_server_that_is_away_changes_nothing_and_gets_the_run_later() {
    let folder = tempfile::tempdir().unwrap();
    let (out, server) = (folder.path().join("run"), Mlflow::start());
    server.change(|store| store.always = Some(Fault::CutBefore));
    let output = train(&out, &server.uri(), &["--epochs", "3"]);
    assert!(output.status.success());
    let said = stderr(&output);
    assert_eq!(said.matches("cannot be reached").count(), 2, "at the first attempt and at the end: {said}");
    assert!(
        said.contains(&format!("records of the run; send them with `cresset sync {}`", text(&out))),
        "{said}"
    );
    let failed = sync(&out);
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr(&failed).contains("cannot be reached"), "{}", stderr(&failed));
    server.change(|store| store.always = None);
    assert!(sync(&out).status.success());
    assert_has_each_epoch(&server.run(), &out);
    assert_eq!(server.run().status, ["FINISHED"]);
}

#[test]
fn a_killed_run_that_is_resumed_reports_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (out, server) = (folder.path().join("run"), Mlflow::start());
    let mut child = start(&out, &server.uri(), &["--epochs", "1000000"]);
    wait_for(&out.join("checkpoints/best.safetensors"), &mut child);
    std::thread::sleep(Duration::from_millis(300));
    assert!(kill(&mut child));
    // The connection is lost, too: the server carries out a request whose answer does not arrive.
    server.change(|store| store.faults.extend([None, Some(Fault::CutAfter), Some(Fault::CutAfter)]));
    let last = epochs(&out).len() + 3;
    let resumed =
        cresset().args(["train", "--resume", text(&out), "--epochs", &last.to_string()]).output().unwrap();
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    assert!(sync(&out).status.success());
    let run = server.run();
    assert_has_each_epoch(&run, &out);
    assert_eq!(run.params["epochs"], "1000000");
    assert_eq!(run.tags["resumed.epochs"], last.to_string());
    assert_eq!(run.status.last().unwrap(), "FINISHED");
}

#[test]
fn an_interrupted_run_is_killed_and_then_running_again() {
    let folder = tempfile::tempdir().unwrap();
    let (out, server) = (folder.path().join("run"), Mlflow::start());
    let mut child = start(&out, &server.uri(), &["--epochs", "1000000"]);
    wait_for(&out.join("checkpoints/best.safetensors"), &mut child);
    send("-INT", &child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    assert_eq!(server.run().status, ["KILLED"]);
    let last = (epochs(&out).len() + 2).to_string();
    let resumed = cresset().args(["train", "--resume", text(&out), "--epochs", &last]).output().unwrap();
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    assert_eq!(server.run().status, ["KILLED", "RUNNING", "FINISHED"]);
    assert_has_each_epoch(&server.run(), &out);
}

#[test]
fn a_crash_after_training_is_completed_by_the_next_command() {
    let folder = tempfile::tempdir().unwrap();
    let (out, server) = (folder.path().join("run"), Mlflow::start());
    assert!(train(&out, &server.uri(), &["--epochs", "2"]).status.success());
    // As if the process had been killed when it had written the model: results and status are not in the journal.
    let path = out.join("mlflow.jsonl");
    let journal = std::fs::read_to_string(&path).unwrap();
    let kept: String =
        journal.split_inclusive('\n').take_while(|line| !line.contains("validation/loss")).collect();
    std::fs::write(&path, &kept).unwrap();
    let state = out.join("mlflow-state.json");
    let mut sent: serde_json::Value = serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
    sent["sent"] = kept.len().into();
    std::fs::write(&state, sent.to_string()).unwrap();
    server.change(|store| {
        let run = &mut store.runs[0];
        run.status.clear();
        run.models.clear();
        run.metrics.retain(|(name, ..)| !name.contains('/'));
        run.times.truncate(run.metrics.len());
    });
    // The second one has nothing to do.
    for _ in 0..2 {
        let again = cresset().args(["train", "--resume", text(&out)]).output().unwrap();
        assert!(again.status.success(), "{}", stderr(&again));
        let run = server.run();
        assert_eq!((run.status.as_slice(), run.models.len()), (&["FINISHED".to_string()][..], 1));
        assert_eq!(run.metric("validation/accuracy").len(), 1);
        assert_has_each_epoch(&run, &out);
    }
}

#[test]
fn several_processes_report_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let (out, server) = (folder.path().join("run"), Mlflow::start());
    Job::start(2, &["train", "--epochs", "2", "--out", text(&out), "--mlflow", &server.uri()]).succeed();
    assert_has_each_epoch(&server.run(), &out);
    assert_eq!(server.run().tags["cresset.processes"], "2");
}

#[test]
fn what_the_server_refuses_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let (out, server) = (folder.path().join("run"), Mlflow::start());
    server.change(|store| store.has_other_artifacts = true);
    let output = train(&out, &server.uri(), &["--epochs", "2"]);
    assert!(output.status.success());
    assert_eq!(stderr(&output).matches("artifacts are stored in s3://bucket/artifacts").count(), 1);
    assert_eq!(server.run().status, ["FINISHED"]);
}

#[test]
fn an_invalid_address_and_several_trainings_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    for (uri, options, problem) in [
        ("localhost:5000", &[][..], "such as http://localhost:5000"),
        ("http://user:secret@host", &[], "MLFLOW_TRACKING_USERNAME"),
        ("http://host", &["--folds", "3"], "--mlflow is for a single run"),
    ] {
        let output = train(&out, uri, options);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(problem), "{}", stderr(&output));
        assert!(!out.exists());
    }
    std::fs::create_dir(&out).unwrap();
    let output = sync(&out);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

/// A real server, with a database and artifacts in a folder.
struct RealServer {
    process: Child,
    uri: String,
}

impl RealServer {
    fn start(folder: &Path) -> Self {
        let uri = format!("http://127.0.0.1:{}", free_port());
        let port = uri.rsplit(':').next().unwrap();
        let mut command = Command::new(python());
        command.args(["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", "1"]);
        command.args(["--backend-store-uri", &format!("sqlite:///{}/mlflow.db", text(folder))]);
        command.args(["--artifacts-destination", text(&folder.join("artifacts"))]).current_dir(folder);
        let log = std::fs::File::create(folder.join("server.log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let server = RealServer { process: command.spawn().unwrap(), uri };
        let begun = Instant::now();
        while std::net::TcpStream::connect(server.uri.trim_start_matches("http://")).is_err() {
            let log = || std::fs::read_to_string(folder.join("server.log")).unwrap();
            assert!(begun.elapsed() < Duration::from_secs(120), "the server does not start: {}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
        server
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        // It ends its workers.
        send("-TERM", &self.process);
        let _ = self.process.wait();
    }
}

fn python() -> PathBuf {
    std::env::var_os("CRESSET_PYTHON_MLFLOW").expect("`make test-python` sets CRESSET_PYTHON_MLFLOW").into()
}

#[test]
#[ignore = "needs Python packages: make test-python"]
fn a_real_server_has_the_run_and_loads_its_model() {
    let folder = tempfile::tempdir().unwrap();
    let server = RealServer::start(folder.path());
    let torch = std::env::var_os("CRESSET_PYTHON").expect("`make test-python` sets CRESSET_PYTHON");
    let script = root().join("tests/runs/read_mlflow.py");
    for (name, options) in [
        ("digits", &["--epochs", "3"][..]),
        ("iris", &["--data", "iris", "--epochs", "3"]),
        ("diverged", &["--epochs", "3", "--lr", "1e30", "--optimizer", "sgd"]),
    ] {
        let out = folder.path().join(name);
        let all = [options, &["--mlflow-experiment", "tests of cresset"]].concat();
        let output = train(&out, &server.uri, &all);
        assert_eq!(output.status.success(), name != "diverged", "{}", stderr(&output));
        assert!(!stderr(&output).contains("MLflow"), "{}", stderr(&output));
        if name == "digits" {
            // Sent again, as after a crash before the state was written.
            let state = out.join("mlflow-state.json");
            let mut sent: serde_json::Value =
                serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
            sent["sent"] = 0.into();
            std::fs::write(&state, sent.to_string()).unwrap();
            let again = sync(&out);
            assert!(again.status.success(), "{}", stderr(&again));
        }
        let mut read = Command::new(python());
        read.arg(&script)
            .args([&server.uri, text(&out)])
            .env("CRESSET_PYTHON", &torch)
            .current_dir(folder.path());
        let read = read.output().unwrap();
        assert!(read.status.success(), "{name}: {}", stderr(&read));
    }
}
