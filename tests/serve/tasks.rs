//! Several labels, and numbers, over HTTP.

use std::path::Path;

use crate::support::samples::{mail_options, write_mails};
use crate::support::server::Server;
use crate::support::targets::{predicted, prices_run, tagged_images_run, tags_run};
use crate::support::{run, stderr, succeed, text, train_once};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Some rows of a table: with and without a label, in a header's order.
fn write_rows(folder: &Path, rows: &str) -> std::path::PathBuf {
    let path = folder.join("rows.csv");
    std::fs::write(&path, rows).unwrap();
    path
}

/// Fails unless the results of a reply are the lines of `cresset predict`, up to rounding.
fn assert_same(reply: &Value, predicted: &[Value]) {
    let results = reply["results"].as_array().unwrap();
    assert_eq!(results.len(), predicted.len());
    for (result, line) in results.iter().zip(predicted) {
        assert!(result.get("input").is_none());
        for name in ["labels", "predictions", "value", "interval"] {
            assert_eq!(result.get(name).is_some(), line.get(name).is_some(), "{result} {line}");
        }
        assert_eq!(result["labels"], line["labels"]);
        let numbers = |of: &Value| -> Vec<f64> {
            let probabilities =
                of["predictions"].as_array().into_iter().flatten().map(|one| &one["probability"]);
            let interval = of["interval"].as_array().into_iter().flatten();
            probabilities
                .chain(interval)
                .chain(of.get("value"))
                .map(|value| value.as_f64().unwrap())
                .collect()
        };
        let (found, expected) = (numbers(result), numbers(line));
        assert!(!found.is_empty() && found.len() == expected.len());
        let is_close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-5 * b.abs().max(1.);
        assert!(found.iter().zip(&expected).all(is_close), "{result} {line}");
    }
}

