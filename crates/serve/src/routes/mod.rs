//! Routes, one file per group.

mod drift;
mod explain;
mod feedback;
mod models;
mod predict;
mod recommend;
mod recorded;
mod request;
mod state;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::metrics::{Rejected, route_of};
use super::problem::Problem;
use super::telemetry::{Answered, Phases};
use super::{openapi, page, reply};
pub(super) use state::App;

/// Address of the client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client(pub IpAddr);

/// All routes.
pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(playground))
        .route("/v1/predict", post(predict::predict))
        .route("/v1/recommend", post(recommend::recommend))
        .route("/v1/explain", post(explain::explain))
        .route("/v1/feedback", post(feedback::correct))
        .route("/v1/drift", get(drift::drift))
        .route("/v1/models", get(models::list))
        .route("/v1/models/reload", post(models::reload))
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(description))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(&app), admit))
        .with_state(app)
}

/// Middleware for all requests: access control, metrics and traces.
async fn admit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let path = request.uri().path().to_string();
    let method = request.method().clone();
    let trace = app.telemetry.as_ref().and_then(|telemetry| telemetry.begin(request.headers()));
    let answer = async {
        match check_access(&app, &request, begun) {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    };
    let Some((telemetry, trace)) = app.telemetry.as_ref().zip(trace) else {
        let response = answer.await;
        app.metrics.answered(&path, response.status().as_u16(), begun.elapsed());
        return response;
    };
    let (response, phases) = Phases::of(answer).await;
    let status = response.status().as_u16();
    app.metrics.answered(&path, status, begun.elapsed());
    telemetry.end(trace, Answered { method: method.as_str(), route: route_of(&path), status, phases });
    response
}

fn check_access(app: &App, request: &Request, now: Instant) -> Result<(), Problem> {
    app.access.check(request.method(), request.uri(), request.headers())?;
    let client = request.extensions().get::<Client>();
    let (Some(rate), Some(Client(client))) = (&app.rate, client) else { return Ok(()) };
    if request.uri().path() == "/healthz" {
        return Ok(());
    }
    rate.count(*client, now).map_err(|seconds| {
        app.metrics.rejected(Rejected::Rate);
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many requests from this client").retry_after(seconds)
    })
}

async fn playground() -> Response {
    let mut response = reply::of(StatusCode::OK, "text/html; charset=utf-8", page::html());
    let policy = HeaderValue::from_str(&page::policy()).expect("a policy is ASCII");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

async fn health() -> Response {
    reply::json(StatusCode::OK, &serde_json::json!({ "status": "ok" }))
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let served = app.models.current();
    let text = app.metrics.text(served.queue.rows(), app.corrections.count()) + &served.drift.metrics();
    reply::of(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
}

async fn description(State(app): State<Arc<App>>) -> Response {
    reply::json(StatusCode::OK, &openapi::document(&app.models.current(), app.access.needs_token()))
}

async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not found; see /openapi.json")
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed; see /openapi.json")
}
