//! Recommendations over HTTP.

use std::path::Path;

use crate::support::server::Server;
use crate::support::targets::clicks_run;
use crate::support::{run, stderr, succeed, text};
use serde_json::{Value, json};

/// What `cresset recommend` prints for users.
fn recommended(model: &Path, options: &[&str]) -> Vec<Value> {
    let printed = succeed(["recommend", text(model), "--json"].iter().chain(options));
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Fails unless the results of a reply are the lines of `cresset recommend`, up to rounding.
fn assert_same(reply: &Value, lines: &[Value]) {
    let results = reply["results"].as_array().unwrap();
    assert_eq!(results.len(), lines.len());
    for (result, line) in results.iter().zip(lines) {
        assert_eq!((&result["user"], &result["known"]), (&line["user"], &line["known"]));
        let [ours, theirs] = [result, line].map(|of| of["items"].as_array().unwrap());
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            let [score, expected] = [ours, theirs].map(|item| item["score"].as_f64().unwrap());
            assert!(ours["item"] == theirs["item"] && (score - expected).abs() < 1e-5, "{result} {line}");
        }
    }
}

#[test]
fn users_get_the_items_of_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let out = clicks_run(folder.path());
    let record = folder.path().join("record");
    let server = Server::start(&out, &["--record", text(&record)]);
    let mut connection = server.connect();
    let reply = connection.post("/v1/recommend", &json!({ "user": "u7" })).granted();
    assert_same(&reply, &recommended(&out, &["--user", "u7"]));
    assert_eq!(reply["model_sha256"].as_str().unwrap().len(), 64);
    let body = json!({ "users": ["u7", "u12", "nobody"], "top_k": 4, "exclude": ["i3", "i8"] });
    let reply = connection.post("/v1/recommend", &body).granted();
    let users = ["--user", "u7", "--user", "u12", "--user", "nobody"];
    let options = [&users[..], &["--top-k", "4", "--exclude", "i3", "--exclude", "i8"]].concat();
    assert_same(&reply, &recommended(&out, &options));
    assert_eq!(reply["results"][2]["known"], false);
    // What a user chose is only recommended if it is asked for.
    let items = |reply: &Value| reply["results"][0]["items"].as_array().unwrap().len();
    let all = json!({ "user": "u7", "top_k": 52 });
    let reply = connection.post("/v1/recommend", &all).granted();
    assert_same(&reply, &recommended(&out, &["--user", "u7", "--top-k", "52"]));
    assert!(items(&reply) < 52);
    let all = json!({ "user": "u7", "top_k": 52, "include_chosen": true });
    assert_eq!(items(&connection.post("/v1/recommend", &all).granted()), 52);

    let recorded = std::fs::read_to_string(record.join("predictions.jsonl")).unwrap();
    let first: Value = serde_json::from_str(recorded.lines().next().unwrap()).unwrap();
    assert!(first["results"][0]["user"] == "u7" && first["body"] == r#"{"user":"u7"}"#, "{first}");
    let metrics = connection.get("/metrics").text();
    for expected in
        ["cresset_requests_total{route=\"/v1/recommend\",status=\"200\"} 4\n", "cresset_batch_rows_sum 6\n"]
    {
        assert!(metrics.contains(expected), "{expected} is not in {metrics}");
    }
    let model = connection.get("/v1/models").granted()["models"][0].clone();
    assert_eq!(model["input"], json!({ "kind": "user", "users": 60, "items": 52 }));
    let document = connection.get("/openapi.json").granted();
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Users"]["properties"]["top_k"]["maximum"], 52);
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.contains_key("/v1/recommend") && !paths.contains_key("/v1/predict"), "{paths:?}");
}

#[test]
fn a_model_file_without_its_run_leaves_nothing_out() {
    let folder = tempfile::tempdir().unwrap();
    let out = clicks_run(folder.path());
    let server = Server::start(&out.join("model.pt"), &[]);
    let reply = server.connect().post("/v1/recommend", &json!({ "user": "u7", "top_k": 52 })).granted();
    assert_same(&reply, &recommended(&out.join("model.pt"), &["--user", "u7", "--top-k", "52"]));
    assert_eq!(reply["results"][0]["items"].as_array().unwrap().len(), 52);
}

