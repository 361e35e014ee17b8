//! `cresset serve` under load, compared with the same model behind FastAPI and uvicorn: `make bench-more`.
//!
//! wrk (Debian: apt install wrk) keeps 64 connections busy with requests of one row each. The servers run on the same machine
//! with one compute thread each, and take turns, so the ratios mean more than the absolute values. Before that, another client
//! sends all digits over many connections, while wrk keeps the server busy, and compares each response with the output of
//! `cresset predict`. Without CRESSET_PYTHON and CRESSET_PYTHON_SERVE, the peer is skipped.

#[path = "../tests/support/http.rs"]
#[allow(dead_code, reason = "only the tests use all of it")]
mod http;
mod support;

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cresset::predict::Classifier;
use http::Connection;
use serde_json::json;
use support::{ratio, seconds, spread};
use tch::{Device, Kind, Tensor};

const ROUNDS: usize = 7;
const CONNECTIONS: usize = 64;
const SECONDS: &str = "4s";
const CHECKING: usize = 16;

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/peers");

fn main() {
    support::enter_checkout();
    tch::set_num_threads(1);
    let folder = tempfile::tempdir().expect("a folder");
    let rows = digits();
    let bodies = folder.path().join("bodies");
    std::fs::write(&bodies, rows.iter().map(|row| body(row) + "\n").collect::<String>()).expect("a file");
    println!(
        "median (min–max) of {ROUNDS} rounds of {SECONDS}, {CONNECTIONS} connections; ratio = cresset / FastAPI\n"
    );
    println!("| | requests/s | FastAPI | ratio | p99, ms | FastAPI | ratio |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (name, options) in [("mlp", &[][..]), ("cnn", &["--config", "recipes/cnn.toml", "--epochs", "3"])] {
        compare(name, &trained(folder.path(), name, options), &rows, &bodies);
    }
}

/// The rows of the digits without their labels.
fn digits() -> Vec<Vec<f32>> {
    let text = std::fs::read_to_string("data/digits.csv").expect("`make data` fetches the digits");
    let row = |line: &str| line.split(',').take(64).map(|cell| cell.parse().expect("a number")).collect();
    text.lines().map(row).collect()
}

fn body(row: &[f32]) -> String {
    json!({ "inputs": [row] }).to_string()
}

fn trained(folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let run = folder.join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
    seconds(command.args(["train", "--device", "cpu"]).args(options).arg("--out").arg(&run));
    run.join("model.pt")
}

