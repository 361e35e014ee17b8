//! Corrections.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cresset::feedback::{self, CorrectedInput};
use serde_json::{Value, json};

use crate::fixtures::{digits, digits_run};
use crate::support::http::{FORM, form};
use crate::support::server::Server;
use crate::support::{run, stderr, text};

fn correction(of: Value, correction: &str, sha256: &Value) -> Value {
    let mut body = json!({ "answer": { "class": "1", "probability": 0.75 }, "correction": correction, "model_sha256": sha256 });
    of.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
    body
}

#[test]
fn a_correction_is_stored_with_its_input_and_survives_a_killed_server() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits_run(folder.path(), &["--epochs", "1"]);
    let server = Server::start(&run, &[]);
    let mut connection = server.connect();
    let sha256 = connection.get("/v1/models").granted()["models"][0]["sha256"].clone();
    let mut png = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(9, 9).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();

    let with_image =
        correction(json!({ "image": STANDARD.encode(&png), "model_version": "v2" }), "7", &sha256);
    let kept = connection.post("/v1/feedback", &with_image).granted();
    let with_values = correction(json!({ "values": digits(1)[0] }), "3", &sha256);
    assert_eq!(connection.post("/v1/feedback", &with_values).granted()["corrections"], 2);
    // Nothing is waited for: an answer of 200 is enough.
    server.signal("-KILL");
    server.end();

    let set = feedback::read(&run.join("feedback")).unwrap();
    assert_eq!((set.corrections.len(), set.notes.len()), (2, 0));
    let first = &set.corrections[0];
    assert_eq!(
        (kept["id"].as_str(), kept["time"].as_str()),
        (Some(first.id.as_str()), Some(first.time.as_str()))
    );
    assert_eq!(
        (first.correction.as_str(), first.answer.class.as_str(), first.answer.probability),
        ("7", "1", 0.75)
    );
    assert_eq!(
        (first.model_version.as_deref(), Some(first.model_sha256.as_str())),
        (Some("v2"), sha256.as_str())
    );
    let image = first.input.image_path(&run.join("feedback")).unwrap();
    assert_eq!(std::fs::read(&image).unwrap(), png);
    assert_eq!(first.input, CorrectedInput::Image(format!("inputs/{}.png", first.id)));
    let values: Vec<f32> = digits(1)[0].iter().map(|value| *value as f32).collect();
    assert_eq!(set.corrections[1].input, CorrectedInput::Values(values));

    // A new server goes on with the set.
    let server = Server::start(&run, &[]);
    assert_eq!(server.connect().post("/v1/feedback", &with_values).granted()["corrections"], 3);
}

#[test]
fn invalid_corrections_are_rejected_and_not_stored() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits_run(folder.path(), &["--epochs", "1"]);
    let set = folder.path().join("elsewhere");
    let server = Server::start(&run, &["--feedback", text(&set)]);
    let mut connection = server.connect();
    let sha256 = json!("00".repeat(32));
    let good = correction(json!({ "values": digits(1)[0] }), "3", &sha256);
    let changes: [(&str, Value); 9] = [
        ("correction", json!("ten")),
        ("answer", json!({ "class": "ten", "probability": 0.5 })),
        ("answer", json!({ "class": "1", "probability": 1.5 })),
        ("model_sha256", json!("../../x")),
        ("values", json!([1, 2])),
        ("values", Value::Null),
        ("image", json!("AAAA")),
        ("model_version", json!("v".repeat(1000))),
        ("more", json!(1)),
    ];
    for (name, value) in changes {
        let mut body = good.clone();
        body[name] = value;
        let said = connection.post("/v1/feedback", &body).refused(422);
        assert!(!set.exists(), "{name}: {said}");
    }
    connection.ask("POST", "/v1/feedback", &[("Content-Type", "text/csv")], b"1").refused(415);
    assert_eq!(connection.post("/v1/feedback", &good).granted()["corrections"], 1);
    assert!(set.join("feedback.jsonl").is_file() && !run.join("feedback").exists());
}

#[test]
fn a_feedback_set_that_cannot_be_written_is_an_error_response() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits_run(folder.path(), &["--epochs", "1"]);
    let set = folder.path().join("set");
    let server = Server::start(&run, &["--feedback", text(&set)]);
    // A file in the place of the folder.
    std::fs::write(&set, "").unwrap();
    let body = correction(json!({ "values": digits(1)[0] }), "3", &json!("00".repeat(32)));
    let said = server.connect().post("/v1/feedback", &body).refused(500);
    assert!(said.contains("could not be written"), "{said}");
}

