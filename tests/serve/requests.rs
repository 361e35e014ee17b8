//! `cresset serve`, as other programs meet it.

use std::path::{Path, PathBuf};

use crate::fixtures::{digits, digits_run};
use crate::support::http::{FORM, form};
use crate::support::server::Server;
use crate::support::{self, succeed, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A table with a column of texts, values that are missing, and two classes.
fn mixed_run(folder: &Path) -> PathBuf {
    let row = |n: usize| {
        let (kind, value) =
            (["red", "green, dark", "blue"][n % 3], if n % 7 == 3 { String::new() } else { n.to_string() });
        format!("{value},\"{kind}\",{}\n", ["no", "yes"][usize::from(n % 3 == 1)])
    };
    let table = folder.join("mixed.csv");
    std::fs::write(&table, "size,color,good\n".to_string() + &(0..60).map(row).collect::<String>()).unwrap();
    let run = folder.join("mixed");
    succeed([
        "train",
        "--recipe",
        "none",
        "--data",
        text(&table),
        "--missing",
        "mean",
        "--epochs",
        "5",
        "--device",
        "cpu",
        "--out",
        text(&run),
    ]);
    run
}

/// What `cresset predict` says of some inputs: a line each.
fn predicted(run: &Path, inputs: &[&Path]) -> Vec<Value> {
    let model = run.join("model.pt");
    let arguments = ["predict", text(&model), "--output", "jsonl", "--top-k", "100"];
    let printed = succeed(arguments.into_iter().chain(inputs.iter().map(|input| text(input))));
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Fails unless an answer gives the classes of `predict`, with the same probabilities up to rounding.
fn assert_same(results: &Value, predicted: &[Value]) {
    let results = results.as_array().unwrap();
    assert_eq!(results.len(), predicted.len());
    for (result, predicted) in results.iter().zip(predicted) {
        let [ours, theirs] = [result, predicted].map(|of| of["predictions"].as_array().unwrap());
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            let [p, q] = [ours, theirs].map(|of| of["probability"].as_f64().unwrap());
            assert!((p - q).abs() < 1e-6, "{result} {predicted}");
        }
        assert_eq!(ours[0]["class"], theirs[0]["class"]);
        assert_eq!(result["set"], predicted["set"]);
        assert_eq!(result["ood"], predicted["ood"]);
        for name in ["energy", "distance"] {
            let [ours, theirs] = [result, predicted].map(|of| of[name].as_f64());
            assert_eq!(ours.is_some(), theirs.is_some());
            assert!(ours.zip(theirs).is_none_or(|(a, b)| (a - b).abs() < 1e-4), "{result} {predicted}");
        }
    }
}

#[test]
fn models_with_distances_return_those_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let run =
        digits_run(folder.path(), &["--model", "cnn", "--epochs", "1", "--ood", "0.1", "--ood-score", "knn"]);
    let server = Server::start(&run, &[]);
    let rows = support::unlabelled_digits(folder.path(), 70);
    let answer = server.connect().post("/v1/predict", &json!({ "inputs": digits(70) })).granted();
    assert_same(&answer["results"], &predicted(&run, &[&rows]));
    assert!(answer["results"][0]["distance"].is_number() && answer["results"][0]["ood"].is_boolean());
}

#[test]
fn images_rows_and_tables_get_the_predictions_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let run =
        digits_run(folder.path(), &["--model", "cnn", "--epochs", "2", "--coverage", "0.9", "--ood", "0.1"]);
    let server = Server::start(&run, &[]);
    let mut connection = server.connect();

    let rows = support::unlabelled_digits(folder.path(), 70);
    let expected = predicted(&run, &[&rows]);
    let answer = connection.post("/v1/predict", &json!({ "inputs": digits(70) })).granted();
    assert_same(&answer["results"], &expected);
    assert!(answer["results"][0]["set"].is_array());
    assert!(answer["results"][0]["energy"].is_number() && answer["results"][0]["ood"].is_boolean());
    let sha256 = cresset::data::sha256(&std::fs::read(run.join("model.pt")).unwrap());
    assert_eq!(answer["model_sha256"], sha256);
    let csv = [("Content-Type", "text/csv; charset=utf-8")];
    let of_csv = connection.ask("POST", "/v1/predict", &csv, &std::fs::read(&rows).unwrap()).granted();
    assert_same(&of_csv["results"], &expected);
    assert_ne!(of_csv["id"], answer["id"]);
    let nested: Vec<_> = digits(1)[0].chunks(8).map(<[f64]>::to_vec).collect();
    let of_nested = connection.post("/v1/predict", &json!({ "inputs": [nested] })).granted();
    assert_same(&of_nested["results"], &expected[..1]);

    for (name, kind) in
        [("a.png", "image/png"), ("b.jpg", "image/jpeg"), ("c.bmp", "application/octet-stream")]
    {
        let path = folder.path().join(name);
        let shade = |x: u32, y: u32| image::Luma([(x * 5 + y * 3) as u8]);
        image::GrayImage::from_fn(40, 30, shade).save(&path).unwrap();
        let (expected, bytes) = (predicted(&run, &[&path]), std::fs::read(&path).unwrap());
        let answer = connection.ask("POST", "/v1/predict", &[("Content-Type", kind)], &bytes).granted();
        assert_same(&answer["results"], &expected);
        let answer = connection.post("/v1/predict", &json!({ "image": STANDARD.encode(&bytes) })).granted();
        assert_same(&answer["results"], &expected);
    }

    let few = connection.post("/v1/predict?top_k=2", &json!({ "inputs": digits(1) })).granted();
    assert_eq!(few["results"][0]["predictions"].as_array().unwrap().len(), 2);
}

