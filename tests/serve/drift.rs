//! Drift of served inputs: metrics, the route of the playground, and the file.

use serde_json::json;

use crate::fixtures::{digits, digits_run};
use crate::support::server::Server;
use crate::support::{run, stderr, succeed, text};

/// The value of a metric.
fn metric(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in\n{metrics}")).parse().unwrap()
}

#[test]
fn served_inputs_are_compared_with_the_training_data_in_metrics_and_file_and_report() {
    let folder = tempfile::tempdir().unwrap();
    let run_folder = digits_run(folder.path(), &["--epochs", "3"]);
    let file = folder.path().join("served.json");
    let server = Server::start(&run_folder, &["--drift", text(&file), "--workers", "2"]);
    let mut connection = server.connect();
    let metrics = connection.get("/metrics").text();
    assert_eq!(metric(&metrics, "cresset_drift_inputs"), 0.);
    assert_eq!(metric(&metrics, "cresset_drift_psi{column=\"brightness\"}"), 0.);

    let same = digits(600);
    for part in same.chunks(100) {
        connection.post("/v1/predict", &json!({ "inputs": part })).granted();
    }
    let metrics = connection.get("/metrics").text();
    assert_eq!(metric(&metrics, "cresset_drift_inputs"), 600.);
    for name in ["cresset_drift_psi{column=\"brightness\"}", "cresset_drift_predictions_psi"] {
        let psi = metric(&metrics, name);
        assert!((0. ..0.1).contains(&psi), "{name} {psi}");
    }

    let negative: Vec<Vec<f64>> =
        same.iter().map(|digit| digit.iter().map(|value| 16. - value).collect()).collect();
    for part in negative.chunks(100) {
        connection.post("/v1/predict", &json!({ "inputs": part })).granted();
    }
    let metrics = connection.get("/metrics").text();
    assert_eq!(metric(&metrics, "cresset_drift_inputs"), 1200.);
    assert!(metric(&metrics, "cresset_drift_psi{column=\"brightness\"}") > 0.25, "{metrics}");
    assert!(metric(&metrics, "cresset_drift_confidence_psi") > 0., "{metrics}");
    let drift = &connection.get("/v1/drift").granted()["drift"];
    assert_eq!(drift["rows"], 1200);

    server.signal("-TERM");
    let output = server.end();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let written: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(&written, drift);

    succeed(["report", text(&run_folder), "--device", "cpu", "--served", text(&file)]);
    let html = std::fs::read_to_string(run_folder.join("report.html")).unwrap();
    for shown in ["<h2>Served inputs</h2>", "1200 served inputs", "image brightness", "confidence"] {
        assert!(html.contains(shown), "{shown}");
    }
    // The file of another model, and one of another kind.
    std::fs::write(&file, written.to_string().replace(written["data_sha256"].as_str().unwrap(), "00"))
        .unwrap();
    for (path, problem) in [(&file, "another model"), (&run_folder.join("split.csv"), "not a JSON file")] {
        let output = run(["report", text(&run_folder), "--device", "cpu", "--served", text(path)]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(problem), "{}", stderr(&output));
    }
}
