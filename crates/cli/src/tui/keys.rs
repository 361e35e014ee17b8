//! The keys that stop training, read in a thread, so that they work during a long step.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, poll, read};

use super::restore_terminal;

/// Reads keys until it is dropped, which also restores the terminal.
pub struct Keys {
    stop: Arc<AtomicBool>,
    is_finished: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Polling interval of the thread.
const WAIT: Duration = Duration::from_millis(50);

/// Timeout for the thread to end.
const TIMEOUT: Duration = Duration::from_secs(1);

impl Keys {
    pub fn listen(stop: Arc<AtomicBool>) -> Self {
        let is_finished = Arc::new(AtomicBool::new(false));
        let (requested, finished) = (Arc::clone(&stop), Arc::clone(&is_finished));
        let thread = std::thread::spawn(move || {
            // Polling a closed terminal never returns, so check that it is open, and do not block in `poll`.
            while !finished.load(Ordering::Relaxed) && stderr().is_terminal() {
                let Ok(true) = poll(Duration::ZERO) else {
                    std::thread::sleep(WAIT);
                    continue;
                };
                if read().is_ok_and(|event| is_stop_key(&event)) && requested.swap(true, Ordering::Relaxed) {
                    restore_terminal();
                    cresset_bridge::process::exit_at_once(130);
                }
            }
        });
        Keys { stop, is_finished, thread }
    }

    /// The message to show after a stop key was pressed.
    pub fn note(&self) -> Option<&'static str> {
        let is_stopping = self.stop.load(Ordering::Relaxed);
        is_stopping.then_some("stopping after this step; press again to exit immediately")
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.is_finished.store(true, Ordering::Relaxed);
        // A thread that does not end hangs on a closed terminal; it ends with the process.
        let started = Instant::now();
        while !self.thread.is_finished() && started.elapsed() < TIMEOUT {
            std::thread::sleep(WAIT / 10);
        }
        restore_terminal();
    }
}

/// `q`, and Ctrl-C, which sends no signal in raw mode.
fn is_stop_key(event: &Event) -> bool {
    let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else { return false };
    match code {
        KeyCode::Char('q') => true,
        KeyCode::Char('c') => modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}
