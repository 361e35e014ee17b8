//! Metrics of a training run in progress.

use std::time::{Duration, Instant};

use cresset::train::Training;
use tch::Device;

/// Measures throughput since the first call of [`Pace::figures`].
pub struct Pace {
    /// Time, steps and examples at the first call.
    started: Option<(Instant, u64, u64)>,
}

/// A snapshot of the metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Mean loss of the epoch so far.
    pub loss: f64,
    /// Name and value of the score of the epoch so far.
    pub score: (&'static str, String),
    /// Learning rate.
    pub lr: f64,
    /// Throughput of all processes, in examples per second.
    pub rate: Option<f64>,
    /// Time until the end of the last epoch.
    pub remaining: Option<Duration>,
    /// Memory in bytes: allocated on the GPU, or resident in this process.
    pub memory: Option<u64>,
}

impl Pace {
    pub fn new() -> Self {
        Pace { started: None }
    }

    /// The current metrics. Reading them waits for the device.
    pub fn figures(&mut self, training: &Training, device: Device) -> Figures {
        let (steps, all, rows) = steps(training);
        let (since, first, first_rows) = *self.started.get_or_insert((Instant::now(), steps, rows));
        let (seconds, done) = (since.elapsed().as_secs_f64(), steps - first);
        let (running, outputs) = (training.running(), &training.plan().outputs);
        let is_known = done > 0 && seconds > 0.;
        let remaining = || Duration::try_from_secs_f64(seconds / done as f64 * (all - steps) as f64).ok();
        Figures {
            loss: running.loss(),
            score: (outputs.score_name(), outputs.show_score(running.score())),
            lr: training.lr(),
            rate: is_known.then(|| (rows - first_rows) as f64 / seconds),
            remaining: is_known.then(remaining).flatten(),
            memory: memory(device),
        }
    }
}

/// Finished steps, total steps, and examples in the finished steps.
fn steps(training: &Training) -> (u64, u64, u64) {
    let (position, per_epoch) = (training.position(), training.steps() as u64);
    let epochs = u64::from(position.epoch) - 1;
    let done = epochs * per_epoch + position.step as u64;
    let batch = training.plan().batch_size as u64 * u64::from(training.world().size());
    (done, (u64::from(training.plan().epochs) * per_epoch).max(done), done * batch)
}

/// Memory in bytes: of the GPU if the CUDA plugin can be opened, or of this process (on Linux).
fn memory(device: Device) -> Option<u64> {
    if device.is_cuda() {
        return cresset_bridge::cuda::memory(device).ok().map(|memory| memory.allocated as u64);
    }
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(1024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?)
}

impl Figures {
    /// As many metrics as fit into `room` columns, the most important first.
    pub fn within(&self, room: usize) -> String {
        let parts = [
            Some(format!("loss {:.4}", self.loss)),
            Some(format!("{} {}", self.score.0, self.score.1)),
            self.remaining.map(|remaining| format!("ETA {}", duration(remaining))),
            self.rate.map(|rate| format!("{}/s", short(rate))),
            Some(format!("lr {}", rounded(self.lr))),
            self.memory.map(|bytes| format!("{}B", short(bytes as f64))),
        ];
        let mut text = String::new();
        for part in parts.into_iter().flatten() {
            let gap = if text.is_empty() { 0 } else { 2 };
            if text.len() + gap + part.len() > room {
                break;
            }
            text = text + &" ".repeat(gap) + &part;
        }
        text
    }
}

/// `1:02:03`, or `2:03` below an hour.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Three digits and an SI prefix: 12300 as `12.3 k`.
pub fn short(number: f64) -> String {
    const STEPS: [(f64, &str); 3] = [(1e9, " G"), (1e6, " M"), (1e3, " k")];
    let (number, letter) = STEPS
        .iter()
        .find(|(step, _)| number >= *step)
        .map_or((number, " "), |(step, letter)| (number / step, letter));
    let decimals = if number >= 100. { 0 } else { 1 };
    format!("{number:.decimals$}{letter}")
}

/// A learning rate with three digits: `0.001`, or `3.16e-5` if that is shorter.
pub fn rounded(rate: f64) -> String {
    let exponent = if rate > 0. { rate.log10().floor() as i32 } else { 0 };
    match exponent {
        -3..=2 => {
            let decimals = (2 - exponent) as usize;
            let text = format!("{rate:.decimals$}");
            text.trim_end_matches('0').trim_end_matches('.').to_string()
        }
        _ => format!("{:.2}e{exponent}", rate / 10f64.powi(exponent)).replace(".00e", "e"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_line_shows_the_most_important_metrics() {
        let figures = Figures {
            loss: 0.5,
            score: ("accuracy", "75.00 %".to_string()),
            lr: 1e-3,
            rate: Some(12_345.),
            remaining: Some(Duration::from_secs(3723)),
            memory: Some(312_000_000),
        };
        let whole = "loss 0.5000  accuracy 75.00 %  ETA 1:02:03  12.3 k/s  lr 0.001  312 MB";
        assert_eq!(figures.within(100), whole);
        assert_eq!(figures.within(whole.len()), whole);
        assert_eq!(
            figures.within(whole.len() - 1),
            "loss 0.5000  accuracy 75.00 %  ETA 1:02:03  12.3 k/s  lr 0.001"
        );
        assert_eq!(figures.within(20), "loss 0.5000");
        assert_eq!(figures.within(3), "");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([short(7.), short(999.4), short(1234.), short(2.5e9)], ["7.0 ", "999 ", "1.2 k", "2.5 G"]);
        assert_eq!(
            [rounded(0.001), rounded(3.162e-5), rounded(1.), rounded(0.)],
            ["0.001", "3.16e-5", "1", "0"]
        );
        assert_eq!(duration(Duration::from_secs(61)), "1:01");
    }
}
