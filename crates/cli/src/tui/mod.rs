//! `cresset train --tui`: the terminal as a dashboard.

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

/// Shows curves and figures of the training under way on the whole terminal, until it is dropped.
pub struct Dashboard {
    // Dropped first: nothing is read from the terminal any more when it is given back.
    keys: Keys,
    terminal: Terminal<CrosstermBackend<std::io::Stderr>>,
    state: State,
    pace: Pace,
    shown: Instant,
}

/// Refuses to begin where nothing could be drawn.
pub fn refuse_without_terminal() -> Result<()> {
    if stderr().is_terminal() {
        return Ok(());
    }
    let problem = "--tui draws on the terminal, and standard error is none here; leave the option out";
    Err(Error::Usage(problem.into()))
}

impl Dashboard {
    /// Takes the terminal. `title` is the run's, `metrics` its metrics.csv; the keys that end training set `stop`.
    pub fn open(title: String, metrics: &Path, stop: Arc<AtomicBool>) -> anyhow::Result<Self> {
        if !stderr().is_terminal() {
            let problem =
                "--tui draws on the terminal, and standard error is none here; leave the option out";
            return Err(Error::Usage(problem.into()).into());
        }
        let history = MetricsLog::so_far(metrics)?;
        let backend = CrosstermBackend::new(stderr());
        enable_raw_mode().context("cannot take the terminal")?;
        // From here on, dropping it gives the terminal back.
        let keys = Keys::listen(stop);
        screen::take_whole();
        execute!(stderr(), EnterAlternateScreen).context("cannot take the terminal")?;
        let terminal = Terminal::new(backend).context("cannot take the terminal")?;
        let state = State { title, history, ..State::default() };
        Ok(Dashboard { keys, terminal, state, pace: Pace::new(), shown: Instant::now() })
    }

    /// A terminal that has gone away is no reason to end training.
    fn draw(&mut self) {
        self.shown = Instant::now();
        self.state.note = self.keys.note().map(str::to_string).or_else(screen::last_kept);
        if let Err(error) = self.terminal.draw(|frame| view::draw(&self.state, frame)) {
            tracing::debug!("cannot draw on the terminal: {error}");
        }
    }
}

/// Gives the terminal back as it was.
fn leave() {
    // Where the terminal is gone there is nobody to tell.
    let _ = execute!(stderr(), LeaveAlternateScreen);
    let _ = disable_raw_mode();
    screen::give_back();
}

impl Callback for Dashboard {
    fn epoch_started(&mut self, training: &Training) -> Result<()> {
        let finished = training.position().epoch - 1;
        // A run that was killed may have written an epoch that its last checkpoint does not know.
        self.state.history.retain(|record| record.epoch <= finished);
        self.state.epochs = training.plan().epochs;
        self.state.steps = training.steps();
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
