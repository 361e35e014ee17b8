//! How long it took, and how long an answer takes.

use super::Report;
use crate::evaluate::numbers::thousands;
use crate::report::html::escaped;
use crate::report::speed::BATCH;

pub fn section(report: &Report) -> Option<String> {
    let seconds: f64 = report.epochs.iter().map(|record| record.seconds).sum();
    let epochs = report.epochs.len().max(1) as f64;
    let rows = report.metadata.metrics.train_rows as f64;
    let speed = &report.speed;
    let mut tiles = vec![
        ("training", time(seconds), format!("{} an epoch, its evaluation included", time(seconds / epochs))),
        ("one answer", time(speed.one), format!("on {}", escaped(&speed.device))),
        ("answers a second", thousands((1. / speed.of_many) as usize), format!("in batches of {BATCH}")),
        ("model.pt", format!("{} kB", thousands(report.file.bytes.div_ceil(1000))), String::new()),
    ];
    if seconds > 0. {
        let rate = thousands((rows * epochs / seconds) as usize);
        tiles.insert(1, ("examples a second", rate, "in training".to_string()));
    }
    Some(super::tiles(&tiles))
}

/// A time in its own unit.
fn time(seconds: f64) -> String {
    match seconds {
        _ if seconds >= 120. => format!("{:.1} min", seconds / 60.),
        _ if seconds >= 1. => format!("{seconds:.2} s"),
        _ if seconds >= 1e-3 => format!("{:.2} ms", 1e3 * seconds),
        _ => format!("{:.1} µs", 1e6 * seconds),
    }
}
