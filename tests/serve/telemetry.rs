//! Traces and metrics for OpenTelemetry, received by a collector of the tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::collector::{Collector, Message};
use crate::support::server::Server;
use crate::support::{cresset, root, stderr, text, train_once};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A model of the digits.
fn model(folder: &Path) -> PathBuf {
    let run = folder.join("run");
    train_once(&run, &["--threads", "1", "--device", "cpu"]);
    run.join("model.pt")
}

/// The command that serves a model, without variables of OpenTelemetry but these. Messages are sent every 50 ms.
fn serving(model: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = cresset();
    command.args(["serve", text(model), "--port", "0", "--threads", "1", "--device", "cpu"]);
    let own = std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("OTEL_"));
    own.for_each(|name| {
        command.env_remove(name);
    });
    command.env("OTEL_BSP_SCHEDULE_DELAY", "50").envs(variables.iter().copied());
    command
}

/// The attributes of a span or a data point.
fn attributes(of: &Value) -> BTreeMap<String, String> {
    let value =
        |value: &Value| value.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_string();
    let pairs = of["attributes"].as_array().unwrap().iter();
    pairs.map(|pair| (pair["key"].as_str().unwrap().to_string(), value(&pair["value"]))).collect()
}

fn row() -> Value {
    json!({ "inputs": [vec![0.; 64]] })
}

/// Sends one of each kind of request: a prediction with a caller's trace, a path that is unknown, a malformed body.
fn ask(server: &Server) {
    let body = row().to_string();
    let headers = [("Content-Type", "application/json"), ("traceparent", CALLER)];
    assert_eq!(server.connect().ask("POST", "/v1/predict", &headers, body.as_bytes()).status, 200);
    assert_eq!(server.connect().get("/nowhere").status, 404);
    assert_eq!(server.connect().post("/v1/predict", &json!({ "inputs": "none" })).status, 422);
}

/// The data points of a metric in the last message, by name.
fn points(messages: &[Message], name: &str) -> Vec<Value> {
    let last = messages.iter().rfind(|message| message.path == "/v1/metrics").expect("metrics were sent");
    let metrics = last.body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap();
    let metric = metrics.iter().find(|metric| metric["name"] == name).expect("the metric");
    let kind = ["sum", "gauge", "histogram"].into_iter().find(|kind| metric[*kind].is_object()).unwrap();
    metric[kind]["dataPoints"].as_array().unwrap().clone()
}

