//! The settings of OpenTelemetry, from its environment variables
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).

use std::time::Duration;

use cresset::error::{Error, Result, quoted};

use super::span::Parent;

/// Where and how traces and metrics are sent.
#[derive(Debug, Clone, PartialEq)]
pub struct TelemetrySettings {
    /// The URL for traces; none if they are off.
    pub traces: Option<String>,
    /// The URL for metrics; none if they are off.
    pub metrics: Option<String>,
    /// Headers of all requests.
    pub headers: Vec<(String, String)>,
    /// Attributes of the resource, with `service.name`.
    pub resource: Vec<(String, String)>,
    /// The time limit of a request.
    pub timeout: Duration,
    /// Time between requests with spans.
    pub span_interval: Duration,
    /// Time between requests with metrics.
    pub metric_interval: Duration,
    /// The largest number of spans that wait to be sent.
    pub most_spans: usize,
    /// Which requests are traced.
    pub sampler: Sampler,
}

/// Which requests are traced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether the decision of the caller counts, if there is one.
    pub follows_parent: bool,
    /// The share of other requests.
    pub share: f64,
}

impl Sampler {
    /// Whether a request is traced.
    pub fn takes(self, parent: Option<&Parent>) -> bool {
        match parent {
            Some(parent) if self.follows_parent => parent.is_sampled,
            // The last 14 digits of a trace's ID are random.
            Some(parent) => self.takes_random(u64::from_str_radix(&parent.trace[18..], 16).unwrap_or(0)),
            None => self.takes_random(u64::from_str_radix(&super::ids::span()[2..], 16).unwrap_or(0)),
        }
    }

    /// `random` has 56 bits.
    fn takes_random(self, random: u64) -> bool {
        (random as f64) < self.share * (1u64 << 56) as f64
    }
}

/// Looks up a variable.
type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

impl TelemetrySettings {
    /// The settings by the variables of this process; none without an endpoint.
    ///
    /// # Errors
    /// Invalid values, and protocols other than `http/json`.
    pub fn from_environment() -> Result<Option<Self>> {
        TelemetrySettings::of(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    pub(super) fn of(get: Variables) -> Result<Option<Self>> {
        if get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let (traces, metrics) = (endpoint(get, "traces")?, endpoint(get, "metrics")?);
        if traces.is_none() && metrics.is_none() {
            return Ok(None);
        }
        let milliseconds = |name: &str, default: u64| -> Result<Duration> {
            let parsed = get(name).map_or(Ok(default), |value| value.parse());
            let wrong = |_| invalid(name, &get(name).unwrap_or_default(), "a number of milliseconds");
            parsed.map(Duration::from_millis).map_err(wrong)
        };
        let mut resource = pairs(get, "OTEL_RESOURCE_ATTRIBUTES")?;
        let name = get("OTEL_SERVICE_NAME").or_else(|| {
            resource.iter().find(|(key, _)| key == "service.name").map(|(_, value)| value.clone())
        });
        resource.retain(|(key, _)| key != "service.name");
        resource.insert(0, ("service.name".to_string(), name.unwrap_or("cresset".to_string())));
        resource.push(("service.version".to_string(), env!("CARGO_PKG_VERSION").to_string()));
        let most_spans = get("OTEL_BSP_MAX_QUEUE_SIZE");
        let most_spans = most_spans.map_or(Ok(2048), |value| {
            value.parse().map_err(|_| invalid("OTEL_BSP_MAX_QUEUE_SIZE", &value, "a number"))
        });
        Ok(Some(TelemetrySettings {
            traces,
            metrics,
            headers: pairs(get, "OTEL_EXPORTER_OTLP_HEADERS")?,
            resource,
            timeout: milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000)?,
            span_interval: milliseconds("OTEL_BSP_SCHEDULE_DELAY", 5000)?,
            metric_interval: milliseconds("OTEL_METRIC_EXPORT_INTERVAL", 60_000)?,
            most_spans: most_spans?,
            sampler: sampler(get)?,
        }))
    }
}

/// The URL for a signal, `traces` or `metrics`; none if it is off.
fn endpoint(get: Variables, signal: &str) -> Result<Option<String>> {
    let upper = signal.to_ascii_uppercase();
    let exporter = format!("OTEL_{upper}_EXPORTER");
    match get(&exporter).as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => return Err(invalid(&exporter, other, "otlp or none")),
    }
    let own = format!("OTEL_EXPORTER_OTLP_{upper}_ENDPOINT");
    let general = || {
        let name = "OTEL_EXPORTER_OTLP_ENDPOINT";
        get(name).map(|base| (name.to_string(), format!("{}/v1/{signal}", base.trim_end_matches('/'))))
    };
    let Some((name, url)) = get(&own).map(|url| (own, url)).or_else(general) else { return Ok(None) };
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(invalid(&name, &url, "an address such as http://localhost:4318"));
    }
    for name in [format!("OTEL_EXPORTER_OTLP_{upper}_PROTOCOL"), "OTEL_EXPORTER_OTLP_PROTOCOL".to_string()] {
        match get(&name).as_deref() {
            None => continue,
            // Collectors take both encodings at the same address.
            Some("http/json" | "http/protobuf") => break,
            Some(other) => {
                return Err(invalid(
                    &name,
                    other,
                    "http/json; set the address of OTLP over HTTP, usually port 4318",
                ));
            }
        }
    }
    Ok(Some(url))
}

