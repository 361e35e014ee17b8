//! Who may ask.

use serde_json::json;

use crate::fixtures::{digits, digits_run};
use crate::support::server::Server;
use crate::support::{cresset, stderr, text};

const TOKEN: &str = "0123456789abcdef0123";

#[test]
fn a_server_for_other_machines_requires_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits_run(folder.path(), &["--epochs", "1"]);
    let serve = || {
        let mut command = cresset();
        command.args(["serve", text(&run), "--port", "0", "--host", "0.0.0.0", "--threads", "1"]);
        command.env_remove("CRESSET_TOKEN");
        command
    };
    let refused = serve().output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("--token-file") && stderr(&refused).contains("CRESSET_TOKEN"),
        "{}",
        stderr(&refused)
    );
    let file = folder.path().join("token");
    std::fs::write(&file, "short\n").unwrap();
    let refused = serve().args(["--token-file", text(&file)]).output().unwrap();
    assert!(stderr(&refused).contains("16 characters"), "{}", stderr(&refused));
    let refused = serve().env("CRESSET_TOKEN", "").output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));

    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let with_file = Server::of(serve().args(["--token-file", text(&file)]));
    let with_variable = Server::of(serve().env("CRESSET_TOKEN", TOKEN));
    for server in [with_file, with_variable] {
        let mut connection = server.connect();
        assert_eq!(connection.get("/healthz").status, 200);
        assert_eq!(connection.get("/").status, 200);
        for path in ["/v1/models", "/metrics", "/openapi.json", "/nowhere"] {
            let reply = connection.get(path);
            reply.refused(401);
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        }
        let body = json!({ "inputs": digits(1) });
        connection.post("/v1/predict", &body).refused(401);
        let wrong = [("Authorization", "Bearer 0123456789abcdef0124"), ("Content-Type", "application/json")];
        connection.ask("POST", "/v1/predict", &wrong, body.to_string().as_bytes()).refused(401);
        let authorization = format!("Bearer {TOKEN}");
        let right = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        connection.ask("POST", "/v1/predict", &right, body.to_string().as_bytes()).granted();
        let document = connection.ask("GET", "/openapi.json", &right[..1], b"").granted();
        assert_eq!(document["security"], json!([{ "token": [] }]));
    }
}

#[test]
fn requests_from_other_web_sites_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&digits_run(folder.path(), &["--epochs", "1"]), &[]);
    let mut connection = server.connect();
    let body = json!({ "inputs": digits(1) }).to_string();
    let own = format!("http://127.0.0.1:{}", server.port);
    for (name, value, status) in [
        ("Host", "evil.example", 403),
        ("Host", "localhost", 200),
        ("Origin", "https://evil.example", 403),
        ("Origin", "null", 403),
        ("Origin", &own, 200),
        ("Sec-Fetch-Site", "cross-site", 403),
    ] {
        let headers = [(name, value), ("Content-Type", "application/json")];
        let reply = connection.ask("POST", "/v1/predict", &headers, body.as_bytes());
        assert_eq!(reply.status, status, "{name}: {value}");
    }
}

#[test]
fn invalid_models_are_reported_at_startup() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits_run(folder.path(), &["--epochs", "1"]);
    let server = Server::start(&run, &[]);
    let port = server.port.to_string();
    let taken = cresset().args(["serve", text(&run), "--port", &port]).output().unwrap();
    assert_eq!(taken.status.code(), Some(2));
    assert!(
        stderr(&taken).contains("cannot listen on 127.0.0.1:") && stderr(&taken).contains("--port"),
        "{}",
        stderr(&taken)
    );
    for absent in ["absent", "absent.pt"] {
        let absent = folder.path().join(absent);
        let refused = cresset().args(["serve", text(&absent), "--port", "0"]).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains("cannot read the model"), "{}", stderr(&refused));
    }
}
