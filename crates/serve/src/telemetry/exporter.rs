//! Sends messages to the collector.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;
use ureq::Agent;

use super::span::Span;
use super::{Gauges, TelemetrySettings, document};
use crate::metrics::Metrics;

/// Statuses after which the same message may be accepted later.
const TEMPORARY: [u16; 4] = [429, 502, 503, 504];

/// Sends spans and metrics.
pub struct Exporter {
    agent: Agent,
    settings: TelemetrySettings,
    metrics: Arc<Metrics>,
    gauges: Gauges,
    begun: SystemTime,
    /// Spans that the collector did not take yet.
    waiting: Vec<Span>,
    is_away: bool,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    Accepted,
    /// To be sent again.
    Later,
    Refused,
}

impl Exporter {
    pub fn new(settings: &TelemetrySettings, metrics: Arc<Metrics>, gauges: Gauges) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(settings.timeout))
            .http_status_as_error(false)
            .user_agent(concat!("cresset/", env!("CARGO_PKG_VERSION")));
        Exporter {
            agent: config.build().new_agent(),
            settings: settings.clone(),
            metrics,
            gauges,
            begun: SystemTime::now(),
            waiting: Vec::new(),
            is_away: false,
        }
    }

    /// Sends spans, with those that wait. Of those that the collector does not take now, as many as fit wait for the next time.
    pub fn send_spans(&mut self, spans: Vec<Span>) {
        let Some(url) = self.settings.traces.clone() else { return };
        self.waiting.extend(spans);
        if self.waiting.is_empty() {
            return;
        }
        let message = document::traces(&self.settings.resource, &self.waiting);
        match self.send(&url, &message) {
            Sent::Accepted | Sent::Refused => self.waiting.clear(),
            Sent::Later => {
                let surplus = self.waiting.len().saturating_sub(self.settings.most_spans);
                self.waiting.drain(..surplus);
            }
        }
    }

    /// Sends the metrics. They are sums since the start, so the next message replaces one that was lost.
    pub fn send_metrics(&mut self) {
        let Some(url) = self.settings.metrics.clone() else { return };
        let message = document::metrics(&self.settings.resource, &self.metrics, (self.gauges)(), self.begun);
        self.send(&url, &message);
    }

    fn send(&mut self, url: &str, message: &Value) -> Sent {
        let mut request = self.agent.post(url).header("Content-Type", "application/json");
        for (name, value) in &self.settings.headers {
            request = request.header(name, value);
        }
        let (sent, problem) = match request.send(message.to_string().as_bytes()) {
            Ok(response) if response.status().is_success() => (Sent::Accepted, None),
            Ok(response) => {
                let status = response.status().as_u16();
                let sent = if TEMPORARY.contains(&status) { Sent::Later } else { Sent::Refused };
                (sent, Some(format!("it answered HTTP {status}")))
            }
            Err(error) => (Sent::Later, Some(error.to_string())),
        };
        match problem {
            Some(problem) if !self.is_away => {
                tracing::warn!("traces or metrics could not be sent to {url}: {problem}");
                self.is_away = true;
            }
            Some(problem) => tracing::debug!("traces or metrics could not be sent to {url}: {problem}"),
            None => self.is_away = false,
        }
        sent
    }
}
