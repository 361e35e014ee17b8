//! The command line: one file a command, each a table of contents.

mod card;
mod compress;
mod data;
mod doctor;
mod elastic;
mod eval;
mod explain;
mod export;
mod folds;
mod inspect;
mod logs;
mod lr_find;
mod models;
mod predict;
mod progress;
mod train;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use cresset::error::Error;
use cresset::numbers::thousands;

/// Trains classifiers: raw files in, a trained, evaluated, exported TorchScript model out.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 120,
    after_help = "Start here:  cresset train      (the handwritten digits, in seconds)\nThen:        cresset predict runs/digits-mlp-1/model.pt picture.png"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    logs: logs::Logs,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(Box<train::Train>),
    LrFind(Box<lr_find::LrFind>),
    Eval(eval::Eval),
    Card(card::Card),
    Predict(predict::Predict),
    Explain(explain::Explain),
    Export(export::Export),
    Compress(compress::Compress),
    Inspect(inspect::Inspect),
    Models(models::Models),
    Data(data::Data),
    Doctor(doctor::Doctor),
}

/// How a command ended, other than by an error.
enum Ended {
    Well,
    /// Something that was looked for is not as it should be.
    Badly,
    /// Stopped by the user, at a point that it can go on from.
    Interrupted,
}

/// Runs the program. Exit codes: 0 well, 1 failed, 2 usage or input at fault, 130 interrupted.
pub fn main() -> ExitCode {
    cresset_bridge::process::silence_warnings();
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    cli.logs.start();
    // What tch panics with becomes an error of the library; Rust's own account of the panic would only repeat it.
    std::panic::set_hook(Box::new(|panic| tracing::debug!("{panic}")));
    let (_, flags) = matches.subcommand().expect("clap demands a command");
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cli.command.run(flags)));
    match result {
        Ok(Ok(Ended::Well)) => ExitCode::SUCCESS,
        Ok(Ok(Ended::Badly)) => ExitCode::from(1),
        Ok(Ok(Ended::Interrupted)) => ExitCode::from(130),
        Ok(Err(error)) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.downcast_ref::<Error>().is_some_and(Error::is_users) { 2 } else { 1 })
        }
        Err(_) => {
            eprintln!(
                "error: cresset failed in a way that it should not; run it again with -vv to see where, and report it"
            );
            ExitCode::from(1)
        }
    }
}

impl Command {
    fn run(self, flags: &ArgMatches) -> anyhow::Result<Ended> {
        match self {
            Command::Train(command) => command.run(flags),
            Command::LrFind(command) => command.run(flags),
            Command::Eval(command) => command.run(),
            Command::Card(command) => command.run(),
            Command::Predict(command) => command.run(),
            Command::Explain(command) => command.run(),
            Command::Export(command) => command.run(),
            Command::Compress(command) => command.run(),
            Command::Inspect(command) => command.run(),
            Command::Models(command) => command.run(),
            Command::Data(command) => command.run(),
            Command::Doctor(command) => command.run(),
        }
    }
}

/// Where to compute, for the commands that are given a trained model.
#[derive(Debug, Args)]
struct Compute {
    /// Where to compute: `auto`, `cpu`, `cuda` or `cuda:N`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: cresset::device::DeviceChoice,

    /// CPU threads: `auto` or a number
    #[arg(long, value_name = "N", default_value = "auto")]
    threads: cresset::device::Threads,
}

impl Compute {
    fn prepare(&self) -> cresset::error::Result<tch::Device> {
        tch::set_num_threads(self.threads.count().into());
        self.device.resolve()
    }
}

/// Writes text for the user to standard output. A reader that has gone away (`| head`) is no failure.
fn show(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
