//! Forms with a file (`curl -F file=@…`), as if the file were the body.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, HeaderValue, header};

use crate::problem::Problem;

/// The content types of files by the ends of their names; the form has the type of other files, such as images.
const TYPES: [(&str, &str); 8] = [
    (".csv", "text/csv"),
    (".tsv", "text/csv"),
    (".jsonl", "application/x-ndjson"),
    (".ndjson", "application/x-ndjson"),
    (".json", "application/json"),
    (".txt", "text/plain"),
    (".eml", "message/rfc822"),
    (".md", "text/plain"),
];

/// The only file of a form, with its content type; a body of another type stays.
pub(super) async fn unwrapped(headers: HeaderMap, body: Bytes) -> Result<(HeaderMap, Bytes), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
        return Ok((headers, body));
    }
    let mut request = Request::new(Body::from(body));
    *request.headers_mut() = headers.clone();
    let malformed = |error: String| Problem::malformed(format!("the form cannot be read: {error}"));
    let mut form =
        Multipart::from_request(request, &()).await.map_err(|error| malformed(error.body_text()))?;
    let mut files = Vec::new();
    while let Some(field) = form.next_field().await.map_err(|error| malformed(error.body_text()))? {
        let name = field.file_name().unwrap_or_default().to_ascii_lowercase();
        let known = TYPES.iter().find(|(end, _)| name.ends_with(end)).map(|(_, kind)| kind.to_string());
        let given = field.content_type().map(str::to_string);
        let kind = known.or(given).unwrap_or_else(|| "application/octet-stream".to_string());
        files.push((kind, field.bytes().await.map_err(|error| malformed(error.body_text()))?));
    }
    let count = files.len();
    match (files.pop(), count) {
        (Some((kind, file)), 1) => {
            let mut headers = headers;
            let kind = HeaderValue::from_str(&kind).map_err(|error| malformed(error.to_string()))?;
            headers.insert(header::CONTENT_TYPE, kind);
            Ok((headers, file))
        }
        _ => Err(Problem::unprocessable(format!("the form must have one file, but it has {count} fields"))),
    }
}
