//! What is wrong with a request, as an answer to it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::reply;

/// A request that cannot be answered as it was meant.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    message: String,
    /// More about it, beside the message.
    details: Option<Box<(&'static str, Value)>>,
    /// Seconds after which it may be tried again.
    retry_after: Option<u64>,
}

impl Problem {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Problem { status, message: message.into(), details: None, retry_after: None }
    }

    /// Something is too large.
    pub fn too_large(message: impl Into<String>) -> Self {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// The request has a sound form, and cannot be used.
    pub fn unusable(message: impl Into<String>) -> Self {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// The request has no sound form.
    pub fn malformed(message: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, message)
    }

    /// The server failed, which is not the request's fault.
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
