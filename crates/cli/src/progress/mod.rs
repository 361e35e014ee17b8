//! Progress on standard error: a progress bar and a line per epoch of training, and downloads.

mod download;
mod figures;

use std::time::{Duration, Instant};

use cresset::error::Result;
use cresset::model::Network;
use cresset::train::head::HeadFit;
use cresset::train::{Callback, EpochRecord, Flow, Training};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::screen;
pub use download::{download_data, resolve, with_bar};
pub use figures::Pace;
#[cfg(feature = "tui")]
pub use figures::{Figures, duration, rounded, short};

/// A progress bar for the current epoch and a line for each finished one. Without a terminal (a file, CI), it prints a line every
/// minute of a long epoch instead of the bar.
pub struct Progress {
    bar: ProgressBar,
    pace: Pace,
    shown: Instant,
    epochs: u32,
    width: usize,
}

/// Interval between updates. Reading the loss waits for the device, so it is not read at every step.
pub const INTERVAL: Duration = Duration::from_millis(100);

/// Interval between updates that print a line.
const LINE_INTERVAL: Duration = Duration::from_secs(60);

/// Maximum width of the bar in columns.
const BAR: usize = 24;

impl Progress {
    /// A hidden bar.
    pub fn new() -> Self {
        Progress { bar: ProgressBar::hidden(), pace: Pace::new(), shown: Instant::now(), epochs: 0, width: 0 }
    }

    fn line(&self, text: String) {
        if self.bar.is_hidden() { screen::tell(&text) } else { self.bar.println(text) }
    }

    /// Fits the bar to the terminal, which may have been resized.
    fn fit(&mut self) {
        let width = terminal_size::terminal_size_of(std::io::stderr())
            .map_or(80, |(columns, _)| usize::from(columns.0));
        if width == self.width {
            return;
        }
        self.width = width;
        let bar = BAR.min(width / 4);
        let template = format!("epoch {{prefix}}  {{bar:{bar}.cyan}} {{percent:>3}} %  {{msg}}");
        let style = ProgressStyle::with_template(&template).expect("the template is valid");
        self.bar.set_style(style.progress_chars("━╸ "));
    }

    /// Columns available for metrics after `epoch   3/10  ━━━  45 %  `.
    fn room(&self) -> usize {
        let taken = "epoch ".len() + self.bar.prefix().len() + 2 + BAR.min(self.width / 4) + " 100 %  ".len();
        self.width.saturating_sub(taken + 1)
    }
}

/// Whether to print lines instead of a bar: CI logs would keep every redraw of the bar as a line.
fn is_plain() -> bool {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    variable("TERM") == "dumb" || !["", "0", "false"].contains(&variable("CI").as_str())
}

impl Callback for Progress {
    fn head_fitted(&mut self, fit: &HeadFit) -> Result<()> {
        let [rows, width] = fit.features;
        let source = if fit.is_cached { "read from the cache" } else { "computed" };
        let resumed = match fit.resumed {
            0 => String::new(),
            count => format!(", {count} of them before an interruption"),
        };
        self.line(format!("features  {rows} of {width} values, {source} in {:.2} s{resumed}", fit.seconds));
        for (index, attempt) in fit.attempts.iter().enumerate() {
            let mark = if index == fit.best { "   best" } else { "" };
            self.line(format!(
                "{}  {:<22} loss {:.4}  accuracy {:6.2} %   validation: loss {:.4}  accuracy {:6.2} %   {:.2} s{mark}",
                fit.head,
                attempt.setting,
                attempt.train_loss,
                100. * attempt.train_accuracy,
                attempt.validation_loss,
                100. * attempt.validation_accuracy,
                attempt.seconds,
            ));
        }
        Ok(())
    }

    fn epoch_started(&mut self, training: &Training) -> Result<()> {
        let (epoch, epochs) = (training.position().epoch, training.plan().epochs);
        let target = if is_plain() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        self.bar = ProgressBar::with_draw_target(Some(training.steps() as u64), target)
            .with_prefix(format!("{epoch:>3}/{epochs}"));
        (self.shown, self.epochs, self.width) = (Instant::now(), epochs, 0);
        if !self.bar.is_hidden() {
            self.fit();
            screen::show_bar(&self.bar);
        }
        Ok(())
    }

    fn step_ended(&mut self, training: &Training, network: &Network) -> Result<Flow> {
        let interval = if self.bar.is_hidden() { LINE_INTERVAL } else { INTERVAL };
        if self.shown.elapsed() < interval {
            return Ok(Flow::Continue);
        }
        self.shown = Instant::now();
        let step = training.position().step;
        let figures = self.pace.figures(training, network.device());
        if self.bar.is_hidden() {
            let share = 100 * step / training.steps().max(1);
            screen::tell(&format!(
                "epoch {}  {share:>3} %  {}",
                self.bar.prefix(),
                figures.within(usize::MAX)
            ));
        } else {
            self.fit();
            self.bar.set_message(figures.within(self.room()));
            self.bar.set_position(step as u64);
        }
        Ok(Flow::Continue)
    }

    fn epoch_ended(&mut self, training: &Training, _: &Network, record: &EpochRecord) -> Result<Flow> {
        let outputs = &training.plan().outputs;
        let name = outputs.score_name();
        let scores =
            [record.train_accuracy, record.validation_accuracy].map(|score| outputs.show_score(score));
        self.line(format!(
            "epoch {:>3}/{}  loss {:.4}  {name} {:>8}   validation: loss {:.4}  {name} {:>8}   {:.2} s",
            record.epoch,
            self.epochs,
            record.train_loss,
            scores[0],
            record.validation_loss,
            scores[1],
            record.seconds,
        ));
        self.bar.finish_and_clear();
        screen::release();
        Ok(Flow::Continue)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // Training may have ended within an epoch.
        self.bar.finish_and_clear();
        screen::release();
    }
}
