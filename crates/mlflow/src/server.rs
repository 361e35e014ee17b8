//! Requests to the tracking server.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use cresset_data::error::Error as DataError;
use serde_json::{Value, json};
use ureq::http::{Response, StatusCode};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use crate::error::{Error, Result};
use crate::journal::RunRecord;
use crate::settings::Settings;
use crate::state::RemoteRun;

/// Time limits: to connect, and to wait for an answer.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(20);

/// The tag by which a run is found again.
const RUN_TAG: &str = "cresset.run";

/// The scheme of artifacts that the tracking server stores itself.
const SERVED: &str = "mlflow-artifacts:";

/// The largest number of tags or parameters of a request.
const MOST_ENTRIES: usize = 100;

/// A metric's value as the server has it: name, step and time.
pub type Point = (String, u64, u64);

/// A tracking server.
#[derive(Debug)]
pub struct Server {
    agent: Agent,
    settings: Settings,
}

impl Server {
    /// A client; sends nothing yet.
    ///
    /// # Errors
    /// Certificates that cannot be read.
    pub fn new(settings: &Settings) -> Result<Self> {
        let config = Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(ANSWER))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("cresset/", env!("CARGO_PKG_VERSION")));
        let config = match &settings.certificates {
            Some(path) => {
                let pem = std::fs::read(path).map_err(DataError::io("read", path))?;
                let certificates = parse_pem(&pem).filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                });
                config.tls_config(TlsConfig::builder().root_certs(RootCerts::from(certificates)).build())
            }
            None => config,
        };
        Ok(Server { agent: config.build().new_agent(), settings: settings.clone() })
    }

    /// The run of a record: the one that the server has, or a new one.
    pub fn find_or_create_run(&self, run: &RunRecord) -> Result<RemoteRun> {
        let experiment = self.experiment(&run.experiment)?;
        let filter = format!("tags.`{RUN_TAG}` = '{}'", run.id);
        let query = json!({ "experiment_ids": [experiment], "filter": filter, "max_results": 1 });
        let found = self.post("runs/search", &query)?;
        if let Some(run) = remote_run(&found["runs"][0]) {
            return Ok(run);
        }
        let tags = json!([{ "key": RUN_TAG, "value": run.id }]);
        let new = json!({ "experiment_id": experiment, "run_name": run.name, "start_time": run.time, "tags": tags });
        let created = self.post("runs/create", &new)?;
        remote_run(&created["run"]).ok_or_else(|| self.not_mlflow())
    }

    /// The ID of the experiment with this name, which is created if there is none.
    fn experiment(&self, name: &str) -> Result<String> {
        if let Some(id) = self.look_up_experiment(name)? {
            return Ok(id);
        }
        match self.post("experiments/create", &json!({ "name": name })) {
            Ok(created) => {
                created["experiment_id"].as_str().map(str::to_string).ok_or_else(|| self.not_mlflow())
            }
            // Another process may have created it meanwhile.
            Err(Error::Refused(problem)) => self.look_up_experiment(name)?.ok_or(Error::Refused(problem)),
            Err(error) => Err(error),
        }
    }

    fn look_up_experiment(&self, name: &str) -> Result<Option<String>> {
        let request = self.agent.get(self.url("experiments/get-by-name")).query("experiment_name", name);
        let response = self.authorized(request).call().map_err(|error| self.unreachable(&error))?;
        if response.status() == StatusCode::NOT_FOUND {
            let answer = self.read(response)?;
            // A server that is not MLflow has no such code.
            return match answer["error_code"].as_str() {
                Some("RESOURCE_DOES_NOT_EXIST") => Ok(None),
                _ => Err(self.not_mlflow()),
            };
        }
        let answer = self.accepted(response)?;
        let id = answer["experiment"]["experiment_id"].as_str();
        id.map(|id| Some(id.to_string())).ok_or_else(|| self.not_mlflow())
    }

    /// Sends parameters and tags.
    pub fn log_entries(
        &self,
        run: &RemoteRun,
        params: &BTreeMap<String, String>,
        tags: &BTreeMap<String, String>,
    ) -> Result<()> {
        let entries = |of: &BTreeMap<String, String>| {
            of.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect::<Vec<_>>()
        };
        let (params, tags) = (entries(params), entries(tags));
        for start in (0..params.len().max(tags.len())).step_by(MOST_ENTRIES) {
            let part = |of: &[Value]| of.iter().skip(start).take(MOST_ENTRIES).cloned().collect::<Vec<_>>();
            let batch = json!({ "run_id": run.id, "params": part(&params), "tags": part(&tags) });
            self.post("runs/log-batch", &batch)?;
        }
        Ok(())
    }

    /// Sends metrics, each with its value.
    pub fn log_metrics(&self, run: &RemoteRun, points: &[(Point, f64)]) -> Result<()> {
        let metric = |((key, step, time), value): &(Point, f64)| json!({ "key": key, "value": value, "timestamp": time, "step": step });
        let metrics: Vec<_> = points.iter().map(metric).collect();
        self.post("runs/log-batch", &json!({ "run_id": run.id, "metrics": metrics })).map(drop)
    }

    /// The values of metrics that the server has.
    pub fn known_points(&self, run: &RemoteRun, names: &HashSet<&str>) -> Result<HashSet<Point>> {
        let mut known = HashSet::new();
        for name in names {
            let mut page = String::new();
            loop {
                let mut request = self.agent.get(self.url("metrics/get-history"));
                request = request.query("run_id", &run.id).query("metric_key", *name);
                if !page.is_empty() {
                    request = request.query("page_token", &page);
                }
                let response = self.authorized(request).call().map_err(|error| self.unreachable(&error))?;
                let answer = self.accepted(response)?;
                let metrics = answer["metrics"].as_array().into_iter().flatten();
                known.extend(metrics.filter_map(|metric| {
                    Some((name.to_string(), number(&metric["step"])?, number(&metric["timestamp"])?))
                }));
                match answer["next_page_token"].as_str() {
                    Some(next) if !next.is_empty() => page = next.to_string(),
                    _ => break,
                }
            }
        }
        Ok(known)
    }

    /// Sets the state of a run. States other than `RUNNING` end it.
    pub fn set_status(&self, run: &RemoteRun, status: &str, time: u64) -> Result<()> {
        let mut update = json!({ "run_id": run.id, "status": status });
        if status != "RUNNING" {
            update["end_time"] = time.into();
        }
        self.post("runs/update", &update).map(drop)
    }

    /// Tells the server that a folder of artifacts is a model.
    pub fn log_model(&self, run: &RemoteRun, description: &str) -> Result<()> {
        self.post("runs/log-model", &json!({ "run_id": run.id, "model_json": description })).map(drop)
    }

    /// Uploads a text as an artifact.
    pub fn upload_text(&self, run: &RemoteRun, name: &str, text: &str) -> Result<()> {
        let request = self.authorized(self.agent.put(self.artifact_url(run, name)?));
        let response = request.send(text.as_bytes()).map_err(|error| self.unreachable(&error))?;
        self.accepted(response).map(drop)
    }

    /// Uploads a file as an artifact.
    pub fn upload_file(&self, run: &RemoteRun, name: &str, path: &Path) -> Result<()> {
        let url = self.artifact_url(run, name)?;
        let file = File::open(path).map_err(DataError::io("open", path))?;
        let length = file.metadata().map_err(DataError::io("read", path))?.len();
        let request = self.authorized(self.agent.put(url)).header("Content-Length", length);
        let response = request.send(file).map_err(|error| self.unreachable(&error))?;
        self.accepted(response).map(drop)
    }

    /// The URL of an artifact, if the tracking server stores artifacts.
    fn artifact_url(&self, run: &RemoteRun, name: &str) -> Result<String> {
        let Some(path) = run.artifacts.strip_prefix(SERVED) else {
            let problem = format!(
                "artifacts are stored in {}, to which cresset has no access; start the server with --serve-artifacts",
                run.artifacts
            );
            return Err(Error::Refused(problem));
        };
        // mlflow-artifacts:/0/run/artifacts, or mlflow-artifacts://host/0/run/artifacts
        let path = match path.strip_prefix("//") {
            Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
            None => path.trim_start_matches('/'),
        };
        Ok(format!("{}/api/2.0/mlflow-artifacts/artifacts/{path}/{}", self.settings.uri, encoded(name)))
    }

    fn url(&self, method: &str) -> String {
        format!("{}/api/2.0/mlflow/{method}", self.settings.uri)
    }

    fn authorized<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.settings.authorization {
            Some(value) => request.header("Authorization", value),
            None => request,
        }
    }

    fn post(&self, method: &str, body: &Value) -> Result<Value> {
        let request =
            self.authorized(self.agent.post(self.url(method))).header("Content-Type", "application/json");
        let response = request.send(body.to_string().as_bytes()).map_err(|error| self.unreachable(&error))?;
        self.accepted(response)
    }

    /// The answer, of a request that the server accepted.
    fn accepted(&self, response: Response<Body>) -> Result<Value> {
        let status = response.status();
        let answer = self.read(response)?;
        if status.is_success() {
            return Ok(answer);
        }
        let message = answer["message"].as_str().map(|message| format!(": {message}")).unwrap_or_default();
        let problem =
            format!("the MLflow server {} answered HTTP {}{message}", self.settings.uri, status.as_u16());
        // Credentials may be renewed, and a proxy answers 404 while the server behind it starts.
        let is_final = status.is_client_error()
            && answer["error_code"].is_string()
            && ![401, 403, 408, 429].contains(&status.as_u16());
        Err(if is_final { Error::Refused(problem) } else { Error::Unavailable(problem) })
    }

    /// The body as JSON; null if it is something else.
    fn read(&self, mut response: Response<Body>) -> Result<Value> {
        let bytes = response.body_mut().read_to_vec().map_err(|error| self.unreachable(&error))?;
        Ok(serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    fn not_mlflow(&self) -> Error {
        Error::Unavailable(format!("{} does not answer as an MLflow server does", self.settings.uri))
    }

    fn unreachable(&self, error: &ureq::Error) -> Error {
        let reason = match error {
            ureq::Error::HostNotFound => "the host name cannot be resolved".to_string(),
            ureq::Error::Timeout(_) => "no answer in time".to_string(),
            ureq::Error::Io(error) => error.to_string(),
            other => other.to_string(),
        };
        Error::Unavailable(format!("the MLflow server {} cannot be reached: {reason}", self.settings.uri))
    }
}

fn remote_run(run: &Value) -> Option<RemoteRun> {
    let info = &run["info"];
    let text = |name: &str| info[name].as_str().map(str::to_string);
    Some(RemoteRun { id: text("run_id")?, artifacts: text("artifact_uri").unwrap_or_default() })
}

/// A number, which MLflow may write as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// A path for a URL: everything but letters, digits, `/`, `-`, `_`, `.` and `~` is percent-encoded.
fn encoded(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    path.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