#[test]
fn a_text_is_a_body() {
    let folder = tempfile::tempdir().unwrap();
    write_mails(folder.path());
    let (table, out) = (folder.path().join("mails.csv"), folder.path().join("run"));
    let options =
        ["--data", text(&table), "--text", "body", "--label", "kind", "--threads", "1", "--epochs", "4"];
    train_once(&out, &options);
    let server = Server::start(&out.join("model.pt"), &[]);
    let mut connection = server.connect();
    let mut class = |kind: &str, body: &[u8]| {
        let reply = connection.ask("POST", "/v1/predict", &[("Content-Type", kind)], body).granted();
        reply["results"][0]["predictions"][0]["class"].clone()
    };
    assert_eq!(class("text/plain; charset=utf-8", b"click for the free prize"), "spam");
    assert_eq!(
        class("message/rfc822", b"From: a@b.c\nTo: d@e.f\nSubject: agenda\n\nlunch, then the review"),
        "ham"
    );
    assert_eq!(class("application/json", br#"{"inputs": [{"body": "winner of the prize"}]}"#), "spam");
    let plain = [("Content-Type", "text/plain")];
    let explained = connection.ask("POST", "/v1/explain?class=spam", &plain, b"please click today").granted();
    assert_eq!((&explained["method"], &explained["shape"]), (&json!("integrated-gradients"), &json!([3])));
    let words: Vec<f64> =
        explained["values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    assert!(words[1] > 0. && words[1] > words[0].max(words[2]), "{words:?}");
    // The words have their place in the text, also in JSON and in a mail, whose headers are not read.
    let body = json!({ "inputs": [{ "body": "été: a prize" }] });
    let explained = connection.post("/v1/explain?class=spam", &body).granted();
    let last = explained["words"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["word"], &last["start"], &last["end"]), (&json!("prize"), &json!(9), &json!(14)));
    let mail = [("Content-Type", "message/rfc822")];
    let sent = b"From: a@b.c\nTo: d@e.f\nSubject: agenda\n\nlunch?";
    let explained = connection.ask("POST", "/v1/explain", &mail, sent).granted();
    let words = explained["words"].as_array().unwrap().iter().map(|word| word["word"].as_str().unwrap());
    assert_eq!(words.collect::<Vec<_>>(), ["agenda", "lunch"], "{explained}");
    let of_model = connection.get("/v1/models").granted()["models"][0]["input"]["kind"].clone();
    assert_eq!(of_model, "text");
}

#[test]
fn a_model_of_texts_learns_from_corrections() {
    let folder = tempfile::tempdir().unwrap();
    write_mails(folder.path());
    let (table, out) = (folder.path().join("mails.csv"), folder.path().join("run"));
    train_once(
        &out,
        &[&mail_options(&table)[..], &["--model", "bow", "--epochs", "6", "--lr", "0.01"]].concat(),
    );
    let server = Server::start(&out, &[]);
    let mut connection = server.connect();
    // Words that are not in the training data.
    let texts =
        ["gratis", "gratis today", "we gratis", "gratis for you"].map(|text| format!("{text} bitcoin"));
    for text in &texts {
        let reply = connection.post("/v1/predict", &json!({ "inputs": [[text]] })).granted();
        let (answer, sha256) = (&reply["results"][0]["predictions"][0], &reply["model_sha256"]);
        let correction =
            json!({ "values": [text], "answer": answer, "correction": "spam", "model_sha256": sha256 });
        connection.post("/v1/feedback", &correction).granted();
    }
    drop(server);
    let (feedback, new) = (out.join("feedback"), folder.path().join("new"));
    let set = cresset::feedback::read(&feedback).unwrap();
    assert_eq!(set.corrections.len(), 4);
    succeed([
        "train",
        "--from",
        text(&out),
        "--feedback",
        text(&feedback),
        "--out",
        text(&new),
        "--device",
        "cpu",
    ]);
    let file = folder.path().join("new.txt");
    std::fs::write(&file, "more gratis bitcoin").unwrap();
    let spam = |run: &Path| predicted(&run.join("model.pt"), &file)[0]["predictions"][0].clone();
    assert_eq!(spam(&new)["class"], "spam");
    assert!(spam(&new)["probability"].as_f64().unwrap() > 0.8, "{}", spam(&new));
}

#[test]
fn rows_get_the_labels_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let model = tags_run(folder.path()).join("model.pt");
    let rows = write_rows(folder.path(), "a,b,c\n0.9,0.8,0.9\n-0.9,-0.9,-0.9\n0.9,-0.9,-0.5\n");
    let expected = predicted(&model, &rows);
    assert_eq!(expected[0]["labels"], json!(["hot", "rare", "wide"]));
    assert_eq!((&expected[1]["labels"], &expected[2]["labels"]), (&json!([]), &json!(["hot"])));

    let server = Server::start(&model, &[]);
    let mut connection = server.connect();
    let inputs =
        json!({ "inputs": [[0.9, 0.8, 0.9], [-0.9, -0.9, -0.9], { "a": 0.9, "b": -0.9, "c": -0.5 }] });
    assert_same(&connection.post("/v1/predict", &inputs).granted(), &expected);
    let bytes = std::fs::read(&rows).unwrap();
    let csv = [("Content-Type", "text/csv")];
    assert_same(&connection.ask("POST", "/v1/predict", &csv, &bytes).granted(), &expected);

    // `top_k` limits the probabilities, not the predicted labels.
    let few = connection.post("/v1/predict?top_k=1", &inputs).granted();
    assert_eq!(few["results"][0]["predictions"].as_array().unwrap().len(), 1);
    assert_eq!(few["results"][0]["labels"], expected[0]["labels"]);

    let one = json!({ "inputs": [[0.9, -0.9, -0.5]] });
    let explained = connection.post("/v1/explain", &one).granted();
    assert_eq!((&explained["class"], &explained["output"]), (&json!("hot"), &json!("logit")));
    assert_eq!(connection.post("/v1/explain?class=rare", &one).granted()["class"], "rare");
    let refused = connection.post("/v1/explain?class=rar", &one).refused(422);
    assert!(refused.contains("the model has no label `rar`; did you mean `rare`?"), "{refused}");

    let outputs = connection.get("/v1/models").granted()["models"][0]["outputs"].clone();
    assert_eq!(
        (&outputs["task"], outputs["thresholds"].as_array().unwrap().len()),
        (&json!("multilabel"), 3)
    );
    let document = connection.get("/openapi.json").granted();
    let result = &document["components"]["schemas"]["Predictions"]["properties"]["results"]["items"];
    assert_eq!(result["required"], json!(["predictions", "labels"]));
    assert!(document["paths"].get("/v1/feedback").is_none());
    assert!(connection.get("/metrics").text().contains("cresset_batch_rows_bucket{le=\"4\"} "));
}

#[test]
fn images_get_the_labels_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let model = tagged_images_run(folder.path()).join("model.pt");
    let server = Server::start(&model, &[]);
    let mut connection = server.connect();
    for image in ["tagged/0.png", "tagged/7.png"].map(|name| folder.path().join(name)) {
        let (expected, bytes) = (predicted(&model, &image), std::fs::read(&image).unwrap());
        let png = [("Content-Type", "image/png")];
        assert_same(&connection.ask("POST", "/v1/predict", &png, &bytes).granted(), &expected);
        let image = json!({ "image": STANDARD.encode(&bytes) });
        assert_same(&connection.post("/v1/predict", &image).granted(), &expected);
        let explained = connection.post("/v1/explain?class=green", &image).granted();
        assert_eq!((&explained["class"], &explained["shape"]), (&json!("green"), &json!([16, 16])));
    }
}

