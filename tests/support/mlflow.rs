//! An MLflow tracking server on this machine that keeps everything it is sent, also doubles, and fails when it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// How the next request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status and not carried out.
    Status(u16),
    /// The connection is closed before it is carried out.
    CutBefore,
    /// It is carried out, and the connection is closed without an answer.
    CutAfter,
}

/// A run that was created.
#[derive(Debug, Clone, Default)]
pub struct StoredRun {
    pub experiment: String,
    pub name: String,
    pub tags: BTreeMap<String, String>,
    pub params: BTreeMap<String, String>,
    /// Name, step and value, in the order of their arrival.
    pub metrics: Vec<(String, u64, f64)>,
    /// The times of the metrics.
    pub times: Vec<u64>,
    /// Contents by name.
    pub artifacts: BTreeMap<String, Vec<u8>>,
    pub status: Vec<String>,
    pub models: Vec<Value>,
}

impl StoredRun {
    /// Steps and values of a metric.
    pub fn metric(&self, name: &str) -> Vec<(u64, f64)> {
        let own = self.metrics.iter().filter(|(own, ..)| own == name);
        own.map(|(_, step, value)| (*step, *value)).collect()
    }
}

/// What the server has, and how it fails.
#[derive(Debug, Default)]
pub struct Store {
    pub experiments: Vec<String>,
    pub runs: Vec<StoredRun>,
    /// How the next requests fail.
    pub faults: VecDeque<Option<Fault>>,
    /// How all others fail.
    pub always: Option<Fault>,
    /// The headers `Authorization` and the methods and paths of all requests.
    pub requests: Vec<(Option<String>, String)>,
    /// Whether artifacts are stored elsewhere.
    pub has_other_artifacts: bool,
}

/// The server. It ends with the test process.
pub struct Mlflow {
    port: u16,
    store: Arc<Mutex<Store>>,
}

impl Mlflow {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, store) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Store::default())));
        let shared = Arc::clone(&store);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let store = Arc::clone(&shared);
                std::thread::spawn(move || while answer(&stream, &store).is_some() {});
            }
        });
        Mlflow { port, store }
    }

    pub fn uri(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Changes what the server has or does.
    pub fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        change(&mut self.store.lock().unwrap())
    }

    /// The only run.
    pub fn run(&self) -> StoredRun {
        self.change(|store| {
            assert_eq!(store.runs.len(), 1, "{:?}", store.runs);
            store.runs[0].clone()
        })
    }
}

/// Reads a request and answers it. None at the end of the connection.
fn answer(stream: &TcpStream, store: &Mutex<Store>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_string());
    }
    let header = |name: &str| {
        let mut found = lines.iter().filter_map(|line| line.split_once(": "));
        found.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_string())
    };
    let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let mut words = lines[0].split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let mut store = store.lock().unwrap();
    store.requests.push((header("authorization"), format!("{method} {target}")));
    let fault = store.faults.pop_front().unwrap_or(store.always);
    let (status, reply) = match fault {
        Some(Fault::CutBefore) => return None,
        Some(Fault::Status(status)) => {
            (status, json!({ "error_code": "INTERNAL_ERROR", "message": "told to fail" }))
        }
        _ => carry_out(&mut store, method, target, &body),
    };
    drop(store);
    if fault == Some(Fault::CutAfter) {
        return None;
    }
    let text = reply.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nContent-Type: application/json\r\n\r\n",
        text.len()
    );
    let mut stream = stream;
    stream.write_all(format!("{head}{text}").as_bytes()).ok()
}