#[test]
fn text_columns_and_missing_values_are_parsed_as_in_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let run = mixed_run(folder.path());
    let table = folder.path().join("rows.csv");
    std::fs::write(&table, "color,size\n\"green, dark\",4\nred,\nblue,7.5\n").unwrap();
    let expected = predicted(&run, &[&table]);
    let server = Server::start(&run.join("model.pt"), &[]);
    let mut connection = server.connect();
    let csv = [("Content-Type", "text/csv")];
    let answer = connection.ask("POST", "/v1/predict", &csv, &std::fs::read(&table).unwrap()).granted();
    assert_same(&answer["results"], &expected);
    let listed = json!({ "inputs": [[4, "green, dark"], [null, "red"], [7.5, "blue"]] });
    assert_same(&connection.post("/v1/predict", &listed).granted()["results"], &expected);
    let named = json!({ "inputs": [{ "color": "green, dark", "size": 4 }, { "color": "red" }, { "size": 7.5, "color": "blue" }] });
    assert_same(&connection.post("/v1/predict", &named).granted()["results"], &expected);

    for (row, problem) in [
        (json!(["x", "red"]), "column 1 (size): `x` is not a number"),
        (json!([1]), "the row has 1 value(s), but the model takes 2"),
        (json!({ "weight": 1 }), "the row has no column `size`, but the unknown column `weight`"),
    ] {
        let reply = connection.post("/v1/predict", &json!({ "inputs": [[1, "red"], row] }));
        let said = reply.refused(422);
        assert!(said.starts_with("row 2: ") && said.contains(problem), "{said}");
        assert_eq!(reply.json()["error"]["inputs"][0]["input"], "row 2");
    }
    let columns = connection.get("/v1/models").granted()["models"][0]["input"]["columns"].clone();
    assert_eq!((&columns[0]["name"], &columns[1]["categories"][1]), (&json!("size"), &json!("green, dark")));

    let table = "Good,COLOR ,id,Size\n,blue,3,7.5\n,pink,4,1\n";
    let results = connection.ask("POST", "/v1/predict", &csv, table.as_bytes()).granted()["results"].clone();
    let blue = &expected[2];
    assert_same(&json!([results[0]]), std::slice::from_ref(blue));
    assert_eq!((&results[0]["unknown"], &results[1]["unknown"]), (&json!(null), &json!({ "color": "pink" })));
    let named = json!({ "inputs": [{ "Color": "blue", "SIZE": 7.5, "id": 3, "good": "no" }, { "size": 1, "color": "pink" }] });
    assert_eq!(connection.post("/v1/predict", &named).granted()["results"], results);
    let lacking = connection.ask("POST", "/v1/predict", &csv, b"id,size\n3,7.5\n");
    assert!(lacking.refused(422).contains("the header has no column `color`"));

    let server = Server::start(&run.join("model.pt"), &["--unknown", "error"]);
    let refused = server.connect().post("/v1/predict", &json!({ "inputs": [[1, "pink"]] }));
    let said = refused.refused(422);
    assert!(
        said.contains("column 2 (color): unknown category `pink` in this column; known categories are"),
        "{said}"
    );
}

