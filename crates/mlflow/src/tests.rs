//! Delivery to a server that fails in all ways.

#[path = "../../../tests/support/mlflow.rs"]
mod mlflow;

use std::collections::BTreeMap;
use std::path::Path;

use self::mlflow::{Fault, Mlflow};
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::{JOURNAL, Journal, Record, RunRecord, STATE, Settings, Tracker, sync};

fn settings(server: &Mlflow) -> Settings {
    Settings::new(&server.uri(), &|_| None).unwrap()
}

fn metrics(step: u64) -> Record {
    let values =
        BTreeMap::from([("loss".to_string(), 1. / step as f64), ("accuracy".to_string(), step as f64)]);
    Record::Metrics { time: 1_700_000_000_000 + step, step, values }
}

/// The records of a whole run of so many steps, whose folder has a file.
fn records(folder: &Path, steps: u64) -> Vec<Record> {
    std::fs::write(folder.join("config.toml"), "epochs = 3\n").unwrap();
    let map = |name: &str| BTreeMap::from([(name.to_string(), "1".to_string())]);
    let run = RunRecord {
        id: "0123".to_string(),
        experiment: "my experiment".to_string(),
        name: "digits-1".to_string(),
        time: 1_700_000_000_000,
        tags: map("version"),
        params: (0..150).map(|number| (format!("option{number}"), number.to_string())).collect(),
    };
    let mut records = vec![Record::Run(run)];
    records.extend((1..=steps).map(metrics));
    records.extend([
        Record::Tags { values: map("later") },
        Record::File { name: "config.toml".to_string(), path: "config.toml".into() },
        Record::Text { name: "notes/a b.txt".to_string(), text: "text".to_string() },
        Record::Model { folder: "model".to_string(), description: serde_json::json!({ "flavors": {} }) },
        Record::Status { status: "FINISHED".to_string(), time: 1_700_000_000_999 },
    ]);
    records
}

fn write(folder: &Path, records: &[Record]) {
    let (mut journal, _) = Journal::open(folder).unwrap();
    records.iter().for_each(|record| journal.append(record).unwrap());
}

/// Sends everything, in a new process for each failure if `restarts`.
fn deliver(folder: &Path, settings: &Settings, restarts: bool) {
    let mut delivery = Delivery::new(folder, settings).unwrap();
    for _ in 0..1000 {
        match delivery.advance(&mut |problem| panic!("{problem}")) {
            Ok(true) => {}
            Ok(false) => return,
            Err(Error::Unavailable(_)) if restarts => delivery = Delivery::new(folder, settings).unwrap(),
            Err(Error::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it does not end");
}

/// Fails unless the server has the whole run of `records`, once.
fn assert_complete(server: &Mlflow, steps: u64) {
    let run = server.run();
    assert_eq!((run.experiment.as_str(), run.name.as_str()), ("my experiment", "digits-1"));
    assert_eq!(run.params.len(), 150);
    assert_eq!((run.tags["version"].as_str(), run.tags["later"].as_str()), ("1", "1"));
    let expected: Vec<_> = (1..=steps).map(|step| (step, 1. / step as f64)).collect();
    assert_eq!(run.metric("loss"), expected);
    assert_eq!(run.metric("accuracy").len(), steps as usize);
    assert_eq!(run.artifacts["config.toml"], b"epochs = 3\n");
    assert_eq!(run.artifacts["notes/a b.txt"], b"text");
    let model: serde_json::Value = serde_json::from_slice(&run.artifacts["model/MLmodel"]).unwrap();
    assert_eq!(model["run_id"], "run-0");
    assert_eq!(run.models.last(), Some(&model));
    assert_eq!(run.status.last().unwrap(), "FINISHED");
    assert_eq!(server.change(|store| store.experiments.len()), 1);
}

#[test]
fn a_run_arrives_with_few_requests() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mlflow::start();
    write(folder.path(), &records(folder.path(), 2000));
    deliver(folder.path(), &settings(&server), false);
    assert_complete(&server, 2000);
    let requests = server.change(|store| store.requests.len());
    // 4000 values in batches of 900.
    assert!(requests < 20, "{requests}");
}

#[test]
fn every_request_may_fail_in_every_way_without_a_loss_or_a_double() {
    let requests = {
        let folder = tempfile::tempdir().unwrap();
        let server = Mlflow::start();
        write(folder.path(), &records(folder.path(), 3));
        deliver(folder.path(), &settings(&server), false);
        server.change(|store| store.requests.len())
    };
    for fault in [Fault::Status(500), Fault::CutBefore, Fault::CutAfter] {
        for at in 0..requests {
            for restarts in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                let server = Mlflow::start();
                server.change(|store| {
                    store.faults.extend(vec![None; at]);
                    store.faults.push_back(Some(fault));
                });
                write(folder.path(), &records(folder.path(), 3));
                deliver(folder.path(), &settings(&server), restarts);
                assert_complete(&server, 3);
            }
        }
    }
}

#[test]
fn a_crash_before_the_state_was_written_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mlflow::start();
    let records = records(folder.path(), 5);
    write(folder.path(), &records[..4]);
    deliver(folder.path(), &settings(&server), false);
    let state = std::fs::read(folder.path().join(STATE)).unwrap();
    write(folder.path(), &records[4..6]);
    deliver(folder.path(), &settings(&server), false);
    // As if the process had been killed between the answer and the state.
    std::fs::write(folder.path().join(STATE), state).unwrap();
    write(folder.path(), &records[6..]);
    deliver(folder.path(), &settings(&server), false);
    assert_complete(&server, 5);
}