/// A server process, which is killed on drop.
struct Served {
    process: Child,
    port: u16,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn ours(model: &Path) -> Served {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
    command.arg("serve").arg(model).args(["--port", "0", "--threads", "1", "--device", "cpu"]);
    let mut process = command.stdout(Stdio::piped()).spawn().expect("cresset can be started");
    let mut line = String::new();
    BufReader::new(process.stdout.as_mut().expect("piped")).read_line(&mut line).expect("a line");
    let port = line.trim_end().trim_end_matches('/').rsplit(':').next().expect("a port");
    Served { port: port.parse().expect("a number"), process }
}

/// Starts FastAPI in the Python that has torch, with FastAPI's packages added to its path.
fn theirs(model: &Path) -> Option<Served> {
    let (torch, packages) =
        (std::env::var("CRESSET_PYTHON").ok()?, std::env::var("CRESSET_PYTHON_SERVE").ok()?);
    let (_, place) =
        seconds(Command::new(packages).args(["-c", "import site; print(site.getsitepackages()[0])"]));
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let mut command = Command::new(torch);
    command.arg(format!("{PEERS}/serve_fastapi.py")).arg(model).arg(port.to_string());
    let process = command.env("PYTHONPATH", place.trim()).spawn().expect("Python starts");
    let mut served = Served { process, port };
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(served.process.try_wait().expect("a process").is_none(), "FastAPI failed to start");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(served)
}

fn compare(name: &str, model: &Path, rows: &[Vec<f32>], bodies: &Path) {
    let servers: Vec<_> = [Some(ours(model)), theirs(model)].into_iter().flatten().collect();
    let expected = expected(model, rows);
    for server in &servers {
        let mut load =
            wrk(server.port, bodies).stdout(Stdio::null()).spawn().expect("wrk starts (apt install wrk)");
        check(server.port, rows, &expected);
        load.wait().expect("wrk ends");
    }
    let mut figures = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for _ in 0..ROUNDS {
        for (server, [speeds, latencies]) in servers.iter().zip(&mut figures) {
            let (speed, latency) = loaded(server.port, bodies);
            speeds.push(speed);
            latencies.push(latency);
        }
    }
    let [[our_speeds, our_latencies], [speeds, latencies]] = &figures;
    if speeds.is_empty() {
        return println!("| {name} | {} | | | {} | | |", spread(our_speeds, 0), spread(our_latencies, 2));
    }
    println!(
        "| {name} | {} | {} | {:.2} | {} | {} | {:.2} |",
        spread(our_speeds, 0),
        spread(speeds, 0),
        ratio(our_speeds, speeds),
        spread(our_latencies, 2),
        spread(latencies, 2),
        ratio(our_latencies, latencies),
    );
}

/// The class of each row and its probability, computed one row at a time.
fn expected(model: &Path, rows: &[Vec<f32>]) -> Vec<(String, f64)> {
    let classifier = Classifier::load_on(model, Device::Cpu).expect("the model loads");
    let of = |row: &Vec<f32>| {
        let probabilities = classifier
            .logits(&Tensor::from_slice(row).unsqueeze(0))
            .expect("logits")
            .softmax(-1, Kind::Double);
        let (most, class) = probabilities.max_dim(-1, false);
        (class.int64_value(&[0]).to_string(), most.double_value(&[0]))
    };
    rows.iter().map(of).collect()
}

/// Sends every row over one of many connections, and fails unless each response is the expected one. The class names of the
/// digits are their numbers.
fn check(port: u16, rows: &[Vec<f32>], expected: &[(String, f64)]) {
    let part = rows.len().div_ceil(CHECKING);
    std::thread::scope(|scope| {
        for (rows, expected) in rows.chunks(part).zip(expected.chunks(part)) {
            scope.spawn(move || {
                let mut connection = Connection::to(port);
                for (row, (class, probability)) in rows.iter().zip(expected) {
                    let best = connection.post("/v1/predict?top_k=1", &json!({ "inputs": [row] })).granted()
                        ["results"][0]["predictions"][0]
                        .take();
                    let difference = best["probability"].as_f64().expect("a number") - probability;
                    assert!(difference.abs() < 1e-5 && best["class"] == class.as_str(), "{best}");
                }
            });
        }
    });
}

fn wrk(port: u16, bodies: &Path) -> Command {
    let mut command = Command::new("wrk");
    command.args(["-t", "1", "-c", &CONNECTIONS.to_string(), "-d", SECONDS, "--latency", "-s"]);
    command.arg(format!("{PEERS}/serve.lua")).arg(format!("http://127.0.0.1:{port}/v1/predict?top_k=1"));
    command.arg("--").arg(bodies);
    command
}

/// Requests per second and the 99th percentile of the latency in milliseconds.
fn loaded(port: u16, bodies: &Path) -> (f64, f64) {
    let (_, printed) = seconds(&mut wrk(port, bodies));
    assert!(!printed.contains("Non-2xx") && !printed.contains("Socket errors"), "{printed}");
    let behind = |start: &str| {
        let line = printed.lines().find_map(|line| line.trim().strip_prefix(start));
        line.unwrap_or_else(|| panic!("no line starts with {start} in the output of wrk: {printed}")).trim()
    };
    let latency = behind("99%");
    let unit = [("us", 1e-3), ("ms", 1.), ("s", 1e3)]
        .into_iter()
        .find_map(|(unit, ms)| Some((latency.strip_suffix(unit)?, ms)));
    let (number, ms) = unit.expect("a unit");
    (behind("Requests/sec:").parse().expect("a number"), number.parse::<f64>().expect("a number") * ms)
}
