//! The keys that end training, read beside it, so that a long step does not keep them waiting.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, poll, read};

use super::leave;

/// Reads keys until it is dropped, which gives the terminal back too.
pub struct Keys {
    stop: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// How long the thread takes to see that it is over.
const WAIT: Duration = Duration::from_millis(50);

/// How long it is waited for in the end.
const PATIENCE: Duration = Duration::from_secs(1);

impl Keys {
    pub fn listen(stop: Arc<AtomicBool>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (asked, over) = (Arc::clone(&stop), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            // Asking a terminal that has gone away never returns, so it is only asked while it is there, and never waited for.
            while !over.load(Ordering::Relaxed) && stderr().is_terminal() {
                let Ok(true) = poll(Duration::ZERO) else {
                    std::thread::sleep(WAIT);
                    continue;
                };
                if read().is_ok_and(|event| is_end(&event)) && asked.swap(true, Ordering::Relaxed) {
                    leave();
                    cresset_bridge::process::exit_at_once(130);
                }
            }
        });
        Keys { stop, is_over, thread }
    }

    /// What the user should know of a key that was pressed.
    pub fn note(&self) -> Option<&'static str> {
        let is_ending = self.stop.load(Ordering::Relaxed);
        is_ending.then_some("stopping after this step; press again to end at once")
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // A thread that does not end is asking a terminal that went away just then; it ends with the process.
        let begun = Instant::now();
        while !self.thread.is_finished() && begun.elapsed() < PATIENCE {
            std::thread::sleep(WAIT / 10);
        }
        leave();
    }
}

/// `q`, and Ctrl-C, which is no signal while the terminal is taken.
fn is_end(event: &Event) -> bool {
    let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else { return false };
    match code {
        KeyCode::Char('q') => true,
        KeyCode::Char('c') => modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}
