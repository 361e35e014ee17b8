//! A server that ends, and one whose model is replaced.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::support::server::Server;
use crate::support::stderr;
use crate::{digits, digits_run};

#[test]
fn requests_that_came_in_are_answered_before_the_end() {
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
fn a_model_is_replaced_without_a_lost_request_and_a_faulty_one_is_not_taken() {
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
        assert!(refused.contains("the old one goes on"), "{refused}");
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
