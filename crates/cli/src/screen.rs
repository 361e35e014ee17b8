//! Standard error, which lines of the log share with a progress bar or a dashboard.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cresset::data::terminal;
use indicatif::ProgressBar;

/// What is shown on the terminal beside lines.
enum Screen {
    Nothing,
    /// Lines go above the bar.
    Bar(ProgressBar),
    /// Lines are kept until the whole screen is given back.
    Whole(Vec<u8>),
}

static SCREEN: Mutex<Screen> = Mutex::new(Screen::Nothing);

fn screen() -> MutexGuard<'static, Screen> {
    // A writer that panicked leaves a screen that can still be written to.
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lines go above this bar from now on.
pub fn show_bar(bar: &ProgressBar) {
    *screen() = Screen::Bar(bar.clone());
}

/// Lines are kept from now on.
pub fn take_whole() {
    *screen() = Screen::Whole(Vec::new());
}

/// The last line that was kept while the screen was taken.
pub fn last_kept() -> Option<String> {
    match &*screen() {
        Screen::Whole(kept) => String::from_utf8_lossy(kept).lines().next_back().map(str::to_string),
        _ => None,
    }
}

/// Lines go to the terminal again, those that were kept first.
pub fn give_back() {
    let before = std::mem::replace(&mut *screen(), Screen::Nothing);
    if let Screen::Whole(kept) = before {
        // Where standard error is closed there is nobody to tell.
        let _ = io::stderr().write_all(&kept);
    }
}

/// Says something to the user beside the output: a line.
pub fn tell(text: &str) {
    // Where standard error is closed there is nobody to tell.
    let _ = Lines.write_all(format!("{}\n", terminal::line(text)).as_bytes());
}

/// Writes lines where they disturb nothing.
pub struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *screen() {
            Screen::Nothing => io::stderr().write_all(bytes)?,
            Screen::Bar(bar) => bar.suspend(|| io::stderr().write_all(bytes))?,
            Screen::Whole(kept) => kept.extend(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
