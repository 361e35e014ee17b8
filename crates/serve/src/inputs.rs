//! Parses request bodies into model inputs, with the readers of `cresset predict`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::problem::Problem;
use super::row::Row;
use cresset::data::format::csv::InputRow;
use cresset::data::image::{Header, MAX_PIXELS};
use cresset::data::text;
use cresset::error::quoted;
use cresset::predict::{Cell, InputSpec};

/// Size limits of inputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub rows: usize,
    pub pixels: u64,
}

/// Kind of body, from the content type.
enum Kind {
    Image,
    Json,
    Csv,
    JsonLines,
    Text,
}

/// A JSON body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    inputs: Option<Vec<Row>>,
    image: Option<String>,
}

type Result<T> = std::result::Result<T, Problem>;

/// Reads the inputs in a body as raw values.
pub(super) fn read(
    spec: &Arc<InputSpec>,
    limits: Limits,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Vec<InputRow>> {
    match kind(headers)? {
        Kind::Image => Ok(vec![read_image(spec, limits, &body)?.into()]),
        Kind::Text if spec.takes_texts() => {
            let values = spec.text(&body).map_err(Problem::unprocessable)?;
            Ok(vec![values.into()])
        }
        Kind::Text => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the model does not take a text alone; expected application/json, text/csv or application/x-ndjson",
        )),
        Kind::Csv => table(spec, limits, "", body),
        Kind::JsonLines => table(spec, limits, "body.jsonl", body),
        Kind::Json => {
            let body: Body = json(&body)?;
            match (body.inputs, body.image) {
                (Some(inputs), None) => rows(spec, limits, &inputs),
                (None, Some(image)) => Ok(vec![read_image(spec, limits, &decode_base64(&image)?)?.into()]),
                _ => Err(Problem::unprocessable("the body must have either `inputs` or `image`")),
            }
        }
    }
}

/// An input as a correction keeps it.
pub(super) enum Original {
    /// An encoded image.
    Image(Vec<u8>),
    /// Raw values.
    Values(Vec<f32>),
}

/// The input with the index `row` in a body that was read before.
pub(super) fn original(
    spec: &Arc<InputSpec>,
    limits: Limits,
    headers: &HeaderMap,
    body: Bytes,
    row: usize,
) -> Result<Original> {
    match kind(headers)? {
        Kind::Image => return Ok(Original::Image(body.into())),
        Kind::Json => {
            if let Body { image: Some(image), .. } = json(&body)? {
                return Ok(Original::Image(decode_base64(&image)?));
            }
        }
        _ => {}
    }
    let rows = read(spec, limits, headers, body)?;
    let row =
        rows.into_iter().nth(row).ok_or_else(|| Problem::unprocessable("the prediction has no such row"))?;
    Ok(Original::Values(row.values))
}

/// The text in a body, if it is the only input and the model takes one text; none if the body cannot be read.
pub(super) fn only_text(spec: &InputSpec, headers: &HeaderMap, body: &[u8]) -> Option<String> {
    if !spec.takes_texts() {
        return None;
    }
    match kind(headers).ok()? {
        Kind::Text => Some(text::of_file(body).0),
        Kind::Json => {
            let body: Body = json(body).ok()?;
            let [row] = &body.inputs?[..] else { return None };
            match row.cells(spec).ok()?.as_ref() {
                [Cell::Text(text)] => Some(text.clone()),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Rejects a body without a JSON content type.
pub(super) fn expect_json(headers: &HeaderMap) -> Result<()> {
    match kind(headers)? {
        Kind::Json => Ok(()),
        _ => {
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the Content-Type must be application/json"))
        }
    }
}

/// Parses a JSON body.
pub(super) fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Problem::unprocessable(format!("invalid body: {error}")),
        _ => Problem::malformed(format!("the body is not valid JSON: {error}")),
    })
}

/// Decodes a base64 image.
pub(super) fn decode_base64(text: &str) -> Result<Vec<u8>> {
    STANDARD.decode(text).map_err(|e| Problem::unprocessable(format!("`image` is not valid base64: {e}")))
}

/// File extension of an encoded image, by content.
pub(super) fn image_extension(bytes: &[u8]) -> &'static str {
    let format = image::guess_format(bytes).ok();
    format.and_then(|format| format.extensions_str().first()).copied().unwrap_or("png")
}