#[test]
fn an_incomplete_line_is_removed_and_what_follows_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mlflow::start();
    let records = records(folder.path(), 2);
    write(folder.path(), &records[..2]);
    let path = folder.path().join(JOURNAL);
    let half = [std::fs::read(&path).unwrap(), b"{\"record\":\"metr".to_vec()].concat();
    std::fs::write(&path, half).unwrap();
    deliver(folder.path(), &settings(&server), false);
    write(folder.path(), &records[2..]);
    deliver(folder.path(), &settings(&server), false);
    assert_complete(&server, 2);
}

#[test]
fn another_server_gets_the_whole_run() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &records(folder.path(), 2));
    for server in [Mlflow::start(), Mlflow::start()] {
        deliver(folder.path(), &settings(&server), false);
        assert_complete(&server, 2);
    }
}

#[test]
fn what_the_server_refuses_is_named_and_the_rest_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mlflow::start();
    server.change(|store| store.has_other_artifacts = true);
    write(folder.path(), &records(folder.path(), 2));
    let mut delivery = Delivery::new(folder.path(), &settings(&server)).unwrap();
    let mut problems = Vec::new();
    while delivery.advance(&mut |problem| problems.push(problem.to_string())).unwrap() {}
    assert_eq!(problems.len(), 3, "a file, a text, a model: {problems:?}");
    assert!(problems[0].contains("artifacts are stored in s3://bucket"), "{problems:?}");
    let run = server.run();
    assert_eq!((run.metric("loss").len(), run.status.as_slice()), (2, &["FINISHED".to_string()][..]));
}

#[test]
fn a_tracker_does_not_wait_for_a_server_that_is_away() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let server = Mlflow::start();
    server.change(|store| store.always = Some(Fault::Status(503)));
    let started = std::time::Instant::now();
    let (mut tracker, known) = Tracker::start(folder.path(), &settings(&server))?;
    assert!(known.is_empty());
    let records = records(folder.path(), 100);
    records.iter().try_for_each(|record| tracker.report(record))?;
    let unsent = tracker.end().expect("nothing was sent");
    assert!(started.elapsed().as_secs() < 5);
    assert_eq!(unsent.records, records.len());
    assert!(unsent.reason.contains("HTTP 503: told to fail"), "{unsent:?}");

    server.change(|store| store.always = None);
    let (tracker, known) = Tracker::start(folder.path(), &settings(&server))?;
    assert_eq!(known, records);
    assert_eq!(tracker.end(), None);
    assert_complete(&server, 100);
    // Nothing is left.
    let (sent, problems) = sync(folder.path(), None)?;
    assert_eq!((sent, problems.len()), (0, 0));
    assert_complete(&server, 100);
    Ok(())
}

#[test]
fn a_folder_without_a_journal_cannot_be_sent() {
    let folder = tempfile::tempdir().unwrap();
    let error = sync(folder.path(), None).unwrap_err().to_string();
    assert!(error.contains("was not trained with --mlflow"), "{error}");
}
