//! `POST /v1/predict`

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};

use super::recorded::{Reply, record};
use super::{App, request, state};
use crate::problem::Problem;
use crate::recent::{self, RecentPrediction};
use crate::telemetry::Phases;
use crate::worker::Job;
use crate::{inputs, reply};
use cresset::predict::Prediction;

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
    let spec = served.spec()?;
    let classes = &served.metadata.classes;
    let top_k = options.get("top_k").map_or(Some(classes.len()), |text| count(text));
    let top_k = top_k.ok_or_else(|| Problem::malformed("top_k must be a positive integer"))?;
    let top_k = top_k.min(classes.len());
    let bytes = body.len() as u64;
    let rows = inputs::read(spec, app.limits, &headers, body.clone())?;
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

/// Parses a positive integer, saturating.
fn count(text: &str) -> Option<usize> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(usize::MAX)).filter(|count| *count > 0)
}
