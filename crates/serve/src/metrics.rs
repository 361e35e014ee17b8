//! Server metrics in the Prometheus text format
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Routes with a label; all others are `other`.
pub(super) const ROUTES: [&str; 12] = [
    "/",
    "/v1/predict",
    "/v1/explain",
    "/v1/recommend",
    "/v1/feedback",
    "/v1/drift",
    "/v1/models",
    "/v1/models/reload",
    "/healthz",
    "/metrics",
    "/openapi.json",
    "other",
];

/// Statuses with a counter.
const STATUSES: [u16; 17] =
    [200, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 431, 500, 503, 504, 0];

/// Reasons for rejected requests.
const REASONS: [&str; 2] = ["queue", "rate"];

/// Upper bounds of the latency buckets in seconds.
const SECONDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 10.];

/// Upper bounds of the batch size buckets.
const ROWS: [f64; 11] = [1., 2., 4., 8., 16., 32., 64., 128., 256., 512., 1024.];

/// Why a valid request was rejected.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rejected {
    /// The queue is full.
    Queue,
    /// The client exceeds its rate limit.
    Rate,
}

/// Thread-safe counters.
pub(super) struct Metrics {
    requests: [[AtomicU64; STATUSES.len()]; ROUTES.len()],
    latency: [Histogram<{ SECONDS.len() }>; ROUTES.len()],
    batches: Histogram<{ ROWS.len() }>,
    rejected: [AtomicU64; REASONS.len()],
    reloads: AtomicU64,
    refusals: AtomicU64,
    /// Why the current model file is not served.
    refused: Mutex<Option<String>>,
}

struct Histogram<const N: usize> {
    bounds: &'static [f64; N],
    /// Counts per bucket, not cumulative; values above the last bound are only in `count`.
    counts: [AtomicU64; N],
    count: AtomicU64,
    /// Sum in millionths.
    sum: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    fn new(bounds: &'static [f64; N]) -> Self {
        Histogram { bounds, counts: zeros(), count: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    fn add(&self, value: f64) {
        if let Some(index) = self.bounds.iter().position(|bound| value <= *bound) {
            self.counts[index].fetch_add(1, Relaxed);
        }
        self.count.fetch_add(1, Relaxed);
        self.sum.fetch_add((value * 1e6) as u64, Relaxed);
    }

    /// The bounds; the counts of the buckets, with that above the last bound; and the sum.
    #[cfg(feature = "otel")]
    fn values(&self) -> (&[f64], Vec<u64>, f64) {
        let mut counts: Vec<u64> = self.counts.iter().map(|count| count.load(Relaxed)).collect();
        let below: u64 = counts.iter().sum();
        counts.push(self.count.load(Relaxed).saturating_sub(below));
        (self.bounds, counts, self.sum.load(Relaxed) as f64 / 1e6)
    }

    fn write(&self, text: &mut String, name: &str, labels: &str) {
        let count = self.count.load(Relaxed);
        if count == 0 && !labels.is_empty() {
            return;
        }
        let mut sum = 0;
        for (bound, count) in self.bounds.iter().zip(&self.counts) {
            sum += count.load(Relaxed);
            line(text, format_args!("{name}_bucket{{{labels}le=\"{bound}\"}} {sum}"));
        }
        // Another thread may have added a value since.
        let count = count.max(sum);
        line(text, format_args!("{name}_bucket{{{labels}le=\"+Inf\"}} {count}"));
        let labels = labels.strip_suffix(',').map_or(String::new(), |labels| format!("{{{labels}}}"));
        line(text, format_args!("{name}_sum{labels} {}", self.sum.load(Relaxed) as f64 / 1e6));
        line(text, format_args!("{name}_count{labels} {count}"));
    }
}

impl Metrics {
    pub fn new() -> Self {
        Metrics {
            requests: std::array::from_fn(|_| zeros()),
            latency: std::array::from_fn(|_| Histogram::new(&SECONDS)),
            batches: Histogram::new(&ROWS),
            rejected: zeros(),
            reloads: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            refused: Mutex::new(None),
        }
    }

    /// Records a response.
    pub fn answered(&self, path: &str, status: u16, after: Duration) {
        let route = index_of(&ROUTES, &path);
        self.requests[route][index_of(&STATUSES, &status)].fetch_add(1, Relaxed);
        self.latency[route].add(after.as_secs_f64());
    }

    /// Records the size of a batch.
    pub fn computed(&self, rows: usize) {
        self.batches.add(rows as f64);
    }

    /// Records a rejected request.
    pub fn rejected(&self, reason: Rejected) {
        self.rejected[reason as usize].fetch_add(1, Relaxed);
    }

    /// Records a replaced model.
    pub fn reloaded(&self) {
        self.reloads.fetch_add(1, Relaxed);
        self.accepted();
    }

    /// Records that the current model file is served.
    pub fn accepted(&self) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Records that the current model file is not served.
    pub fn refused(&self, why: &str) {
        self.refusals.fetch_add(1, Relaxed);
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_string());
    }

    /// Formats all metrics, with the size of the queue and the number of corrections.
    pub fn text(&self, waiting: usize, corrections: u64) -> String {
        let mut text = String::new();
        head(&mut text, "cresset_requests_total", "counter", "Number of requests.");
        for (route, statuses) in ROUTES.iter().zip(&self.requests) {
            for (status, count) in STATUSES.iter().zip(statuses) {
                let count = count.load(Relaxed);
                if count > 0 {
                    let labels = format_args!("route=\"{route}\",status=\"{status}\"");
                    line(&mut text, format_args!("cresset_requests_total{{{labels}}} {count}"));
                }
            }
        }
        head(&mut text, "cresset_request_seconds", "histogram", "Latency of requests in seconds.");
        for (route, latency) in ROUTES.iter().zip(&self.latency) {
            latency.write(&mut text, "cresset_request_seconds", &format!("route=\"{route}\","));
        }
        head(&mut text, "cresset_batch_rows", "histogram", "Batch size.");
        self.batches.write(&mut text, "cresset_batch_rows", "");
        head(
            &mut text,
            "cresset_rejected_total",
            "counter",
            "Requests rejected by the rate limit or the full queue.",
        );
        for (reason, count) in REASONS.iter().zip(&self.rejected) {
            let count = count.load(Relaxed);
            line(&mut text, format_args!("cresset_rejected_total{{reason=\"{reason}\"}} {count}"));
        }
        let figures = [
            ("cresset_queue_rows", "gauge", "Inputs in the queue.", waiting as u64),
            ("cresset_reloads_total", "counter", "Number of model reloads.", self.reloads.load(Relaxed)),
            (
                "cresset_refused_models_total",
                "counter",
                "Number of model files that could not be served.",
                self.refusals.load(Relaxed),
            ),
            ("cresset_corrections", "gauge", "Corrections in the feedback set.", corrections),
        ];
        for (name, kind, help, value) in figures {
            head(&mut text, name, kind, help);
            line(&mut text, format_args!("{name} {value}"));
        }
        let name = "cresset_model_refused";
        head(&mut text, name, "gauge", "Whether the current model file cannot be served, and why.");
        match &*self.refused.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(why) => line(&mut text, format_args!("{name}{{reason=\"{}\"}} 1", label(why))),
            None => line(&mut text, format_args!("{name} 0")),
        }
        text
    }
}

