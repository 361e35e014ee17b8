//! `cresset serve` asked by Schemathesis, which makes sound and unsound requests of the OpenAPI document: `make test`.

use std::path::Path;
use std::process::Command;

use crate::support::server::Server;
use crate::support::targets::{clicks_run, prices_run, tags_run};
use crate::support::{self, succeed, text};

/// The variable that names the program.
const PROGRAM: &str = "CRESSET_SCHEMATHESIS";

/// Asks a server of a model trained with these options.
fn ask(folder: &Path, options: &[&str], examples: &str) {
    let run = folder.join("run");
    succeed(["train", "--device", "cpu", "--out", text(&run)].iter().chain(options));
    ask_server_of(&run, folder, examples, "/v1/predict");
}

/// Asks a server of a run. The answers must be as the document says, none a fault of the server, and some of `route` a success.
fn ask_server_of(run: &Path, folder: &Path, examples: &str, route: &str) {
    let server = Server::start(run, &[]);
    let program = std::env::var(PROGRAM).unwrap_or_else(|_| panic!("{PROGRAM} names schemathesis"));
    let output = Command::new(program)
        .args(["run", &format!("http://127.0.0.1:{}/openapi.json", server.port)])
        .args(["--phases", "coverage,fuzzing", "--max-examples", examples, "--seed", "1"])
        .args(["--continue-on-failure", "--no-color", "--suppress-health-check", "all"])
        // What is a sound table or image, no schema can say.
        .args(["--exclude-checks", "positive_data_acceptance,negative_data_rejection"])
        .current_dir(folder)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", support::stderr(&output));
    let metrics = server.connect().get("/metrics").text();
    let is_fault = |line: &&str| line.starts_with("cresset_requests_total") && line.contains("status=\"5");
    assert_eq!(metrics.lines().find(is_fault), None);
    assert!(metrics.contains(&format!("route=\"{route}\",status=\"200\"")), "{metrics}");
}

#[test]
#[ignore = "needs Schemathesis: make test"]
fn every_response_for_a_table_matches_the_openapi_document() {
    let folder = tempfile::tempdir().unwrap();
    ask(folder.path(), &["--data", "iris", "--epochs", "20"], "20");
}

#[test]
#[ignore = "needs Schemathesis: make test"]
fn every_response_for_images_matches_the_openapi_document() {
    let folder = tempfile::tempdir().unwrap();
    ask(folder.path(), &["--epochs", "1"], "3");
}

#[test]
#[ignore = "needs Schemathesis: make test"]
fn every_response_with_labels_or_numbers_matches_the_openapi_document() {
    for train in [tags_run, prices_run] {
        let folder = tempfile::tempdir().unwrap();
        ask_server_of(&train(folder.path()), folder.path(), "10", "/v1/predict");
    }
}

#[test]
#[ignore = "needs Schemathesis: make test"]
fn every_response_with_recommendations_matches_the_openapi_document() {
    let folder = tempfile::tempdir().unwrap();
    ask_server_of(&clicks_run(folder.path()), folder.path(), "20", "/v1/recommend");
}
