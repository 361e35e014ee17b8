//! Reads requests and waits for the model, both with a time limit.

use std::collections::BTreeMap;
use std::time::Instant;

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::App;
use crate::form;
use crate::metrics::Rejected;
use crate::models::ServedModel;
use crate::problem::Problem;
use crate::telemetry::Phases;
use crate::worker::{Done, Job};
use cresset::error::{did_you_mean, quoted};

type Result<T> = std::result::Result<T, Problem>;

/// Reads head and body of a request. The body of a form is its file.
pub(super) async fn read_request(app: &App, request: Request) -> Result<(Uri, HeaderMap, Bytes)> {
    let (head, body) = request.into_parts();
    let too_large = || Problem::too_large(format!("the body is larger than {} bytes", app.most_bytes));
    let length = head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    // Reject a large body before it is sent.
    if length.and_then(|length| length.parse().ok()).is_some_and(|length: u64| length > app.most_bytes as u64)
    {
        return Err(too_large());
    }
    match timeout(app.time, to_bytes(body, app.most_bytes)).await {
        Ok(Ok(body)) => {
            let (headers, body) = form::unwrapped(head.headers, body).await?;
            Ok((head.uri, headers, body))
        }
        Ok(Err(error)) => {
            let is_long = std::error::Error::source(&error)
                .is_some_and(|source| source.to_string().contains("length limit"));
            Err(if is_long { too_large() } else { Problem::malformed("the body is incomplete") })
        }
        Err(_) => {
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive within the time limit"))
        }
    }
}

/// Parses the query; each parameter must be in `known` and occur once.
pub(super) fn options(uri: &Uri, known: &[&str]) -> Result<BTreeMap<String, String>> {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|e| Problem::malformed(format!("invalid query: {e}")))?;
    let mut options = BTreeMap::new();
    for (name, value) in pairs.0 {
        if !known.contains(&name.as_str()) {
            let hint = did_you_mean(&name, known.iter().copied()).unwrap_or_default();
            return Err(Problem::malformed(format!("unknown query parameter {}{hint}", quoted(&name))));
        }
        if options.insert(name.clone(), value).is_some() {
            return Err(Problem::malformed(format!("duplicate query parameter {}", quoted(&name))));
        }
    }
    Ok(options)
}

/// The index of a class or label, or of the only number.
pub(super) fn class_of(served: &ServedModel, name: &str) -> Result<usize> {
    let (classes, noun) = (&served.metadata.classes, served.metadata.outputs.noun());
    classes.iter().position(|class| class == name).ok_or_else(|| {
        let hint = did_you_mean(name, classes.iter().map(String::as_str)).unwrap_or_default();
        Problem::unprocessable(format!("the model has no {noun} {}{hint}", quoted(name)))
    })
}

/// Queues a job and waits for its result.
pub(super) async fn answer<T>(
    app: &App,
    served: &ServedModel,
    rows: usize,
    job: impl FnOnce(oneshot::Sender<Done<T>>) -> Job,
) -> Result<T> {
    let (sender, receiver) = oneshot::channel();
    let queued = Instant::now();
    if !served.queue.push(rows, job(sender)) {
        app.metrics.rejected(Rejected::Queue);
        let problem = "the queue is full";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, problem).retry_after(1));
    }
    match timeout(app.time, receiver).await {
        Ok(Ok(Done { result, taken, ended, rows: computed })) => {
            Phases::add("queue", queued, taken, &[("cresset.rows", rows as u64)]);
            Phases::add("model", taken, ended, &[("cresset.batch.rows", computed as u64)]);
            result.map_err(|problem| {
                tracing::error!("the model failed: {problem}");
                Problem::failed(format!("the model failed: {problem}"))
            })
        }
        Ok(Err(_)) => Err(Problem::failed("the worker exited before it finished the request")),
        Err(_) => {
            Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, "the model did not finish within the time limit"))
        }
    }
}