/// The raw values of an encoded image. Its size is checked before decoding.
pub(super) fn read_image(spec: &InputSpec, limits: Limits, encoded: &[u8]) -> Result<Vec<f32>> {
    let most = limits.pixels.min(MAX_PIXELS);
    let counted = |(width, height): (u32, u32)| match u64::from(width) * u64::from(height) {
        pixels if pixels > most => {
            let problem = format!("the image has {width} × {height} pixels, but at most {most} are allowed");
            Err(Problem::too_large(problem))
        }
        pixels => Ok(pixels),
    };
    let pixels = match Header::read(encoded) {
        Ok(header) => counted((header.width, header.height))?,
        Err(problem) => {
            Header::declared_size(encoded).map_or(Ok(0), counted)?;
            return Err(Problem::unprocessable(problem));
        }
    };
    // Decode large images on a blocking thread, so that other requests can proceed.
    let read = || spec.image(encoded).map_err(Problem::unprocessable);
    if pixels > FEW_PIXELS { tokio::task::block_in_place(read) } else { read() }
}

/// Images with at most this many pixels decode in about a millisecond.
const FEW_PIXELS: u64 = 1 << 16;

/// The raw values of rows of cells.
pub(super) fn rows(spec: &Arc<InputSpec>, limits: Limits, rows: &[Row]) -> Result<Vec<InputRow>> {
    counted(rows.len(), limits)?;
    let values = (1..).zip(rows).map(|(number, row)| (format!("row {number}"), row.values(spec)));
    sound(values)
}

/// Reads the rows of a table, whose format is that of the file name.
fn table(spec: &Arc<InputSpec>, limits: Limits, name: &str, text: Bytes) -> Result<Vec<InputRow>> {
    let inputs = tokio::task::block_in_place(|| spec.table(name, text.into()));
    counted(inputs.len(), limits)?;
    sound(inputs.into_iter().map(|input| {
        let line = input.name.rsplit_once(':').map(|(_, line)| format!("line {line}"));
        let unknown = input.notes.unknown;
        (line.unwrap_or_default(), input.values.map(|values| InputRow { values, unknown }))
    }))
}

/// Rejects a request without inputs, or with too many.
pub(super) fn counted(rows: usize, limits: Limits) -> Result<()> {
    match rows {
        0 => Err(Problem::unprocessable("the body has no inputs")),
        rows if rows > limits.rows => Err(Problem::too_large(format!(
            "the body has {rows} inputs, but at most {} are allowed",
            limits.rows
        ))),
        _ => Ok(()),
    }
}

/// Maximum number of invalid rows in an error.
const MAX_NAMED: usize = 20;

/// All values, or an error with the invalid rows.
pub(super) fn sound(
    inputs: impl Iterator<Item = (String, std::result::Result<InputRow, String>)>,
) -> Result<Vec<InputRow>> {
    let (mut sound, mut faults) = (Vec::new(), Vec::new());
    for (place, row) in inputs {
        match row {
            Ok(row) => sound.push(row),
            Err(problem) => faults.push((place, problem)),
        }
    }
    invalid_rows(&faults).map_or(Ok(sound), Err)
}

/// An error about invalid rows; `None` if there are none.
pub(super) fn invalid_rows(faults: &[(String, String)]) -> Option<Problem> {
    let (place, problem) = faults.first()?;
    let colon = if place.is_empty() { "" } else { ": " };
    let others = match faults.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let named: Vec<_> = faults
        .iter()
        .take(MAX_NAMED)
        .map(|(place, problem)| json!({ "input": place, "message": problem }))
        .collect();
    Some(Problem::unprocessable(format!("{place}{colon}{problem}{others}")).with("inputs", named))
}

fn kind(headers: &HeaderMap) -> Result<Kind> {
    let unsupported = |what: String| {
        Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!(
                "{what}; expected application/json, text/csv, application/x-ndjson, text/plain or an image type such as image/png"
            ),
        )
    };
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Err(unsupported("missing Content-Type".to_string()));
    };
    let text =
        value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match text.as_str() {
        "application/json" => Ok(Kind::Json),
        "text/csv" => Ok(Kind::Csv),
        "text/plain" | "message/rfc822" => Ok(Kind::Text),
        "application/x-ndjson" | "application/jsonl" => Ok(Kind::JsonLines),
        "application/octet-stream" => Ok(Kind::Image),
        text if text.starts_with("image/") => Ok(Kind::Image),
        text => Err(unsupported(format!("unsupported Content-Type {}", quoted(text)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body: Vec<u8>, text in "[\\[\\]{}\":,a-z0-9.eE-]{0,60}") {
            let _ = json::<Body>(&body);
            let _ = json::<Body>(text.as_bytes());
            let _ = json::<Body>(format!("{{\"inputs\": {text}}}").as_bytes());
            let _ = decode_base64(&text);
        }
    }
}
