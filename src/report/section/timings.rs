//! Training time, and inference latency and throughput.

use super::Report;
use crate::evaluate::numbers::thousands;
use crate::report::html::escaped;
use crate::report::speed::BATCH;

pub fn section(report: &Report) -> Option<String> {
    let seconds: f64 = report.epochs.iter().map(|record| record.seconds).sum();
    let epochs = report.epochs.len().max(1) as f64;
    let rows = report.metadata.metrics.train_rows as f64;
    let speed = &report.speed;
    let [one, many] = match report.recommended {
        Some(_) => ["latency, one user", "throughput, users/s"],
        None => ["latency, one example", "throughput, examples/s"],
    };
    let mut tiles = vec![
        (
            "training",
            format_time(seconds),
            format!("{} per epoch, including validation", format_time(seconds / epochs)),
        ),
        (one, format_time(speed.one), format!("on {}", escaped(&speed.device))),
        (many, thousands((1. / speed.of_many) as usize), format!("batch size {BATCH}")),
        ("model.pt", format!("{} kB", thousands(report.file.bytes.div_ceil(1000))), String::new()),
    ];
    if seconds > 0. {
        let rate = thousands((rows * epochs / seconds) as usize);
        tiles.insert(1, ("training examples/s", rate, "mean over all epochs".to_string()));
    }
    Some(super::tiles(&tiles))
}

/// Formats a time in a suitable unit.
fn format_time(seconds: f64) -> String {
    match seconds {
        _ if seconds >= 120. => format!("{:.1} min", seconds / 60.),
        _ if seconds >= 1. => format!("{seconds:.2} s"),
        _ if seconds >= 1e-3 => format!("{:.2} ms", 1e3 * seconds),
        _ => format!("{:.1} µs", 1e6 * seconds),
    }
}