#[test]
fn wrong_requests_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let out = clicks_run(folder.path());
    let server = Server::start(&out, &["--unknown", "error", "--max-rows", "3"]);
    let mut connection = server.connect();
    let mut refused = |body: Value, status: u16, expected: &str| {
        let message = connection.post("/v1/recommend", &body).refused(status);
        assert!(message.contains(expected), "{body}: {message}");
    };
    refused(json!({ "user": "nobody" }), 422, "the model does not know the user `nobody`");
    refused(json!({ "users": ["u1", "nobody"] }), 422, "user 2: the model does not know the user `nobody`");
    refused(json!({ "user": "u1", "top_k": 53 }), 422, "`top_k` is 53, but the model knows 52 items");
    refused(json!({ "user": "u1", "top_k": 0 }), 422, "`top_k` must be at least 1");
    refused(json!({ "user": "u1", "top_k": -1 }), 422, "invalid value: integer `-1`");
    refused(
        json!({ "user": "u1", "exclude": ["i99"] }),
        422,
        "`exclude`: the model does not know the item `i99`",
    );
    refused(json!({ "user": 1.5 }), 422, "expected a user or an item: a string or an integer");
    refused(json!({ "user": "u1", "users": ["u2"] }), 422, "either `user` or `users`");
    refused(json!({}), 422, "either `user` or `users`");
    refused(json!({ "usr": "u1" }), 422, "unknown field `usr`");
    refused(json!({ "users": [] }), 422, "the body has no inputs");
    refused(json!({ "users": ["u1", "u2", "u3", "u4"] }), 413, "4 inputs, but at most 3 are allowed");
    let json = [("Content-Type", "application/json")];
    let message = connection.ask("POST", "/v1/recommend", &json, b"{\"user\"").refused(400);
    assert!(message.contains("the body is not valid JSON"), "{message}");
    let message =
        connection.ask("POST", "/v1/recommend", &[("Content-Type", "text/csv")], b"u1").refused(415);
    assert!(message.contains("application/json"), "{message}");
    for (path, body) in [
        ("/v1/predict", json!({ "inputs": [["u1", "i1"]] })),
        ("/v1/explain", json!({ "inputs": [["u1", "i1"]] })),
    ] {
        let message = connection.post(path, &body).refused(422);
        assert!(
            message.contains("this model recommends items to users; send POST /v1/recommend"),
            "{message}"
        );
    }
    let message = connection.post("/v1/feedback", &json!({ "id": "1", "correction": "i1" })).refused(422);
    assert!(message.contains("the task of this model is ranking"), "{message}");

    let iris = folder.path().join("iris");
    succeed(["train", "--data", "iris", "--epochs", "1", "--out", text(&iris)]);
    let server = Server::start(&iris, &[]);
    let message = server.connect().post("/v1/recommend", &json!({ "user": "u1" })).refused(422);
    assert!(message.contains("its task is classification; use /v1/predict"), "{message}");
}

#[test]
fn a_server_does_not_start_without_the_choices_or_with_options_for_classifiers() {
    let folder = tempfile::tempdir().unwrap();
    let out = clicks_run(folder.path());
    let refused = |options: &[&str], expected: &str| {
        let output = run(["serve", text(&out), "--port", "0"].iter().chain(options));
        assert!(output.status.code() == Some(2) && stderr(&output).contains(expected), "{}", stderr(&output));
    };
    let drift = folder.path().join("drift.json");
    refused(&["--drift", text(&drift)], "--drift: a model of recommendations has no inputs to compare");
    refused(&["--feedback", text(&drift)], "--feedback");
    std::fs::remove_file(folder.path().join("clicks.csv")).unwrap();
    refused(&[], "clicks.csv");
}