/// The values, for formats other than text.
#[cfg(feature = "otel")]
impl Metrics {
    /// Route, status and number of requests, without those that never occurred.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, u16, u64)> {
        ROUTES.iter().zip(&self.requests).flat_map(|(route, statuses)| {
            let counts = STATUSES.iter().zip(statuses).map(|(status, count)| (*status, count.load(Relaxed)));
            counts.filter(|(_, count)| *count > 0).map(|(status, count)| (*route, status, count))
        })
    }

    /// The latency in seconds of each of [`ROUTES`]: bounds, counts and sum.
    pub fn latencies(&self) -> impl Iterator<Item = (&[f64], Vec<u64>, f64)> {
        self.latency.iter().map(Histogram::values)
    }

    /// The batch sizes: bounds, counts and sum.
    pub fn batch_sizes(&self) -> (&[f64], Vec<u64>, f64) {
        self.batches.values()
    }

    /// Reasons and numbers of rejected requests.
    pub fn rejections(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS.iter().zip(&self.rejected).map(|(reason, count)| (*reason, count.load(Relaxed)))
    }

    /// Numbers of reloads and of refused model files.
    pub fn models(&self) -> [u64; 2] {
        [&self.reloads, &self.refusals].map(|count| count.load(Relaxed))
    }
}

/// The route of a path; none if it has no counter of its own.
pub(super) fn route_of(path: &str) -> Option<&'static str> {
    ROUTES[..ROUTES.len() - 1].iter().find(|route| **route == path).copied()
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    std::array::from_fn(|_| AtomicU64::new(0))
}

/// The index of a value, or the last one.
fn index_of<T: PartialEq>(among: &[T], value: &T) -> usize {
    among.iter().position(|known| known == value).unwrap_or(among.len() - 1)
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    line(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
}

/// Escapes the value of a label.
pub(super) fn label(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

fn line(text: &mut String, line: std::fmt::Arguments) {
    writeln!(text, "{line}").expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_end_with_the_count() {
        let metrics = Metrics::new();
        for rows in [1, 3, 64, 5000] {
            metrics.computed(rows);
        }
        metrics.answered("/v1/predict", 200, Duration::from_millis(3));
        metrics.answered("/nowhere", 404, Duration::from_secs(60));
        metrics.rejected(Rejected::Rate);
        metrics.refused("a \"flipped\" bit");
        let text = metrics.text(7, 2);
        for expected in [
            "cresset_batch_rows_bucket{le=\"1\"} 1\n",
            "cresset_batch_rows_bucket{le=\"64\"} 3\n",
            "cresset_batch_rows_bucket{le=\"1024\"} 3\n",
            "cresset_batch_rows_bucket{le=\"+Inf\"} 4\n",
            "cresset_batch_rows_sum 5068\n",
            "cresset_batch_rows_count 4\n",
            "cresset_requests_total{route=\"/v1/predict\",status=\"200\"} 1\n",
            "cresset_requests_total{route=\"other\",status=\"404\"} 1\n",
            "cresset_request_seconds_bucket{route=\"/v1/predict\",le=\"0.005\"} 1\n",
            "cresset_request_seconds_bucket{route=\"other\",le=\"10\"} 0\n",
            "cresset_request_seconds_count{route=\"other\"} 1\n",
            "cresset_rejected_total{reason=\"rate\"} 1\n",
            "cresset_queue_rows 7\n",
            "cresset_refused_models_total 1\n",
            "cresset_model_refused{reason=\"a \\\"flipped\\\" bit\"} 1\n",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
        metrics.reloaded();
        assert!(metrics.text(0, 0).contains("cresset_model_refused 0\n"));
    }
}
