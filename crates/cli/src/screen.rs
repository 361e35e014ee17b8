//! Standard error, shared by log lines with a progress bar or the dashboard.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cresset::data::terminal;
use indicatif::ProgressBar;

/// What the terminal shows besides log lines.
enum Screen {
    Nothing,
    /// Lines are printed above the bar.
    Bar(ProgressBar),
    /// Lines are buffered until the dashboard closes.
    #[cfg(feature = "tui")]
    Full(Vec<u8>),
}

static SCREEN: Mutex<Screen> = Mutex::new(Screen::Nothing);

fn screen() -> MutexGuard<'static, Screen> {
    // The state stays valid if a thread panicked while it held the lock.
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints lines above this bar from now on.
pub fn show_bar(bar: &ProgressBar) {
    *screen() = Screen::Bar(bar.clone());
}

/// Buffers lines from now on.
#[cfg(feature = "tui")]
pub fn start_full_screen() {
    *screen() = Screen::Full(Vec::new());
}

/// The last buffered line.
#[cfg(feature = "tui")]
pub fn last_buffered_line() -> Option<String> {
    match &*screen() {
        Screen::Full(buffer) => String::from_utf8_lossy(buffer).lines().next_back().map(str::to_string),
        _ => None,
    }
}

/// Prints the buffered lines, and writes lines to the terminal directly from now on.
pub fn release() {
    let before = std::mem::replace(&mut *screen(), Screen::Nothing);
    match before {
        #[cfg(feature = "tui")]
        Screen::Full(buffer) => {
            // An error is ignored: standard error may be closed.
            let _ = io::stderr().write_all(&buffer);
        }
        _ => {}
    }
}

/// Prints a line to standard error.
pub fn tell(text: &str) {
    // An error is ignored: standard error may be closed.
    let _ = Lines.write_all(format!("{}\n", terminal::line(text)).as_bytes());
}

/// Writes lines without disturbing the bar or the dashboard.
pub struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *screen() {
            Screen::Nothing => io::stderr().write_all(bytes)?,
            Screen::Bar(bar) => bar.suspend(|| io::stderr().write_all(bytes))?,
            #[cfg(feature = "tui")]
            Screen::Full(buffer) => buffer.extend(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
