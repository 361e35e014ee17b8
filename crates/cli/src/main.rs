//! The `cresset` program: one file a command, each a table of contents.

mod arguments;
mod card;
mod compress;
mod data;
mod diff;
mod doctor;
mod elastic;
mod eval;
mod explain;
mod export;
mod inspect;
mod logs;
mod lr_find;
mod models;
mod predict;
mod progress;
mod report;
mod runs;
mod screen;
mod serve;
mod train;
mod tui;
mod tune;

use std::io::{ErrorKind, Write};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use cresset::data::error::Error as DataError;
use cresset::data::terminal;
use cresset::error::Error;
use cresset::evaluate::numbers::thousands;
use screen::tell;

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
    Tune(tune::Tune),
    Runs(runs::Runs),
    Diff(diff::Diff),
    Eval(eval::Eval),
    Report(report::Report),
    Card(card::Card),
    Predict(predict::Predict),
    Explain(explain::Explain),
    Serve(serve::Serve),
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

/// Runs the program and ends the process. Exit codes: 0 well, 1 failed, 2 usage or input at fault, 130 interrupted.
fn main() -> ! {
    cresset_bridge::process::survive_file_size_limit();
    cresset_bridge::process::silence_warnings();
    let code = match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(answer) => {
            print(&answer);
            answer.exit_code()
        }
    };
    // What a pipe's reader that went away does not take is lost, as it is by an orderly end.
    let _ = std::io::stdout().flush();
    // An orderly end takes libtorch's operators off one by one, which is 80 ms of the 400 of the digits.
    cresset_bridge::process::exit_at_once(code)
}

fn run(cli: Cli) -> i32 {
    cli.logs.start();
    // What tch panics with becomes an error of the library; Rust's own account of the panic would only repeat it.
    std::panic::set_hook(Box::new(|panic| tracing::debug!("{panic}")));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cli.command.run()));
    match result {
        Ok(Ok(Ended::Well)) => 0,
        Ok(Ok(Ended::Badly)) => 1,
        Ok(Ok(Ended::Interrupted)) => 130,
        Ok(Err(error)) => {
            tell(&format!("error: {error:#}"));
            if is_users(&error) { 2 } else { 1 }
        }
        Err(_) => {
            tell(
                "error: cresset failed in a way that it should not; run it again with -vv to see where, and report it",
            );
            1
        }
    }
}

/// Whether an error is caused by the user's input. Commands on data return errors of the data crate.
fn is_users(error: &anyhow::Error) -> bool {
    let of_data = |error: &DataError| matches!(error, DataError::Data { .. } | DataError::Usage(_));
    error.downcast_ref::<Error>().is_some_and(Error::is_users)
        || error.downcast_ref::<DataError>().is_some_and(of_data)
}

impl Command {
    fn run(self) -> anyhow::Result<Ended> {
        match self {
            Command::Train(command) => command.run(),
            Command::LrFind(command) => command.run(),
            Command::Tune(command) => command.run(),
            Command::Runs(command) => command.run(),
            Command::Diff(command) => command.run(),
            Command::Eval(command) => command.run(),
            Command::Report(command) => command.run(),
            Command::Card(command) => command.run(),
            Command::Predict(command) => command.run(),
            Command::Explain(command) => command.run(),
            Command::Serve(command) => command.run(),
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
    device: cresset::options::device::DeviceChoice,

    /// CPU threads: `auto` or a number
    #[arg(long, value_name = "N", default_value = "auto")]
    threads: cresset::options::device::Threads,

    #[command(flatten)]
    trust: Trust,
}

/// Whether code in model files is believed, for all commands that load one.
#[derive(Debug, Args)]
struct Trust {
    /// Run all code of a TorchScript file, also operations that no classifier needs, such as those on files: for files whose maker
    /// you trust as if it were a program
    #[arg(long, help_heading = "Safety", hide_short_help = true)]
    trust: bool,
}

impl Trust {
    fn apply(&self) {
        if self.trust {
            cresset::model::loading::trust_files();
        }
    }
}

impl Compute {
    fn prepare(&self) -> cresset::error::Result<tch::Device> {
        self.trust.apply();
        tch::set_num_threads(self.threads.count().into());
        self.device.resolve()
    }
}

/// Shows what the parser of the command line answers: help, the version, or what is wrong. A reader that went away is no matter.
fn print(answer: &clap::Error) {
    let plain = answer.render().to_string();
    // What is wrong is quoted as it was given.
    match answer.use_stderr() && terminal::lines(&plain) != plain {
        true => plain.trim_end().lines().for_each(tell),
        false => drop(answer.print()),
    }
}

/// Writes text for people to standard output. A reader that has gone away (`| head`) is no failure.
fn show(text: &str) -> anyhow::Result<()> {
    put(&terminal::lines(text))
}

/// The same of text for other programs, which is written as it is.
fn put(text: &str) -> anyhow::Result<()> {
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
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
