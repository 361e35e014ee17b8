//! The messages of OTLP in JSON.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::span::Span;
use crate::metrics::{Metrics, ROUTES};

/// Counts since the start of the server.
const CUMULATIVE: u32 = 2;

/// `SPAN_KIND_INTERNAL` and `SPAN_KIND_SERVER`.
const KINDS: [u32; 2] = [1, 2];

/// `STATUS_CODE_ERROR`.
const ERROR: u32 = 2;

/// The message with some spans.
pub fn traces(resource: &[(String, String)], spans: &[Span]) -> Value {
    let spans: Vec<_> = spans.iter().map(span).collect();
    json!({
        "resourceSpans": [{
            "resource": attributes_of(resource),
            "scopeSpans": [{ "scope": scope(), "spans": spans }],
        }]
    })
}

fn span(span: &Span) -> Value {
    let texts = span.texts.iter().map(|(key, value)| text(key, value));
    let numbers = span.numbers.iter().map(|(key, value)| number(key, *value));
    let mut object = json!({
        "traceId": span.trace,
        "spanId": span.id,
        "name": span.name,
        "kind": KINDS[usize::from(span.is_request)],
        "startTimeUnixNano": span.begun.to_string(),
        "endTimeUnixNano": span.end.to_string(),
        "attributes": texts.chain(numbers).collect::<Vec<_>>(),
        "status": {},
    });
    if let Some(parent) = &span.parent {
        object["parentSpanId"] = parent.as_str().into();
    }
    if span.is_error {
        object["status"] = json!({ "code": ERROR });
    }
    object
}

/// The message with all metrics of the server, and with the rows in the queue and the corrections. The counts began at `begun`.
pub fn metrics(
    resource: &[(String, String)],
    metrics: &Metrics,
    gauges: [u64; 2],
    begun: SystemTime,
) -> Value {
    let times = (nanoseconds(begun), nanoseconds(SystemTime::now()));
    let point = |attributes: Vec<Value>, value: u64| {
        json!({
            "attributes": attributes,
            "startTimeUnixNano": times.0,
            "timeUnixNano": times.1,
            "asInt": value.to_string(),
        })
    };
    let requests = metrics.requests().map(|(route, status, count)| {
        let attributes = vec![text("http.route", route), number("http.response.status_code", status.into())];
        point(attributes, count)
    });
    let rejected = metrics.rejections().map(|(reason, count)| point(vec![text("reason", reason)], count));
    let latency = ROUTES
        .iter()
        .zip(metrics.latencies())
        .filter(|(_, (_, counts, _))| counts.iter().any(|count| *count > 0));
    let latency = latency.map(|(route, of)| histogram(vec![text("http.route", route)], of, &times));
    let sum = |name: &str, unit: &str, description: &str, points: Vec<Value>| {
        let sum = json!({ "aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": points });
        json!({ "name": name, "unit": unit, "description": description, "sum": sum })
    };
    let distribution = |name: &str, unit: &str, description: &str, points: Vec<Value>| {
        let points = json!({ "aggregationTemporality": CUMULATIVE, "dataPoints": points });
        json!({ "name": name, "unit": unit, "description": description, "histogram": points })
    };
    let gauge = |name: &str, unit: &str, description: &str, value: u64| {
        let points = json!({ "dataPoints": [point(Vec::new(), value)] });
        json!({ "name": name, "unit": unit, "description": description, "gauge": points })
    };
    let [reloads, refusals] = metrics.models();
    let all = json!([
        sum("cresset.requests", "{request}", "Number of requests.", requests.collect()),
        distribution("cresset.request.duration", "s", "Latency of requests.", latency.collect()),
        distribution(
            "cresset.batch.rows",
            "{row}",
            "Batch size.",
            vec![histogram(Vec::new(), metrics.batch_sizes(), &times)]
        ),
        sum(
            "cresset.rejected",
            "{request}",
            "Requests rejected by the rate limit or the full queue.",
            rejected.collect()
        ),
        sum("cresset.reloads", "{reload}", "Number of model reloads.", vec![point(Vec::new(), reloads)]),
        sum(
            "cresset.refused_models",
            "{file}",
            "Number of model files that could not be served.",
            vec![point(Vec::new(), refusals)]
        ),
        gauge("cresset.queue.rows", "{row}", "Inputs in the queue.", gauges[0]),
        gauge("cresset.corrections", "{correction}", "Corrections in the feedback set.", gauges[1]),
    ]);
    json!({
        "resourceMetrics": [{
            "resource": attributes_of(resource),
            "scopeMetrics": [{ "scope": scope(), "metrics": all }],
        }]
    })
}

/// A data point of a histogram: bounds, counts of the buckets with one more above the last bound, and the sum.
fn histogram(attributes: Vec<Value>, of: (&[f64], Vec<u64>, f64), times: &(String, String)) -> Value {
    let (bounds, counts, sum) = of;
    json!({
        "attributes": attributes,
        "startTimeUnixNano": times.0,
        "timeUnixNano": times.1,
        "count": counts.iter().sum::<u64>().to_string(),
        "sum": sum,
        "bucketCounts": counts.iter().map(u64::to_string).collect::<Vec<_>>(),
        "explicitBounds": bounds,
    })
}

fn scope() -> Value {
    json!({ "name": "cresset", "version": env!("CARGO_PKG_VERSION") })
}

fn attributes_of(resource: &[(String, String)]) -> Value {
    json!({ "attributes": resource.iter().map(|(key, value)| text(key, value)).collect::<Vec<_>>() })
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: u64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

/// Nanoseconds since the Unix epoch, as text: JSON numbers have 53 bits.
fn nanoseconds(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos()).to_string()
}
