//! Stands in for the telemetry in a program without the feature `otel`.

use std::sync::Arc;
use std::time::Instant;

use axum::http::HeaderMap;

use crate::metrics::Metrics;
use cresset::error::Result;

/// There is none.
pub enum Telemetry {}

/// A request is never traced.
pub enum Trace {}

/// What is said about a request.
#[allow(dead_code, reason = "no request is traced")]
pub struct Answered<'a> {
    pub method: &'a str,
    pub route: Option<&'a str>,
    pub status: u16,
    pub phases: (),
}

/// Collects nothing.
pub struct Phases;

impl Phases {
    pub async fn of<T>(answer: impl Future<Output = T>) -> (T, ()) {
        (answer.await, ())
    }

    pub fn add(_: &str, _: Instant, _: Instant, _: &[(&str, u64)]) {}
}

pub fn start(_: &Arc<Metrics>, _: Box<dyn Fn() -> [u64; 2] + Send>) -> Result<Option<Telemetry>> {
    Ok(None)
}

impl Telemetry {
    pub fn begin(&self, _: &HeaderMap) -> Option<Trace> {
        match *self {}
    }

    pub fn end(&self, _: Trace, _: Answered) {
        match *self {}
    }

    pub fn stop(&self) {
        match *self {}
    }
}
