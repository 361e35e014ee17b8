//! `POST /v1/predict`

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{App, request, state};
use crate::problem::Problem;
use crate::recent::{self, RecentPrediction};
use crate::record::Record;
use crate::telemetry::Phases;
use crate::worker::Job;
use crate::{inputs, reply};
use cresset::predict::Prediction;
use cresset::run::date;

#[derive(Serialize)]
struct Reply {
    id: String,
    model_sha256: String,
    results: Vec<InputResult>,
}

/// The result for an input.
#[derive(Serialize)]
struct InputResult {
    #[serde(flatten)]
    prediction: Prediction,
    /// Unknown categories by column.
    #[serde(skip_serializing_if = "Map::is_empty")]
    unknown: Map<String, Value>,
}

pub(super) async fn predict(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let begun = Instant::now();
    let (uri, headers, body) = request::read_request(&app, request).await?;
    let options = request::options(&uri, &["top_k"])?;
    let served = app.models.current();
    let classes = &served.metadata.classes;
    let top_k = options.get("top_k").map_or(Some(classes.len()), |text| count(text));
    let top_k = top_k.ok_or_else(|| Problem::malformed("top_k must be a positive integer"))?;
    let top_k = top_k.min(classes.len());
    let bytes = body.len() as u64;
    let rows = inputs::read(&served.spec, app.limits, &headers, body.clone())?;
    Phases::add("read", begun, Instant::now(), &[("http.request.body.size", bytes)]);
    let (rows, unknown): (Vec<_>, Vec<_>) = rows.into_iter().map(|row| (row.values, row.unknown)).unzip();
    let found = request::answer(&app, &served, rows.len(), |answer| Job::Classify { rows, answer }).await?;
    let is_alone = found.len() == 1;
    let (mut results, mut faults) = (Vec::with_capacity(found.len()), Vec::new());
    for ((number, found), unknown) in (1..).zip(found).zip(unknown) {
        match found {
            Ok(scored) => {
                let prediction = Prediction::of(&served.metadata, String::new(), &scored, top_k);
                let unknown = unknown.into_iter().map(|unknown| (unknown.column, unknown.text.into()));
                results.push(InputResult { prediction, unknown: unknown.collect() });
            }
            Err(problem) => {
                faults.push((if is_alone { String::new() } else { format!("row {number}") }, problem))
            }
        }
    }
    match inputs::invalid_rows(&faults) {
        Some(problem) => Err(problem),
        None => {
            let id = state::new_id();
            let recorded = app.recorder.is_some().then(|| (headers.clone(), body.clone()));
            if served.metadata.outputs.is_classification() {
                let answers =
                    results.iter().filter_map(|result| recent::answer(&result.prediction)).collect();
                let model_sha256 = served.sha256.clone();
                app.recent.add(id.clone(), RecentPrediction { headers, body, answers, model_sha256 });
            }
            let reply = Reply { id, model_sha256: served.sha256.clone(), results };
            let response = reply::json(StatusCode::OK, &reply);
            if let Some((headers, body)) = recorded {
                record(&app, reply, &headers, body).await;
            }
            Ok(response)
        }
    }
}

/// Appends the reply to the record. A failure is logged: the prediction is right all the same.
async fn record(app: &Arc<App>, reply: Reply, headers: &HeaderMap, body: Bytes) {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_string();
    let app = Arc::clone(app);
    let written = tokio::task::spawn_blocking(move || {
        let Some(recorder) = &app.recorder else { return Ok(()) };
        let record = Record {
            id: &reply.id,
            time: date::second(SystemTime::now()).unwrap_or_default(),
            model_sha256: &reply.model_sha256,
            content_type: &content_type,
            results: &reply.results,
        };
        recorder.add(&record, &body, inputs::image_extension(&body))
    });
    if let Ok(Err(error)) = written.await {
        tracing::error!("the prediction was not recorded: {error}");
    }
}

/// Parses a positive integer, saturating.
fn count(text: &str) -> Option<usize> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(usize::MAX)).filter(|count| *count > 0)
}