#[test]
fn every_route_says_what_it_is_for() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits_run(folder.path(), &["--epochs", "1"]);
    let server = Server::start(&run, &[]);
    let mut connection = server.connect();

    assert_eq!(connection.get("/healthz").granted(), json!({ "status": "ok" }));
    let models = connection.get("/v1/models").granted();
    let model = &models["models"][0];
    assert_eq!((&model["name"], &model["input"]["shape"]), (&json!("run"), &json!([1, 8, 8])));
    assert_eq!(model["classes"].as_array().unwrap().len(), 10);
    assert!(model["metrics"]["held_out"]["accuracy"].as_f64().unwrap() > 0.1, "{model}");

    let explained = connection.post("/v1/explain?class=3", &json!({ "inputs": digits(1) })).granted();
    assert_eq!((&explained["class"], &explained["shape"]), (&json!("3"), &json!([8, 8])));
    assert_eq!(explained["values"].as_array().unwrap().len(), 64);
    let best = connection.post("/v1/predict?top_k=1", &json!({ "inputs": digits(1) })).granted();
    let explained = connection.post("/v1/explain", &json!({ "inputs": digits(1) })).granted();
    assert_eq!(explained["class"], best["results"][0]["predictions"][0]["class"]);

    let page = connection.get("/");
    let policy = page.header("content-security-policy").unwrap();
    let (within, _) = policy.split_once("; frame-ancestors").unwrap();
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(page.text().contains("<!DOCTYPE html>"));
    assert!(
        page.text().contains(&format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{within}\">"))
    );
    let models = connection.get("/v1/models");
    assert_eq!(models.header("content-security-policy"), Some("default-src 'none'; frame-ancestors 'none'"));
    let document = connection.get("/openapi.json").granted();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(connection.get("/v1/models").status, 200);
    let text = connection.get("/metrics").text();
    for expected in [
        "cresset_requests_total{route=\"/v1/explain\",status=\"200\"} 2\n",
        "cresset_request_seconds_bucket{route=\"/v1/predict\",le=\"+Inf\"} 1\n",
        "cresset_batch_rows_count",
        "cresset_queue_rows 0\n",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
    connection.get("/nowhere").refused(404);
    let wrong = connection.get("/v1/predict");
    wrong.refused(405);
    assert_eq!(wrong.header("allow"), Some("POST"));
    connection.post("/v1/models", &json!({})).refused(405);
}

#[test]
fn a_package_is_served_like_its_model_and_explained_by_occlusion() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits_run(folder.path(), &["--epochs", "1"]);
    let package = folder.path().join("mine.pt2");
    succeed(["export", text(&run), "--output", text(&package)]);
    let (server, other) = (Server::start(&run, &[]), Server::start(&package, &[]));
    let (mut connection, mut of_package) = (server.connect(), other.connect());
    let inputs = json!({ "inputs": digits(3) });
    let expected = connection.post("/v1/predict?top_k=2", &inputs).granted();
    let found = of_package.post("/v1/predict?top_k=2", &inputs).granted();
    for (a, b) in expected["results"].as_array().unwrap().iter().zip(found["results"].as_array().unwrap()) {
        let best = |of: &Value| {
            (of["predictions"][0]["class"].clone(), of["predictions"][0]["probability"].as_f64().unwrap())
        };
        let ((class, probability), (other, near)) = (best(a), best(b));
        assert!(class == other && (probability - near).abs() < 1e-5, "{a} {b}");
    }
    let explained = of_package.post("/v1/explain", &json!({ "inputs": digits(1) })).granted();
    assert_eq!((&explained["method"], &explained["shape"]), (&json!("occlusion"), &json!([8, 8])));
}

#[test]
fn a_file_is_uploaded_with_a_form() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mixed_run(folder.path()), &[]);
    let mut connection = server.connect();
    let of_form = [("Content-Type", FORM)];
    let reply = connection
        .ask("POST", "/v1/predict", &of_form, &form("rows.csv", b"size,color\n3,red\n4,blue\n"))
        .granted();
    let plain = connection.post("/v1/predict", &json!({ "inputs": [[3, "red"], [4, "blue"]] })).granted();
    assert_eq!(reply["results"], plain["results"]);
    let said = connection
        .ask("POST", "/v1/predict", &of_form, &form("rows.csv", b"size,color\nx,red\n"))
        .refused(422);
    assert!(said.contains("line 2"), "{said}");
    let two = [form("a.csv", b"1,red\n"), form("b.csv", b"1,red\n")];
    let two = [two[0].split_at(two[0].len() - 46).0, &two[1]].concat();
    let said = connection.ask("POST", "/v1/predict", &of_form, &two).refused(422);
    assert!(said.contains("one file, but it has 2"), "{said}");
    let said = connection.ask("POST", "/v1/predict", &of_form, b"nothing").refused(400);
    assert!(said.contains("the form cannot be read"), "{said}");
}
