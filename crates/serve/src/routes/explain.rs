//! `POST /v1/explain`

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::{App, request};
use crate::problem::Problem;
use crate::worker::Job;
use crate::{inputs, reply};

pub(super) async fn explain(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (uri, headers, body) = request::read_request(&app, request).await?;
    let options = request::options(&uri, &["class"])?;
    let served = app.models.current();
    let spec = served.spec()?;
    let class = options.get("class").map(|name| request::class_of(&served, name)).transpose()?;
    let given = inputs::only_text(spec, &headers, &body);
    let mut rows = inputs::read(spec, app.limits, &headers, body)?;
    let row = rows.pop().filter(|_| rows.is_empty());
    let row = row.ok_or_else(|| Problem::unprocessable("explain requires exactly one input"))?.values;
    // Compute outputs first, to report NaN or infinite outputs.
    let classified = vec![row.clone()];
    let found =
        request::answer(&app, &served, 1, |answer| Job::Classify { rows: classified, answer }).await?;
    if let Some(Err(problem)) = found.into_iter().next() {
        return Err(Problem::unprocessable(problem));
    }
    let text = given.clone();
    let found = request::answer(&app, &served, 1, |answer| Job::Explain { row, class, text, answer }).await?;
    let mut answer = json!({
        "class": served.metadata.classes[found.class],
        "output": served.metadata.outputs.explained(),
        "method": found.method,
        "shape": found.shape,
        "values": found.values,
        "model_sha256": served.sha256,
    });
    if let Some(columns) = found.columns {
        (answer["columns"], answer["base"]) = (columns.names.into(), columns.base.into());
    }
    if let Some(text) = found.text {
        (answer["text"], answer["words"], answer["base"]) =
            (json!(given), json!(text.words), json!(text.base));
    }
    Ok(reply::json(StatusCode::OK, &answer))
}
