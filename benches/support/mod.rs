//! What the benchmarks share.
#![allow(dead_code, reason = "every benchmark uses a part of it")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

/// The held-out accuracy (0 to 1) after the last epoch of a run, by which nothing was chosen: the epoch that is exported is
/// the one with the least held-out loss, and its accuracy on the same rows is flattered.
pub fn last_accuracy(run: &Path) -> f64 {
    let mut metrics = csv::Reader::from_path(run.join("metrics.csv")).expect("the run wrote its metrics");
    let column = metrics.headers().expect("a header").iter().position(|name| name == "held_out_accuracy");
    let last = metrics.records().last().expect("an epoch ended").expect("a row");
    last[column.expect("there are held-out rows")].parse().expect("a number")
}

/// The wall time of a process, and what it printed.
pub fn seconds(command: &mut Command) -> (f64, String) {
    let begun = Instant::now();
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let seconds = begun.elapsed().as_secs_f64();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    (seconds, String::from_utf8(output.stdout).expect("UTF-8"))
}

/// The median of the rounds' ratios.
pub fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    median(&ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>())
}

/// The median, and the least and the greatest value, with so many digits behind the point.
pub fn spread(values: &[f64], digits: usize) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(0., f64::max);
    format!("{:.digits$} ({least:.digits$}–{greatest:.digits$})", median(values))
}

/// The median.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// A process that waits for its turns: it is told what to do by lines, and answers by lines.
pub struct Worker {
    child: Child,
    turns: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts it.
    pub fn start(command: &mut Command) -> std::io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (turns, answers) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        Ok(Worker { child, turns, answers: BufReader::new(answers) })
    }

    /// Tells it something.
    pub fn tell(&mut self, turn: &str) -> std::io::Result<()> {
        writeln!(self.turns, "{turn}")
    }

    /// Its next line; none if it has ended.
    pub fn answer(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.answers.read_line(&mut line).ok()? > 0).then(|| line.trim().to_string())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It holds memory that the next job may need.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