#[test]
fn requests_are_traced_with_their_parts_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
        ("OTEL_SERVICE_NAME", "digits".to_string()),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test".to_string()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret%201".to_string()),
    ];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let begun = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let server = Server::of(&mut serving(&model(folder.path()), &variables));
    ask(&server);
    let spans = collector.spans(6);
    let named = |name: &str| spans.iter().filter(|span| span["name"] == name).collect::<Vec<_>>();
    let [predicted, malformed] = named("POST /v1/predict")[..] else { panic!("two requests: {spans:#?}") };
    let [unknown] = named("GET")[..] else { panic!("a request without a route: {spans:#?}") };

    assert_eq!(predicted["traceId"], CALLER[3..35]);
    assert_eq!(predicted["parentSpanId"], CALLER[36..52]);
    assert_eq!(predicted["kind"], 2, "SPAN_KIND_SERVER");
    let expected = [
        ("http.request.method", "POST"),
        ("http.response.status_code", "200"),
        ("http.route", "/v1/predict"),
        ("url.scheme", "http"),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(name, value)| (name.to_string(), value.to_string())).into();
    assert_eq!(attributes(predicted), expected);
    assert_eq!(attributes(malformed)["http.response.status_code"], "422");
    assert!(malformed.get("parentSpanId").is_none() && malformed["status"] == json!({}));
    assert_eq!(attributes(unknown)["http.response.status_code"], "404");
    let ids: std::collections::BTreeSet<_> =
        spans.iter().map(|span| span["spanId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), spans.len());
    assert_ne!(malformed["traceId"], unknown["traceId"]);

    let time = |span: &Value, name: &str| span[name].as_str().unwrap().parse::<u128>().unwrap();
    let mut before = time(predicted, "startTimeUnixNano");
    assert!(before >= begun);
    for name in ["read", "queue", "model"] {
        let [part] = named(name)[..] else { panic!("one {name}: {spans:#?}") };
        assert_eq!((&part["traceId"], &part["parentSpanId"]), (&predicted["traceId"], &predicted["spanId"]));
        let (start, end) = (time(part, "startTimeUnixNano"), time(part, "endTimeUnixNano"));
        assert!(
            before <= start && start <= end && end <= time(predicted, "endTimeUnixNano"),
            "{name}: {spans:#?}"
        );
        before = end;
    }
    assert_eq!(attributes(named("model")[0])["cresset.batch.rows"], "1");

    // Metrics are sent at the end at the latest.
    server.signal("-TERM");
    assert!(server.end().status.success());
    let messages = collector.messages();
    for message in &messages {
        let kind = if message.path == "/v1/traces" { "resourceSpans" } else { "resourceMetrics" };
        let resource = attributes(&message.body[kind][0]["resource"]);
        assert_eq!(
            (resource["service.name"].as_str(), resource["deployment.environment.name"].as_str()),
            ("digits", "test")
        );
        assert!(message.headers.contains(&("api-key".to_string(), "secret 1".to_string())));
        assert!(message.headers.contains(&("content-type".to_string(), "application/json".to_string())));
    }
    let requests: BTreeMap<_, _> = points(&messages, "cresset.requests")
        .iter()
        .map(|point| {
            let of = attributes(point);
            ((of["http.route"].clone(), of["http.response.status_code"].clone()), point["asInt"].clone())
        })
        .collect();
    let count = |route: &str, status: &str| requests[&(route.to_string(), status.to_string())].clone();
    assert_eq!(
        (count("/v1/predict", "200"), count("/v1/predict", "422"), count("other", "404")),
        ("1".into(), "1".into(), "1".into())
    );
    let [latency, ..] = &points(&messages, "cresset.request.duration")[..] else { panic!("no latency") };
    assert_eq!(attributes(latency)["http.route"], "/v1/predict");
    let buckets: Vec<u64> = latency["bucketCounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|count| count.as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(latency["count"], "2");
    assert_eq!(
        (buckets.iter().sum::<u64>(), buckets.len()),
        (2, latency["explicitBounds"].as_array().unwrap().len() + 1)
    );
    assert_eq!(points(&messages, "cresset.queue.rows")[0]["asInt"], "0");
}

#[test]
fn a_collector_that_is_away_gets_the_spans_later_and_delays_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    collector.fail(&[503, 503, 503]);
    let endpoint = collector.endpoint();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_METRICS_EXPORTER", "none")];
    let server = Server::of(&mut serving(&model(folder.path()), &variables));
    ask(&server);
    assert_eq!(collector.spans(6).len(), 6, "each span once");
    server.signal("-TERM");
    let output = server.end();
    assert!(output.status.success());
    assert_eq!(stderr(&output).matches("answered HTTP 503").count(), 1, "{}", stderr(&output));
    assert!(collector.messages().iter().all(|message| message.path == "/v1/traces"));

    // Nobody listens at this port.
    let server = Server::of(&mut serving(
        &model(folder.path()),
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")],
    ));
    let begun = Instant::now();
    (0..20).for_each(|_| ask(&server));
    server.signal("-TERM");
    assert!(server.end().status.success());
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn the_sampler_of_the_caller_and_the_variables_decide() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
    ];
    let server = Server::of(&mut serving(&model(folder.path()), &variables));
    ask(&server);
    server.signal("-TERM");
    assert!(server.end().status.success());
    let names: Vec<_> =
        collector.spans(4).iter().map(|span| span["name"].as_str().unwrap().to_string()).collect();
    assert_eq!(
        names,
        ["POST /v1/predict", "read", "queue", "model"],
        "only the request whose caller records"
    );
}

#[test]
fn it_is_off_without_an_endpoint_and_invalid_variables_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let server = Server::of(&mut serving(&model, &[("OTEL_SERVICE_NAME", "digits")]));
    ask(&server);
    server.signal("-TERM");
    let output = server.end();
    assert!(output.status.success() && !stderr(&output).contains("WARN"), "{}", stderr(&output));
    for (name, value) in [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_TRACES_SAMPLER", "sometimes")] {
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), (name, value)];
        let output = serving(&model, &variables).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(
            stderr(&output).contains(&format!("{name}: `{value}` is not supported")),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
#[ignore = "needs Python packages: make test-python"]
fn the_messages_are_those_of_opentelemetry_proto() {
    let python =
        std::env::var_os("CRESSET_PYTHON_MLFLOW").expect("`make test-python` sets CRESSET_PYTHON_MLFLOW");
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    let server =
        Server::of(&mut serving(&model(folder.path()), &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]));
    ask(&server);
    server.signal("-TERM");
    assert!(server.end().status.success());
    let messages: Vec<_> =
        collector.messages().iter().map(|message| json!([message.path, message.body])).collect();
    let file = folder.path().join("messages.json");
    std::fs::write(&file, Value::from(messages).to_string()).unwrap();
    let script = root().join("tests/serve/read_otlp.py");
    let output = Command::new(python).arg(script).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}
