//! The progress bar.

use std::time::{Duration, Instant};

use cresset::error::Result;
use cresset::model::Network;
use cresset::train::{Callback, EpochRecord, Flow, Training};
use indicatif::{ProgressBar, ProgressStyle};

/// Shows a bar for the epoch under way and leaves a line for each that is over, on standard error.
pub struct Progress {
    bar: ProgressBar,
    shown: Instant,
    epochs: u32,
}

/// Reading the loss waits for the device, so it is done this often and not at every step.
const INTERVAL: Duration = Duration::from_millis(100);

impl Progress {
    /// A bar that is not shown yet.
    pub fn new() -> Self {
        Progress { bar: ProgressBar::hidden(), shown: Instant::now(), epochs: 0 }
    }

    fn line(&self, text: String) {
        // Without a terminal the bar is hidden, and the lines are still wanted, in a log file say.
        if self.bar.is_hidden() { eprintln!("{text}") } else { self.bar.println(text) }
    }
}

impl Callback for Progress {
    fn epoch_started(&mut self, training: &Training) -> Result<()> {
        let (epoch, epochs) = (training.position().epoch, training.plan().epochs);
        let style = ProgressStyle::with_template("epoch {prefix}  {bar:30} {pos}/{len}  {msg}");
        self.bar = ProgressBar::new(training.steps() as u64)
            .with_style(style.expect("the template is valid").progress_chars("━╸ "))
            .with_prefix(format!("{epoch:>3}/{epochs}"));
        self.shown = Instant::now();
        self.epochs = epochs;
        Ok(())
    }

    fn step_ended(&mut self, training: &Training, _network: &Network) -> Result<Flow> {
        if self.shown.elapsed() >= INTERVAL && !self.bar.is_hidden() {
            let running = training.running();
            self.bar.set_position(training.position().step as u64);
            self.bar.set_message(format!(
                "loss {:.4}  accuracy {:.2} %",
                running.loss(),
                100. * running.accuracy()
            ));
            self.shown = Instant::now();
        }
        Ok(Flow::Continue)
    }

    fn epoch_ended(&mut self, _: &Training, _: &Network, record: &EpochRecord) -> Result<Flow> {
        self.line(format!(
            "epoch {:>3}/{}  loss {:.4}  accuracy {:6.2} %   held out: loss {:.4}  accuracy {:6.2} %   {:.2} s",
            record.epoch,
            self.epochs,
            record.train_loss,
            100. * record.train_accuracy,
            record.held_out_loss,
            100. * record.held_out_accuracy,
            record.seconds,
        ));
        self.bar.finish_and_clear();
        Ok(Flow::Continue)
    }
}
