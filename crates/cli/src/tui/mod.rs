//! `cresset train --tui`: a full-screen dashboard.

mod keys;
mod view;

use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::Context;
use cresset::error::{Error, Result};
use cresset::model::Network;
use cresset::train::{Callback, EpochRecord, Flow, MetricsLog, Training};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use super::progress::{INTERVAL, Pace};
use super::screen;
use keys::Keys;
use view::State;

/// Full-screen learning curves and metrics of a training run, until it is dropped.
pub struct Dashboard {
    // Dropped first: its thread stops reading from the terminal, and the terminal is restored.
    keys: Keys,
    terminal: Terminal<CrosstermBackend<std::io::Stderr>>,
    state: State,
    pace: Pace,
    shown: Instant,
}

/// Fails if standard error is not a terminal.
pub fn refuse_without_terminal() -> Result<()> {
    if stderr().is_terminal() {
        return Ok(());
    }
    let problem = "--tui needs a terminal, and standard error is not one; remove the option";
    Err(Error::Usage(problem.into()))
}

impl Dashboard {
    /// Switches the terminal to full screen. `metrics` is the run's metrics.csv; q and Ctrl-C set `stop`.
    pub fn open(title: String, metrics: &Path, stop: Arc<AtomicBool>) -> anyhow::Result<Self> {
        refuse_without_terminal()?;
        let history = MetricsLog::read_if_exists(metrics)?;
        let backend = CrosstermBackend::new(stderr());
        enable_raw_mode().context("cannot set up the terminal")?;
        // From here on, dropping the keys restores the terminal.
        let keys = Keys::listen(stop);
        screen::start_full_screen();
        execute!(stderr(), EnterAlternateScreen).context("cannot set up the terminal")?;
        let terminal = Terminal::new(backend).context("cannot set up the terminal")?;
        let state = State { title, history, ..State::default() };
        Ok(Dashboard { keys, terminal, state, pace: Pace::new(), shown: Instant::now() })
    }

    /// Errors are only logged: training goes on if the terminal is closed.
    fn draw(&mut self) {
        self.shown = Instant::now();
        self.state.note = self.keys.note().map(str::to_string).or_else(screen::last_buffered_line);
        if let Err(error) = self.terminal.draw(|frame| view::draw(&self.state, frame)) {
            tracing::debug!("cannot draw on the terminal: {error}");
        }
    }
}

/// Restores the terminal.
fn restore_terminal() {
    // Errors are ignored: the terminal may be closed.
    let _ = execute!(stderr(), LeaveAlternateScreen);
    let _ = disable_raw_mode();
    screen::release();
}

impl Callback for Dashboard {
    fn epoch_started(&mut self, training: &Training) -> Result<()> {
        let finished = training.position().epoch - 1;
        // A killed run may have logged an epoch that is not in its last checkpoint.
        self.state.history.retain(|record| record.epoch <= finished);
        self.state.epochs = training.plan().epochs;
        self.state.steps = training.steps();
        self.state.outputs = training.plan().outputs.clone();
        self.state.step = training.position().step;
        self.state.epoch = training.position().epoch;
        self.draw();
        Ok(())
    }

    fn step_ended(&mut self, training: &Training, network: &Network) -> Result<Flow> {
        if self.shown.elapsed() >= INTERVAL {
            self.state.step = training.position().step;
            self.state.now = Some(self.pace.figures(training, network.device()));
            self.draw();
        }
        Ok(Flow::Continue)
    }

    fn epoch_ended(&mut self, _: &Training, _: &Network, record: &EpochRecord) -> Result<Flow> {
        self.state.history.push(*record);
        self.draw();
        Ok(Flow::Continue)
    }
}