fn carry_out(store: &mut Store, method: &str, target: &str, body: &[u8]) -> (u16, Value) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let parameter = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(own, _)| *own == name).map(|(_, value)| decoded(value)).next().unwrap_or_default()
    };
    if let Some(name) = path.strip_prefix("/api/2.0/mlflow-artifacts/artifacts/0/") {
        assert_eq!(method, "PUT");
        let (run, name) = name.split_once("/artifacts/").expect("an artifact of a run");
        store.runs[index(run)].artifacts.insert(decoded(name), body.to_vec());
        return (200, json!({}));
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let entries = |name: &str| body[name].as_array().cloned().unwrap_or_default();
    let pair = |entry: &Value| {
        (entry["key"].as_str().unwrap().to_string(), entry["value"].as_str().unwrap().to_string())
    };
    match path.strip_prefix("/api/2.0/mlflow/").expect("a method of MLflow") {
        "experiments/get-by-name" => {
            let name = parameter("experiment_name");
            match store.experiments.iter().position(|own| *own == name) {
                Some(id) => (200, json!({ "experiment": { "experiment_id": id.to_string() } })),
                None => (404, json!({ "error_code": "RESOURCE_DOES_NOT_EXIST" })),
            }
        }
        "experiments/create" => {
            store.experiments.push(body["name"].as_str().unwrap().to_string());
            (200, json!({ "experiment_id": (store.experiments.len() - 1).to_string() }))
        }
        "runs/search" => {
            let filter = body["filter"].as_str().unwrap();
            let value = filter.split('\'').nth(1).unwrap();
            let found =
                store.runs.iter().position(|run| run.tags.get("cresset.run").is_some_and(|own| own == value));
            (200, json!({ "runs": found.map(|at| info(at, store)).into_iter().collect::<Vec<_>>() }))
        }
        "runs/create" => {
            let experiment: usize = body["experiment_id"].as_str().unwrap().parse().unwrap();
            store.runs.push(StoredRun {
                experiment: store.experiments[experiment].clone(),
                name: body["run_name"].as_str().unwrap().to_string(),
                tags: entries("tags").iter().map(pair).collect(),
                ..StoredRun::default()
            });
            (200, json!({ "run": info(store.runs.len() - 1, store) }))
        }
        "runs/log-batch" => {
            let run = &mut store.runs[index(body["run_id"].as_str().unwrap())];
            for (name, value) in entries("params").iter().map(pair) {
                if run.params.get(&name).is_some_and(|old| *old != value) {
                    return (
                        400,
                        json!({ "error_code": "INVALID_PARAMETER_VALUE", "message": "a changed parameter" }),
                    );
                }
                run.params.insert(name, value);
            }
            run.tags.extend(entries("tags").iter().map(pair));
            for metric in entries("metrics") {
                let name = metric["key"].as_str().unwrap().to_string();
                run.metrics.push((name, metric["step"].as_u64().unwrap(), metric["value"].as_f64().unwrap()));
                run.times.push(metric["timestamp"].as_u64().unwrap());
            }
            (200, json!({}))
        }
        "metrics/get-history" => {
            let (run, key) = (&store.runs[index(&parameter("run_id"))], parameter("metric_key"));
            let all = run.metrics.iter().zip(&run.times).filter(|((name, ..), _)| *name == key);
            let metric = |((_, step, value), time): (&(String, u64, f64), &u64)| json!({ "key": key, "value": value, "timestamp": time, "step": step.to_string() });
            (200, json!({ "metrics": all.map(metric).collect::<Vec<_>>() }))
        }
        "runs/update" => {
            let run = &mut store.runs[index(body["run_id"].as_str().unwrap())];
            run.status.push(body["status"].as_str().unwrap().to_string());
            (200, json!({}))
        }
        "runs/log-model" => {
            let model = serde_json::from_str(body["model_json"].as_str().unwrap()).unwrap();
            store.runs[index(body["run_id"].as_str().unwrap())].models.push(model);
            (200, json!({}))
        }
        other => panic!("unknown method {other}"),
    }
}

fn info(at: usize, store: &Store) -> Value {
    let artifacts = match store.has_other_artifacts {
        true => "s3://bucket/artifacts".to_string(),
        false => format!("mlflow-artifacts:/0/run-{at}/artifacts"),
    };
    json!({ "info": { "run_id": format!("run-{at}"), "artifact_uri": artifacts } })
}

fn index(run: &str) -> usize {
    run.strip_prefix("run-").and_then(|at| at.parse().ok()).expect("the ID of a run")
}

/// A part of a URL without percent-encoding.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}
