//! Replies with results, which `--record` keeps.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use serde::Serialize;

use super::App;
use crate::inputs;
use crate::record::Record;
use cresset::run::date;

/// The reply to a request.
#[derive(Serialize)]
pub(super) struct Reply<R> {
    pub id: String,
    pub model_sha256: String,
    pub results: Vec<R>,
}

/// Appends the reply to the record. A failure is logged: the prediction is right all the same.
pub(super) async fn record<R: Serialize + Send + 'static>(
    app: &Arc<App>,
    reply: Reply<R>,
    headers: &HeaderMap,
    body: Bytes,
) {
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
