//! Error responses.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::reply;

/// An error response.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    message: String,
    /// Additional fields besides the message.
    details: Option<Box<(&'static str, Value)>>,
    /// Seconds until a retry may succeed (Retry-After).
    retry_after: Option<u64>,
}

impl Problem {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Problem { status, message: message.into(), details: None, retry_after: None }
    }

    /// 413: a request exceeds a limit.
    pub fn too_large(message: impl Into<String>) -> Self {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// 422: well-formed but invalid.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// 400: malformed.
    pub fn malformed(message: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, message)
    }

    /// 500: internal error.
    pub fn failed(message: impl Into<String>) -> Self {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    pub fn with(self, name: &'static str, value: impl Into<Value>) -> Self {
        Problem { details: Some(Box::new((name, value.into()))), ..self }
    }

    pub fn retry_after(self, seconds: u64) -> Self {
        Problem { retry_after: Some(seconds), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut error = json!({ "message": self.message });
        if let Some(details) = self.details {
            let (name, value) = *details;
            error[name] = value;
        }
        let mut response = reply::json(self.status, &json!({ "error": error }));
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
