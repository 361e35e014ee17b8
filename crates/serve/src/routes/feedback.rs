//! `POST /v1/feedback`

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::{App, request, state};
use crate::inputs::{self, Original};
use crate::models::ServedModel;
use crate::problem::Problem;
use crate::recent::RecentPrediction;
use crate::reply;
use crate::row::Row;
use cresset::feedback::{Answer, Correction, NewInput};
use cresset::run::date;

/// A correction: the correct class of a prediction, by its ID, or of an input with its predicted class.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    id: Option<String>,
    /// The number of the input among those of the prediction, from 1.
    row: Option<usize>,
    image: Option<String>,
    values: Option<Row>,
    answer: Option<Answer>,
    correction: Option<String>,
    model_sha256: Option<String>,
    model_version: Option<String>,
}

/// A valid correction.
struct Checked {
    read: Read,
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
    let Checked { read, answer, correction, model_sha256, model_version } = check(&app, body)?;
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
            answer,
            correction,
            model_sha256,
            model_version,
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
fn check(app: &App, body: Body) -> Result<Checked, Problem> {
    let served = app.models.current();
    if !served.metadata.outputs.is_classification() {
        let task = served.metadata.outputs.task().described();
        return Err(Problem::unprocessable(format!(
            "corrections are for classification, and the task of this model is {task}"
        )));
    }
    if body.model_version.as_ref().is_some_and(|version| version.chars().count() > MAX_VERSION_LENGTH) {
        return Err(Problem::unprocessable(format!(
            "model_version may have at most {MAX_VERSION_LENGTH} characters"
        )));
    }
    let checked = match &body.id {
        Some(id) => by_id(app, &served, id, &body)?,
        None => by_input(app, &served, body)?,
    };
    request::class_of(&served, &checked.correction)?;
    request::class_of(&served, &checked.answer.class)?;
    Ok(checked)
}

/// The correction of a prediction that the server made before.
fn by_id(app: &App, served: &ServedModel, id: &str, body: &Body) -> Result<Checked, Problem> {
    let given = [
        ("image", body.image.is_some()),
        ("values", body.values.is_some()),
        ("answer", body.answer.is_some()),
        ("model_sha256", body.model_sha256.is_some()),
    ];
    if let Some((name, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
        let problem = format!(
            "leave out `{name}`: with `id`, the input and its predicted class are those of the prediction"
        );
        return Err(Problem::unprocessable(problem));
    }
    let correction = body.correction.clone();
    let correction =
        correction.ok_or_else(|| Problem::unprocessable("missing: `correction`, the correct class"))?;
    let RecentPrediction { headers, body: bytes, answers, model_sha256 } = app.recent.get(id).ok_or_else(|| {
        let problem = "there is no prediction with this `id`, or no longer: the server keeps the latest ones. Send the input instead, as `image` \
                       or `values` with `answer` and `model_sha256`";
        Problem::new(StatusCode::NOT_FOUND, problem)
    })?;
    let row = match (body.row, answers.len()) {
        (None, 1) => 0,
        (Some(row), count) if (1..=count).contains(&row) => row - 1,
        (_, count) => {
            return Err(Problem::unprocessable(format!(
                "`row` must be from 1 to {count}, the inputs of the prediction"
            )));
        }
    };
    let read = match inputs::original(served.spec()?, app.limits, &headers, bytes, row)? {
        Original::Image(bytes) => Read::Image(bytes),
        Original::Values(values) => Read::Values(values),
    };
    let (answer, model_version) = (answers[row].clone(), body.model_version.clone());
    Ok(Checked { read, answer, correction, model_sha256, model_version })
}

/// The correction of an input in the request.
fn by_input(app: &App, served: &ServedModel, body: Body) -> Result<Checked, Problem> {
    let Body { image, values, answer, correction, model_sha256, model_version, row, .. } = body;
    if row.is_some() {
        return Err(Problem::unprocessable("leave out `row`: it belongs to `id`"));
    }
    let missing = [
        ("`image` or `values`", image.is_none() && values.is_none()),
        ("`answer`", answer.is_none()),
        ("`correction`", correction.is_none()),
        ("`model_sha256`", model_sha256.is_none()),
    ];
    let names: Vec<_> =
        missing.into_iter().filter(|(_, is_missing)| *is_missing).map(|(name, _)| name).collect();
    let (Some(answer), Some(correction), Some(model_sha256), true) =
        (answer, correction, model_sha256, names.is_empty())
    else {
        return Err(Problem::unprocessable(format!(
            "missing: {}; or send `id` of a prediction and `correction`",
            names.join(", ")
        )));
    };
    if !answer.has_valid_probability() {
        return Err(Problem::unprocessable("the probability in `answer` must be from 0 to 1"));
    }
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if model_sha256.len() != 64 || !model_sha256.bytes().all(is_digit) {
        return Err(Problem::unprocessable(
            "model_sha256 must be the 64 hexadecimal digits of the prediction response",
        ));
    }
    let read = match (image, values) {
        (Some(image), None) => {
            let bytes = inputs::decode_base64(&image)?;
            inputs::read_image(served.spec()?, app.limits, &bytes)?;
            Read::Image(bytes)
        }
        (None, Some(values)) => {
            Read::Values(values.values(served.spec()?).map_err(Problem::unprocessable)?.values)
        }
        _ => return Err(Problem::unprocessable("a correction must have either `image` or `values`")),
    };
    Ok(Checked { read, answer, correction, model_sha256, model_version })
}
