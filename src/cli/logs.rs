//! Logs, on standard error.

use std::io::IsTerminal;

use clap::{ArgAction, Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use super::screen;

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines for people
    Text,
    /// A JSON object a line, for programs
    Json,
}

/// What is logged, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logs")]
pub struct Logs {
    /// Log more: -v what is done, -vv every detail; the variable RUST_LOG takes precedence
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,

    /// How logs look
    #[arg(long, value_name = "FORMAT", default_value = "text", global = true)]
    log_format: LogFormat,
}

impl Logs {
    /// Turns logging on.
    pub fn start(&self) {
        let level = ["warn", "cresset=info", "cresset=debug"][usize::from(self.verbose.min(2))];
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
        let logs = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(|| screen::Lines)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false);
        match self.log_format {
            LogFormat::Text => logs.without_time().init(),
            LogFormat::Json => logs.json().init(),
        }
    }
}