#[test]
fn predictions_are_recorded_only_if_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let run_folder = digits_run(folder.path(), &["--epochs", "1"]);
    let record = folder.path().join("record");
    let server = Server::start(&run_folder, &["--record", text(&record)]);
    let mut connection = server.connect();
    let sent = json!({ "inputs": digits(2) });
    let rows = connection.post("/v1/predict", &sent).granted();
    let png = digit_png();
    let image = connection.ask("POST", "/v1/predict", &[("Content-Type", "image/png")], &png).granted();
    // A rejected request is no prediction.
    connection.post("/v1/predict", &json!({ "inputs": [[1, 2]] })).refused(422);

    let lines = std::fs::read_to_string(record.join("predictions.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    for (line, reply) in lines.iter().zip([&rows, &image]) {
        for name in ["id", "model_sha256", "results"] {
            assert_eq!(line[name], reply[name], "{name}");
        }
        assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
    }
    assert_eq!(serde_json::from_str::<Value>(lines[0]["body"].as_str().unwrap()).unwrap(), sent);
    assert_eq!((&lines[1]["content_type"], &lines[1]["body"]), (&json!("image/png"), &Value::Null));
    assert_eq!(std::fs::read(record.join(lines[1]["file"].as_str().unwrap())).unwrap(), png);

    let without = Server::start(&run_folder, &[]);
    let before = std::fs::read_dir(&run_folder).unwrap().count();
    without.connect().post("/v1/predict", &sent).granted();
    assert_eq!(std::fs::read_dir(&run_folder).unwrap().count(), before);
    // A file in the place of the folder shows at the start.
    let refused =
        run(["serve", text(&run_folder), "--port", "0", "--record", text(&run_folder.join("model.pt"))]);
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("cannot create the folder"), "{}", stderr(&refused));
}

/// A gray image of 8×8 pixels, PNG.
fn digit_png() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::GrayImage::from_fn(8, 8, |x, y| image::Luma([(x * y * 4) as u8]))
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

#[test]
fn a_correction_names_a_prediction_by_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits_run(folder.path(), &["--epochs", "1"]);
    let server = Server::start(&run, &[]);
    let mut connection = server.connect();
    let rows = connection.post("/v1/predict", &json!({ "inputs": digits(3) })).granted();
    let second = json!({ "id": rows["id"], "row": 2, "correction": "7", "model_version": "v2" });
    assert_eq!(connection.post("/v1/feedback", &second).granted()["corrections"], 1);
    let mut png = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(9, 9).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();
    // As `curl -F file=@a.png` sends it.
    let image =
        connection.ask("POST", "/v1/predict", &[("Content-Type", FORM)], &form("a.png", &png)).granted();
    connection.post("/v1/feedback", &json!({ "id": image["id"], "correction": "3" })).granted();

    for (body, status, says) in [
        (json!({ "id": rows["id"], "correction": "7" }), 422, "`row` must be from 1 to 3"),
        (json!({ "id": rows["id"], "row": 4, "correction": "7" }), 422, "`row` must be from 1 to 3"),
        (json!({ "id": rows["id"], "row": 1, "correction": "ten" }), 422, "the model has no class `ten`"),
        (json!({ "id": rows["id"], "row": 1 }), 422, "missing: `correction`"),
        (json!({ "id": "none", "correction": "7" }), 404, "no prediction with this `id`"),
        (json!({ "id": image["id"], "correction": "7", "values": digits(1)[0] }), 422, "leave out `values`"),
        (
            json!({ "correction": "7" }),
            422,
            "missing: `image` or `values`, `answer`, `model_sha256`; or send `id`",
        ),
    ] {
        let said = connection.post("/v1/feedback", &body).refused(status);
        assert!(said.contains(says), "{body}: {said}");
    }

    let set = feedback::read(&run.join("feedback")).unwrap();
    let [first, second] = &set.corrections[..] else { panic!("{set:?}") };
    let best = &rows["results"][1]["predictions"][0];
    assert_eq!(
        (json!(first.answer.class), json!(first.answer.probability)),
        (best["class"].clone(), best["probability"].clone())
    );
    assert_eq!((first.correction.as_str(), first.model_version.as_deref()), ("7", Some("v2")));
    assert_eq!(json!(first.model_sha256), rows["model_sha256"]);
    let values: Vec<f32> = digits(2)[1].iter().map(|value| *value as f32).collect();
    assert_eq!(first.input, CorrectedInput::Values(values));
    assert_eq!(std::fs::read(second.input.image_path(&run.join("feedback")).unwrap()).unwrap(), png);
}
