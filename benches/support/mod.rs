//! Helpers shared by the benchmarks.
#![allow(dead_code, reason = "every benchmark uses only some of them")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Changes to the root of the checkout, or of the GPU kit. Cargo starts benchmarks in the folder of their package.
pub fn enter_checkout() {
    let kit = std::env::var_os("CRESSET_KIT");
    let root = kit.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../..").into());
    std::env::set_current_dir(root).expect("the checkout is there");
}

/// The validation accuracy (0 to 1) after the last epoch of a run, which is unbiased: the exported epoch is the one with the
/// lowest validation loss, so its accuracy on the same rows is too optimistic.
pub fn last_accuracy(run: &Path) -> f64 {
    let mut metrics = csv::Reader::from_path(run.join("metrics.csv")).expect("the run wrote its metrics");
    let column = metrics.headers().expect("a header").iter().position(|name| name == "held_out_accuracy");
    let last = metrics.records().last().expect("an epoch was completed").expect("a row");
    last[column.expect("there is a validation set")].parse().expect("a number")
}

/// The accuracy, from 0 to 1, of the exported model of a run on a test set.
pub fn test_accuracy(run: &Path, test: &Path) -> f64 {
    test_metrics(run, test, ["accuracy"])[0]
}

/// Metrics of the exported model of a run on a test set.
pub fn test_metrics<const COUNT: usize>(run: &Path, test: &Path, names: [&str; COUNT]) -> [f64; COUNT] {
    let figures = run.join("test.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
    seconds(command.arg("eval").arg(run).arg(test).arg("--json").arg(&figures));
    let text = std::fs::read_to_string(figures).expect("eval wrote the metrics");
    let figures: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let metrics = figures["metrics"].as_array().expect("a list");
    let value = |name| metrics.iter().find(|metric| metric["name"] == name)?["value"].as_f64();
    names.map(|name| value(name).unwrap_or_else(|| panic!("eval has no {name}")))
}

/// Replaces the text between the marks of a benchmark in a page of the documentation.
pub fn write_between_marks(page: &str, benchmark: &str, text: &str) {
    let marks = [format!("<!-- begin of {benchmark} -->\n"), format!("<!-- end of {benchmark} -->")];
    let whole = std::fs::read_to_string(page).expect("the page is there");
    let (before, rest) = whole.split_once(&marks[0]).expect("the first mark");
    let (_, after) = rest.split_once(&marks[1]).expect("the second mark");
    std::fs::write(page, [before, &marks[0], "\n", text, "\n", &marks[1], after].concat()).expect("writable");
}

/// The digits without their labels, one comma-separated row each.
pub fn digits() -> Vec<String> {
    let text = std::fs::read_to_string("data/digits.csv").expect("`make data` fetches the digits");
    text.lines()
        .map(|line| line.rsplit_once(',').expect("the label is the last cell").0.to_string())
        .collect()
}

/// The wall time of a process, its standard output, and its peak resident set size in MB.
pub fn watched(command: &mut Command) -> (f64, String, f64) {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let begun = Instant::now();
    let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (id, is_over) = (child.id().to_string(), AtomicBool::new(false));
    let (output, peak) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut peak = 0f64;
            while !is_over.load(Ordering::Relaxed) {
                peak = peak.max(peak_mb(&id).unwrap_or(0.));
                std::thread::sleep(Duration::from_millis(2));
            }
            peak
        });
        let output = child.wait_with_output().expect("the process ends");
        is_over.store(true, Ordering::Relaxed);
        (output, watch.join().expect("the watcher thread finishes"))
    });
    let seconds = begun.elapsed().as_secs_f64();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    (seconds, String::from_utf8(output.stdout).expect("UTF-8"), peak)
}

/// The wall time of a process, and its standard output.
pub fn seconds(command: &mut Command) -> (f64, String) {
    let begun = Instant::now();
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let seconds = begun.elapsed().as_secs_f64();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    (seconds, String::from_utf8(output.stdout).expect("UTF-8"))
}

/// The folder of the packages of a Python environment.
pub fn python_packages(python: &Path) -> PathBuf {
    let folder = "import sysconfig; print(sysconfig.get_path('purelib'))";
    seconds(Command::new(python).args(["-c", folder])).1.trim().into()
}

/// The median of the rounds' ratios.
pub fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    median(&ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>())
}

/// The median, minimum and maximum, with `digits` decimals.
pub fn spread(values: &[f64], digits: usize) -> String {
    let (least, greatest) = range(values);
    format!("{:.digits$} ({least:.digits$}–{greatest:.digits$})", median(values))
}

/// The minimum and maximum.
pub fn range(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    (least, values.iter().copied().fold(0., f64::max))
}

/// The median.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The peak resident set size of a process (`self` is this one) so far, in MB.
pub fn peak_mb(process: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kb| kb / 1024.)
}

/// A process that waits for its turn: it receives commands and sends answers, one per line.
pub struct Worker {
    child: Child,
    turns: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts the process.
    pub fn start(command: &mut Command) -> std::io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (turns, answers) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        Ok(Worker { child, turns, answers: BufReader::new(answers) })
    }

    /// Sends it a line.
    pub fn tell(&mut self, turn: &str) -> std::io::Result<()> {
        writeln!(self.turns, "{turn}")
    }

    /// Its next line; `None` if it has ended.
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
