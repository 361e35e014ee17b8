//! Logging to standard error.

use std::fmt;
use std::io::IsTerminal;

use clap::{ArgAction, Args, ValueEnum};
use cresset::data::terminal;
use cresset_options::headings::LOGGING;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

use super::events::Warnings;
use super::screen;

/// Log format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// readable lines
    Text,
    /// one JSON object per line
    Json,
}

/// Options of logging.
#[derive(Debug, Args)]
#[command(next_help_heading = LOGGING)]
pub struct Logs {
    /// Verbose logging (-v for information, -vv for debugging)
    ///
    /// The variable RUST_LOG takes precedence.
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,

    /// Log format
    #[arg(long, value_name = "FORMAT", default_value = "text", global = true, hide_short_help = true)]
    log_format: LogFormat,
}

impl Logs {
    /// Whether `--verbose` is given.
    pub fn is_verbose(&self) -> bool {
        self.verbose > 0
    }

    /// Starts logging.
    pub fn start(&self) {
        let level = ["warn", "cresset=info", "cresset=debug"][usize::from(self.verbose.min(2))];
        let own = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
        let filter = own.unwrap_or_else(|| level.parse().expect("a valid filter"));
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(|| screen::Lines)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false);
        let lines = match self.log_format {
            LogFormat::Text => lines.event_format(Line).boxed(),
            LogFormat::Json => lines.json().boxed(),
        };
        let events = Warnings.with_filter(LevelFilter::WARN);
        tracing_subscriber::registry().with(lines.with_filter(filter)).with(events).init();
    }
}

/// Formats an event as one line, with control characters escaped.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        let color = match level {
            Level::ERROR => 31,
            Level::WARN => 33,
            Level::INFO => 32,
            _ => 34,
        };
        let mut text = String::new();
        context.format_fields(Writer::new(&mut text), event)?;
        let text = terminal::line(&text);
        match out.has_ansi_escapes() {
            true => writeln!(out, "\x1b[{color}m{level:>5}\x1b[0m {text}"),
            false => writeln!(out, "{level:>5} {text}"),
        }
    }
}