#[test]
fn rows_get_the_numbers_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let model = prices_run(folder.path()).join("model.pt");
    let rows = write_rows(folder.path(), "x,y,color\n0.5,0.1,red\n-0.5,0.4,blue\n");
    let expected = predicted(&model, &rows);
    let value = expected[0]["value"].as_f64().unwrap();
    assert!((100. ..170.).contains(&value), "{value}");

    let server = Server::start(&model, &[]);
    let mut connection = server.connect();
    let inputs = json!({ "inputs": [[0.5, 0.1, "red"], { "x": -0.5, "y": 0.4, "color": "blue" }] });
    let reply = connection.post("/v1/predict", &inputs).granted();
    assert_same(&reply, &expected);
    let bounds = &reply["results"][0]["interval"];
    assert!(bounds[0].as_f64().unwrap() < value && value < bounds[1].as_f64().unwrap(), "{reply}");
    let csv = [("Content-Type", "text/csv")];
    let bytes = std::fs::read(&rows).unwrap();
    assert_same(&connection.ask("POST", "/v1/predict", &csv, &bytes).granted(), &expected);

    let explained = connection.post("/v1/explain", &json!({ "inputs": [[0.5, 0.1, "red"]] })).granted();
    assert_eq!((&explained["class"], &explained["output"]), (&json!("price"), &json!("value")));
    // The column that raises the price most.
    assert!(explained["values"][0].as_f64().unwrap() > 5., "{explained}");
    assert_eq!(
        (&explained["method"], &explained["columns"]),
        (&json!("shapley"), &json!(["x", "y", "color"]))
    );
    let values = explained["values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap());
    let found = explained["base"].as_f64().unwrap() + values.sum::<f64>();
    assert!((found - value).abs() < 0.01, "{explained}");
    // What the playground has sliders and lists for.
    let columns = connection.get("/v1/models").granted()["models"][0]["input"]["columns"].clone();
    assert_eq!(
        (&columns[0]["low"], &columns[0]["high"], &columns[0]["whole"]),
        (&json!(-1.0), &json!(1.0), &json!(false))
    );
    assert!(["red", "blue"].map(|color| json!(color)).contains(&columns[2]["typical"]), "{columns}");

    let document = connection.get("/openapi.json").granted();
    let result = &document["components"]["schemas"]["Predictions"]["properties"]["results"]["items"];
    assert_eq!(result["required"], json!(["value", "interval"]));
    assert!(document["paths"]["/v1/predict"]["post"].get("parameters").is_none());
}

#[test]
fn corrections_are_refused_without_classes() {
    let folder = tempfile::tempdir().unwrap();
    let model = prices_run(folder.path()).join("model.pt");
    let feedback = folder.path().join("feedback");
    let refused = run(["serve", text(&model), "--port", "0", "--feedback", text(&feedback)]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    let says = "--feedback works only for classification, and the task of this model is regression";
    assert!(stderr(&refused).contains(says), "{}", stderr(&refused));

    let server = Server::start(&model, &[]);
    let body = json!({
        "values": [0.5, 0.1, "red"],
        "answer": { "class": "price", "probability": 0.5 },
        "correction": "price",
        "model_sha256": "0".repeat(64),
    });
    let refused = server.connect().post("/v1/feedback", &body).refused(422);
    assert!(refused.contains("corrections are for classification"), "{refused}");
    assert!(!model.with_file_name("feedback").exists() && !feedback.exists());
}
