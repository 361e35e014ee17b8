//! Spans of a request: one of the request, and one of each part of its work.

use std::cell::RefCell;
use std::time::{Duration, Instant, SystemTime};

use super::{Answered, Trace, ids};

/// The span of a caller, from the header `traceparent` (<https://www.w3.org/TR/trace-context/>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The ID of the trace: 32 hexadecimal digits.
    pub trace: String,
    /// The ID of the span: 16 hexadecimal digits.
    pub span: String,
    /// Whether the caller records the trace.
    pub is_sampled: bool,
}

impl Parent {
    /// The span of a header; none if it is malformed, as the specification asks for.
    pub fn read(header: &str) -> Option<Self> {
        let parts: Vec<&str> = header.trim().split('-').collect();
        let &[version, trace, span, flags, ..] = &parts[..] else { return None };
        let is_hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_id = |text: &str, length: usize| is_hex(text, length) && text.bytes().any(|byte| byte != b'0');
        let has_rest = parts.len() > 4;
        let is_version = is_hex(version, 2) && version != "ff" && !(version == "00" && has_rest);
        if !is_version || !is_id(trace, 32) || !is_id(span, 16) || !is_hex(flags, 2) {
            return None;
        }
        let is_sampled = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
        Some(Parent { trace: trace.to_string(), span: span.to_string(), is_sampled })
    }
}

/// A part of the work for a request.
#[derive(Debug, Clone)]
pub struct Phase {
    /// What is done: `read`, `queue` or `model`.
    pub name: &'static str,
    /// When it began.
    pub begun: Instant,
    /// How long it took.
    pub took: Duration,
    /// Numbers that describe it.
    pub attributes: Vec<(&'static str, u64)>,
}

tokio::task_local! {
    /// The parts of the work for the request that this task answers.
    static PHASES: RefCell<Vec<Phase>>;
}

/// Collects the parts of the work for a request.
pub struct Phases;

impl Phases {
    /// Answers a request, and returns the parts of its work.
    pub async fn of<T>(answer: impl Future<Output = T>) -> (T, Vec<Phase>) {
        PHASES
            .scope(RefCell::default(), async {
                let answer = answer.await;
                (answer, PHASES.with(RefCell::take))
            })
            .await
    }

    /// Adds a part to the request that this task answers, if that is traced.
    pub fn add(name: &'static str, begun: Instant, end: Instant, attributes: &[(&'static str, u64)]) {
        let took = end.saturating_duration_since(begun);
        let phase = || Phase { name, begun, took, attributes: attributes.to_vec() };
        // An error means that the request is not traced.
        let _ = PHASES.try_with(|phases| phases.borrow_mut().push(phase()));
    }
}

/// A span as it is sent.
#[derive(Debug, Clone)]
pub struct Span {
    /// The ID of the trace.
    pub trace: String,
    /// The ID of the span.
    pub id: String,
    /// The ID of the span around it.
    pub parent: Option<String>,
    /// The name.
    pub name: String,
    /// Whether it is that of a request, rather than of a part of the work.
    pub is_request: bool,
    /// Nanoseconds since the Unix epoch.
    pub begun: u128,
    /// Nanoseconds since the Unix epoch.
    pub end: u128,
    /// Texts.
    pub texts: Vec<(&'static str, String)>,
    /// Numbers.
    pub numbers: Vec<(&'static str, u64)>,
    /// Whether the server failed.
    pub is_error: bool,
}

impl Span {
    /// The spans of a request. Names and attributes are those of the semantic conventions for HTTP servers.
    pub fn of_request(trace: &Trace, answered: Answered) -> Vec<Span> {
        let now = Instant::now();
        let start = trace.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // Instants are measured by a clock that is never set.
        let at = |instant: Instant| (start + instant.saturating_duration_since(trace.begun)).as_nanos();
        let id = ids::span();
        let trace_id = trace.parent.as_ref().map_or_else(ids::trace, |parent| parent.trace.clone());
        let Answered { method, route, status, phases } = answered;
        let mut texts = vec![("http.request.method", method.to_string()), ("url.scheme", "http".to_string())];
        texts.extend(route.map(|route| ("http.route", route.to_string())));
        let request = Span {
            trace: trace_id.clone(),
            id: id.clone(),
            parent: trace.parent.as_ref().map(|parent| parent.span.clone()),
            name: route.map_or(method.to_string(), |route| format!("{method} {route}")),
            is_request: true,
            begun: start.as_nanos(),
            end: at(now),
            texts,
            numbers: vec![("http.response.status_code", status.into())],
            is_error: status >= 500,
        };
        let part = |phase: Phase| Span {
            trace: trace_id.clone(),
            id: ids::span(),
            parent: Some(id.clone()),
            name: phase.name.to_string(),
            is_request: false,
            begun: at(phase.begun),
            end: at(phase.begun + phase.took),
            texts: Vec::new(),
            numbers: phase.attributes,
            is_error: false,
        };
        std::iter::once(request).chain(phases.into_iter().map(part)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_a_caller_is_read_and_a_malformed_one_is_ignored() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let parent = Parent::read(&format!("00-{trace}-{span}-01")).unwrap();
        assert_eq!((parent.trace.as_str(), parent.span.as_str(), parent.is_sampled), (trace, span, true));
        assert!(!Parent::read(&format!("00-{trace}-{span}-00")).unwrap().is_sampled);
        // A later version may have more parts.
        assert!(Parent::read(&format!("01-{trace}-{span}-01-more")).is_some());
        for malformed in [
            String::new(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-01-more"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}ß-{span}-01", &trace[2..]),
        ] {
            assert_eq!(Parent::read(&malformed), None, "{malformed}");
        }
    }
}