/// The sampler, by default that of the caller, and all requests without one.
fn sampler(get: Variables) -> Result<Sampler> {
    let argument = || -> Result<f64> {
        let text = get("OTEL_TRACES_SAMPLER_ARG").unwrap_or("1".to_string());
        let share = text.parse().ok().filter(|share| (0. ..=1.).contains(share));
        share.ok_or_else(|| invalid("OTEL_TRACES_SAMPLER_ARG", &text, "a number from 0 to 1"))
    };
    let name = get("OTEL_TRACES_SAMPLER").unwrap_or("parentbased_always_on".to_string());
    let (follows_parent, kind) = match name.strip_prefix("parentbased_") {
        Some(kind) => (true, kind),
        None => (false, name.as_str()),
    };
    let share = match kind {
        "always_on" => 1.,
        "always_off" => 0.,
        "traceidratio" => argument()?,
        _ => {
            let known = "always_on, always_off or traceidratio, or one of them after parentbased_";
            return Err(invalid("OTEL_TRACES_SAMPLER", &name, known));
        }
    };
    Ok(Sampler { follows_parent, share })
}

/// The pairs of a variable: `key=value,key=value`, with percent-encoded values.
fn pairs(get: Variables, name: &str) -> Result<Vec<(String, String)>> {
    let text = get(name).unwrap_or_default();
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        Some((key.trim().to_string(), decoded(value.trim())?)).filter(|(key, _)| !key.is_empty())
    };
    let parts = text.split(',').filter(|part| !part.trim().is_empty());
    // Headers hold credentials, so the error does not quote them.
    parts
        .map(|part| pair(part).ok_or_else(|| Error::Usage(format!("{name}: expected key=value,key=value"))))
        .collect()
}

/// A text without percent-encoding. None if it is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let encoded =
            digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%');
        bytes.push(encoded.unwrap_or(*first));
        rest = if encoded.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8(bytes).ok()
}

fn invalid(name: &str, value: &str, expected: &str) -> Error {
    Error::Usage(format!("{name}: {} is not supported; expected {expected}", quoted(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(set: &[(&str, &str)]) -> Result<Option<TelemetrySettings>> {
        let get = |name: &str| set.iter().find(|(own, _)| *own == name).map(|(_, value)| value.to_string());
        TelemetrySettings::of(&get)
    }

    const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318/");

    #[test]
    fn without_an_endpoint_it_is_off() {
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&[("OTEL_SERVICE_NAME", "digits")]).unwrap(), None);
        assert_eq!(of(&[BASE, ("OTEL_SDK_DISABLED", "true")]).unwrap(), None);
        assert_eq!(
            of(&[BASE, ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none")]).unwrap(),
            None
        );
    }

    #[test]
    fn the_variables_of_opentelemetry_are_read() {
        let settings = of(&[
            BASE,
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://metrics/path"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b%3D, other=c"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment.environment.name=test"),
            ("OTEL_SERVICE_NAME", "digits"),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.traces.as_deref(), Some("http://localhost:4318/v1/traces"));
        assert_eq!(settings.metrics.as_deref(), Some("https://metrics/path"));
        let pair = |key: &str, value: &str| (key.to_string(), value.to_string());
        assert_eq!(settings.headers, [pair("api-key", "a b="), pair("other", "c")]);
        assert_eq!(
            settings.resource[..2],
            [pair("service.name", "digits"), pair("deployment.environment.name", "test")]
        );
        assert_eq!((settings.span_interval.as_millis(), settings.metric_interval.as_secs()), (100, 60));
        assert_eq!(settings.sampler, Sampler { follows_parent: false, share: 0.25 });
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "localhost:4317"),
        ] {
            let error = of(&[BASE, (name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
        let error = of(&[BASE, ("OTEL_EXPORTER_OTLP_HEADERS", "secret")]).unwrap_err().to_string();
        assert!(error.contains("key=value") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_sampler_takes_its_share_and_follows_the_caller() {
        let quarter = Sampler { follows_parent: true, share: 0.25 };
        let taken = (0..10_000).filter(|_| quarter.takes(None)).count();
        assert!((2200..2800).contains(&taken), "{taken}");
        for is_sampled in [false, true] {
            let parent =
                Parent { is_sampled, ..Parent::read(&format!("00-{:032x}-{:016x}-01", 1, 1)).unwrap() };
            assert_eq!(quarter.takes(Some(&parent)), is_sampled);
            // The ID of the trace decides, the same in all services.
            assert!(Sampler { follows_parent: false, share: 0.25 }.takes(Some(&parent)));
        }
    }
}
