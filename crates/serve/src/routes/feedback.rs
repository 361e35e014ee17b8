//! `POST /v1/feedback`

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::{App, request, state};
use crate::inputs::{self, Row};
use crate::problem::Problem;
use crate::reply;
use cresset::feedback::{Answer, Correction, NewInput};
use cresset::run::date;

/// A correction: input, predicted class and correct class.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    image: Option<String>,
    values: Option<Row>,
    answer: Answer,
    correction: String,
    model_sha256: String,
    model_version: Option<String>,
}

/// The decoded input.
enum Read {
    Image(Vec<u8>),
    Values(Vec<f32>),
}

/// Maximum length of a model version in characters.
const MAX_VERSION_LENGTH: usize = 200;

pub(super) async fn correct(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (uri, headers, body) = request::read_request(&app, request).await?;
    request::options(&uri, &[])?;
    inputs::expect_json(&headers)?;
    let body: Body = inputs::json(&body)?;
    let read = check(&app, &body)?;
    let id = state::new_id();
    let time = date::second(SystemTime::now()).unwrap_or_default();
    let writer = Arc::clone(&app);
    let written = tokio::task::spawn_blocking(move || {
        let given = match &read {
            Read::Image(bytes) => NewInput::Image(bytes, inputs::image_extension(bytes)),
            Read::Values(values) => NewInput::Values(values),
        };
        let correction = |input| Correction {
            id: id.clone(),
            time,
            input,
            answer: body.answer,
            correction: body.correction,
            model_sha256: body.model_sha256,
            model_version: body.model_version,
        };
        writer.corrections.add(given, correction, &id)
    });
    let written = written.await.map_err(|_| Problem::failed("the correction could not be written"))?;
    let (correction, count) = written.map_err(|error| {
        tracing::error!("{error}");
        Problem::failed(format!("the correction could not be written: {error}"))
    })?;
    Ok(reply::json(
        StatusCode::OK,
        &json!({ "id": correction.id, "time": correction.time, "corrections": count }),
    ))
}

/// Rejects invalid corrections.
fn check(app: &App, body: &Body) -> Result<Read, Problem> {
    let served = app.models.current();
    if !served.metadata.outputs.is_classification() {
        let task = served.metadata.outputs.task().described();
        return Err(Problem::unprocessable(format!(
            "corrections are for classification, and the task of this model is {task}"
        )));
    }
    request::class_of(&served, &body.correction)?;
    request::class_of(&served, &body.answer.class)?;
    if !body.answer.has_valid_probability() {
        return Err(Problem::unprocessable("the probability in `answer` must be from 0 to 1"));
    }
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if body.model_sha256.len() != 64 || !body.model_sha256.bytes().all(is_digit) {
        return Err(Problem::unprocessable(
            "model_sha256 must be the 64 hexadecimal digits of the prediction response",
        ));
    }
    if body.model_version.as_ref().is_some_and(|version| version.chars().count() > MAX_VERSION_LENGTH) {
        return Err(Problem::unprocessable(format!(
            "model_version may have at most {MAX_VERSION_LENGTH} characters"
        )));
    }
    match (&body.image, &body.values) {
        (Some(image), None) => {
            let bytes = inputs::decode_base64(image)?;
            inputs::read_image(&served.spec, app.limits, &bytes)?;
            Ok(Read::Image(bytes))
        }
        (None, Some(values)) => {
            let row = values.values(&served.spec).map_err(Problem::unprocessable)?;
            Ok(Read::Values(row.values))
        }
        _ => Err(Problem::unprocessable("a correction must have either `image` or `values`")),
    }
}
