//! A server that ends, and one whose model is replaced.

use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::fixtures::{digits, digits_run};
use crate::support::server::Server;
use crate::support::stderr;

#[test]
fn pending_requests_are_answered_before_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits_run(folder.path(), &["--epochs", "1"]);
    for signal in ["-TERM", "-INT"] {
        // A batch that is waited for is still to be computed when the signal comes.
        let server = Server::start(&run, &["--max-delay", "500000"]);
        let mut connections: Vec<_> = (0..8).map(|_| server.connect()).collect();
        let body = json!({ "inputs": digits(1) }).to_string();
        for connection in &mut connections {
            connection.send("POST", "/v1/predict", &[("Content-Type", "application/json")], body.as_bytes());
        }
        let mut idle = server.connect();
        loop {
            let metrics = idle.get("/metrics").text();
            // On a machine that is very slow, the batch may be on its way by then.
            if metrics.contains("cresset_queue_rows 8\n") || !metrics.contains("cresset_batch_rows_count 0\n")
            {
                break;
            }
        }
        server.signal(signal);
        connections
            .iter_mut()
            .for_each(|connection| drop(connection.receive().expect("an answer").granted()));
        let output = server.end();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
}

/// Puts a model in the place of the one that is served, as `rename` does it.
fn replace(model: &Path, by: &[u8]) {
    let beside = model.with_extension("new");
    std::fs::write(&beside, by).unwrap();
    std::fs::rename(&beside, model).unwrap();
}

#[test]
fn a_model_is_replaced_without_losing_requests_and_a_damaged_one_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits_run(folder.path(), &["--epochs", "1"]);
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let other = digits_run(&other, &["--epochs", "1", "--seed", "5", "--model-options", "width=7"]);
    let model = run.join("model.pt");
    let [first, second] = [&model, &other.join("model.pt")].map(|path| std::fs::read(path).unwrap());
    let [of_first, of_second] = [&first, &second].map(|bytes| cresset::data::sha256(bytes));
    let server = Server::start(&run, &["--max-batch", "4"]);

    let (is_over, body) = (AtomicBool::new(false), json!({ "inputs": digits(3) }));
    let ask = || {
        let mut connection = server.connect();
        let mut answers = Vec::new();
        while !is_over.load(Ordering::SeqCst) {
            let answer = connection.post("/v1/predict?top_k=1", &body).granted();
            answers.push((answer["model_sha256"].as_str().unwrap().to_string(), answer["results"].clone()));
        }
        answers
    };
    let found = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        let mut connection = server.connect();
        let served = |connection: &mut crate::support::http::Connection| {
            connection.get("/v1/models").granted()["models"][0]["sha256"].as_str().unwrap().to_string()
        };
        // Seen by itself, …
        replace(&model, &second);
        while served(&mut connection) != of_second {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        // … refused, …
        replace(&model, &second[..second.len() / 2]);
        let refused = connection.ask("POST", "/v1/models/reload", &[], b"").refused(409);
        assert!(refused.contains("the old model stays"), "{refused}");
        assert_eq!(served(&mut connection), of_second);
        // … and on demand.
        replace(&model, &first);
        let reloaded = connection.ask("POST", "/v1/models/reload", &[], b"").granted();
        assert_eq!(reloaded["models"][0]["sha256"], of_first);
        is_over.store(true, Ordering::SeqCst);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    let mut by_model = std::collections::BTreeMap::new();
    for (sha256, results) in found {
        let probability = results[0]["predictions"][0]["probability"].as_f64().unwrap();
        let first = *by_model.entry(sha256).or_insert(probability);
        assert!((first - probability).abs() < 1e-6, "an answer is of the model that it names");
    }
    assert_eq!(by_model.keys().collect::<std::collections::BTreeSet<_>>(), [&of_first, &of_second].into());
    server.signal("-TERM");
    let output = server.end();
    assert!(output.status.success());
}

/// The file with the bytes of one member changed, and checksums that fit.
fn with_member(model: &[u8], ending: &str, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut old = zip::ZipArchive::new(Cursor::new(model)).unwrap();
    let mut new = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut is_changed = false;
    for index in 0..old.len() {
        let mut member = old.by_index(index).unwrap();
        let name = member.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).unwrap();
        if name.ends_with(ending) {
            change(&mut bytes);
            is_changed = true;
        }
        let stored =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        new.start_file(name, stored).unwrap();
        new.write_all(&bytes).unwrap();
    }
    assert!(is_changed);
    new.finish().unwrap().into_inner()
}

#[test]
fn an_unsafe_or_different_model_is_rejected_and_metrics_give_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits_run(folder.path(), &["--epochs", "1"]);
    let model = run.join("model.pt");
    let good = std::fs::read(&model).unwrap();
    let written = folder.path().join("written");
    let writes = |code: &mut Vec<u8>| {
        let line = format!(
            "\n    print(torch.numel(torch.from_file(\"{}\", True, 64, dtype=0)))\n    return ",
            written.display()
        );
        *code = String::from_utf8(code.clone()).unwrap().replace("\n    return ", &line).into_bytes();
    };
    let faults = [
        (
            with_member(&good, "/data/0", Vec::clear),
            "the storage `data/0` should have 32768 bytes, but has 0",
        ),
        (
            with_member(&good, "/data/2", |bytes| bytes.fill(0)),
            "it computes different results than when it was written",
        ),
        (with_member(&good, "cresset.py", writes), "calls `aten::from_file`"),
    ];
    let server = Server::start(&run, &[]);
    let mut connection = server.connect();
    let served = |connection: &mut crate::support::http::Connection| {
        connection.get("/v1/models").granted()["models"][0]["sha256"].as_str().unwrap().to_string()
    };
    assert!(connection.get("/metrics").text().contains("cresset_model_refused 0\n"));
    for (number, (faulty, why)) in faults.iter().enumerate() {
        replace(&model, faulty);
        let told = loop {
            let text = connection.get("/metrics").text();
            if text.contains(&format!("cresset_refused_models_total {}\n", number + 1)) {
                break text;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let gauge = told.lines().find(|line| line.starts_with("cresset_model_refused{")).expect("a reason");
        assert!(gauge.contains(why) && gauge.ends_with(" 1"), "{gauge}");
        assert_eq!(served(&mut connection), cresset::data::sha256(&good));
    }
    assert!(!written.exists());
    // A FIFO holds up nobody, …
    std::fs::remove_file(&model).unwrap();
    assert!(Command::new("mkfifo").arg(&model).status().unwrap().success());
    let refused = connection.ask("POST", "/v1/models/reload", &[], b"").refused(409);
    assert!(refused.contains("this is a FIFO"), "{refused}");
    connection.post("/v1/predict", &json!({ "inputs": digits(1) })).granted();
    // … and what is good is taken again.
    std::fs::remove_file(&model).unwrap();
    replace(&model, &good);
    let reloaded = connection.ask("POST", "/v1/models/reload", &[], b"").granted();
    assert_eq!(reloaded["models"][0]["sha256"], cresset::data::sha256(&good));
    assert!(connection.get("/metrics").text().contains("cresset_model_refused 0\n"));
    server.signal("-TERM");
    let output = server.end();
    let log = stderr(&output);
    assert!(output.status.success());
    for (_, why) in &faults {
        assert_eq!(log.matches(why).count(), 1, "{why} stands once in\n{log}");
    }
}

#[test]
fn paths_that_are_not_files_are_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("model.pt");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for command in ["serve", "inspect"] {
        let output = crate::support::run([command, crate::support::text(&fifo)]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("model.pt: this is a FIFO"), "{}", stderr(&output));
    }
}
