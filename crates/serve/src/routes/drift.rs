//! `GET /v1/drift`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::App;
use crate::reply;

/// The comparison of the inputs since the start with the training data.
pub(super) async fn drift(State(app): State<Arc<App>>) -> Response {
    let drift = app.models.current().drift.report();
    reply::json(StatusCode::OK, &json!({ "drift": drift }))
}
