//! Traces and metrics of the server for OpenTelemetry, by OTLP over HTTP in its JSON encoding
//! (<https://opentelemetry.io/docs/specs/otlp/>).
//!
//! A thread sends them in intervals, so that requests never wait for the collector.

mod document;
mod exporter;
mod ids;
mod settings;
mod span;

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use axum::http::HeaderMap;

use crate::metrics::Metrics;
use cresset::error::Result;
use exporter::Exporter;
use settings::TelemetrySettings;
use span::{Parent, Span};
pub use span::{Phase, Phases};

/// Observed gauges: rows in the queue, and corrections.
pub type Gauges = Box<dyn Fn() -> [u64; 2] + Send>;

/// Collects spans and sends them, with the metrics.
pub struct Telemetry {
    settings: TelemetrySettings,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the exporter's thread shares with the requests.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    spans: Vec<Span>,
    /// Spans that did not fit.
    dropped: u64,
    is_ending: bool,
}

/// The trace of a request that is being answered.
pub struct Trace {
    parent: Option<Parent>,
    begun: Instant,
    time: SystemTime,
}

/// What is said about a request that was answered.
pub struct Answered<'a> {
    /// The method.
    pub method: &'a str,
    /// The route, such as `/v1/predict`; none for unknown paths.
    pub route: Option<&'a str>,
    /// The status of the response.
    pub status: u16,
    /// The parts of the work.
    pub phases: Vec<Phase>,
}

/// Starts telemetry if the variables of OpenTelemetry name an endpoint.
///
/// # Errors
/// Variables with invalid values.
pub fn start(metrics: &Arc<Metrics>, gauges: Gauges) -> Result<Option<Telemetry>> {
    let settings = TelemetrySettings::from_environment()?;
    Ok(settings.map(|settings| Telemetry::start(settings, Arc::clone(metrics), gauges)))
}

impl Telemetry {
    /// Starts the thread that sends.
    fn start(settings: TelemetrySettings, metrics: Arc<Metrics>, gauges: Gauges) -> Self {
        let shared = Arc::new(Shared::default());
        let exporter = Exporter::new(&settings, metrics, gauges);
        let (own, intervals) = (Arc::clone(&shared), settings.clone());
        let thread = std::thread::spawn(move || send_in_intervals(exporter, &own, &intervals));
        Telemetry { settings, shared, thread: Mutex::new(Some(thread)) }
    }

    /// The trace of a request that arrives; none if the sampler leaves it out.
    pub fn begin(&self, headers: &HeaderMap) -> Option<Trace> {
        let header = headers.get("traceparent").and_then(|header| header.to_str().ok());
        let parent = header.and_then(Parent::read);
        let is_sampled = self.settings.traces.is_some() && self.settings.sampler.takes(parent.as_ref());
        is_sampled.then(|| Trace { parent, begun: Instant::now(), time: SystemTime::now() })
    }

    /// Records the request of a trace.
    pub fn end(&self, trace: Trace, answered: Answered) {
        let spans = Span::of_request(&trace, answered);
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.settings.most_spans.saturating_sub(state.spans.len());
        if spans.len() > room {
            state.dropped += spans.len() as u64;
            return;
        }
        state.spans.extend(spans);
        if state.spans.len() >= self.settings.most_spans / 4 {
            self.shared.changed.notify_one();
        }
    }

    /// Sends what is left and ends the thread.
    pub fn stop(&self) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).is_ending = true;
        self.shared.changed.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.into_iter().for_each(|thread| drop(thread.join()));
    }
}

fn send_in_intervals(mut exporter: Exporter, shared: &Shared, settings: &TelemetrySettings) {
    let mut metrics_due = Instant::now() + settings.metric_interval;
    loop {
        let waits = |state: &mut State| !state.is_ending && state.spans.len() < settings.most_spans / 4;
        let pause = settings.span_interval.min(metrics_due.saturating_duration_since(Instant::now()));
        let state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = shared.changed.wait_timeout_while(state, pause.max(Duration::from_millis(1)), waits);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let (spans, dropped) = (std::mem::take(&mut state.spans), std::mem::take(&mut state.dropped));
        let is_ending = state.is_ending;
        drop(state);
        if dropped > 0 {
            tracing::debug!("{dropped} spans were dropped, because the collector is too slow");
        }
        exporter.send_spans(spans);
        if is_ending || Instant::now() >= metrics_due {
            exporter.send_metrics();
            metrics_due = Instant::now() + settings.metric_interval;
        }
        if is_ending {
            return;
        }
    }
}
