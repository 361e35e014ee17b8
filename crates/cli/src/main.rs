//! The `cresset` program, one file per command.

mod arguments;
mod card;
mod completions;
mod compress;
mod data;
mod diff;
mod doctor;
mod drift;
mod elastic;
mod embed;
mod eval;
mod events;
mod explain;
mod export;
mod inspect;
mod kernels;
mod logs;
mod lr_find;
mod man;
mod model_file;
mod models;
mod predict;
mod progress;
#[cfg(feature = "hub")]
mod push;
mod recommend;
mod report;
mod runs;
mod screen;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "mlflow")]
mod sync;
mod train;
#[cfg(feature = "tui")]
mod tui;
mod tune;
mod version;

use std::io::{self, Write};

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use cresset::data::error::Error as DataError;
use cresset::data::terminal;
use cresset::error::Error;
use cresset::evaluate::numbers::thousands;
use screen::tell;

/// Trains classifiers: raw files in, a trained, evaluated, exported TorchScript model out.
#[derive(Debug, Parser)]
#[command(
    name = "cresset",
    version,
    disable_version_flag = true,
    arg_required_else_help = true,
    max_term_width = 120,
    after_help = "Start here:  cresset train      (handwritten digits, takes seconds)\nThen:        cresset predict runs/digits-mlp-1/model.pt image.png"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    /// Print the version; with --verbose also those of libtorch and CUDA, the kernels and the features
    #[arg(short = 'V', long)]
    version: bool,

    #[command(flatten)]
    logs: logs::Logs,

    #[command(flatten)]
    kernels: kernels::Kernels,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(Box<train::Train>),
    LrFind(Box<lr_find::LrFind>),
    Tune(tune::Tune),
    Runs(runs::Runs),
    Diff(diff::Diff),
    #[cfg(feature = "mlflow")]
    Sync(sync::Sync),
    #[cfg(feature = "hub")]
    Push(push::Push),
    Eval(eval::Eval),
    Report(report::Report),
    Card(card::Card),
    Predict(predict::Predict),
    Recommend(recommend::Recommend),
    Explain(explain::Explain),
    Embed(embed::Embed),
    #[cfg(feature = "serve")]
    Serve(serve::Serve),
    Export(export::Export),
    Compress(compress::Compress),
    Inspect(inspect::Inspect),
    Models(models::Models),
    Data(data::Data),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
    Man(man::Man),
}

/// The outcome of a command that did not fail with an error.
enum Ended {
    Well,
    /// A check failed.
    Badly,
    /// Stopped by the user; it can be resumed.
    Interrupted,
}

/// Runs the program and ends the process. Exit codes: 0 success, 1 failure, 2 error in usage or input, 130 interrupted.
fn main() -> ! {
    cresset_bridge::process::survive_file_size_limit();
    cresset_bridge::process::silence_warnings();
    let code = match Cli::try_parse().and_then(Cli::checked) {
        Ok(cli) => run(cli),
        Err(message) => {
            print(&message);
            message.exit_code()
        }
    };
    // An error is ignored, as in a normal exit: the reader of a pipe may be gone.
    let _ = std::io::stdout().flush();
    // A normal exit unregisters libtorch's operators one by one, which takes 80 ms of 400 ms for digits.
    cresset_bridge::process::exit_at_once(code)
}

fn run(cli: Cli) -> i32 {
    cli.kernels.select();
    // The library turns panics of tch into errors; Rust's panic message would repeat them.
    std::panic::set_hook(Box::new(|panic| tracing::debug!("{panic}")));
    let Some(command) = cli.command.filter(|_| !cli.version) else {
        return code_of(std::panic::catch_unwind(|| version::print(cli.logs.is_verbose())));
    };
    cli.logs.start();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| command.run()));
    kernels::log_runs();
    code_of(result)
}

/// The exit code of a command, whose error is printed. The outer result is `Err` after a panic.
fn code_of(result: std::thread::Result<anyhow::Result<Ended>>) -> i32 {
    match result {
        Ok(Ok(Ended::Well)) => 0,
        Ok(Ok(Ended::Badly)) => 1,
        Ok(Ok(Ended::Interrupted)) => 130,
        Ok(Err(error)) => {
            let code = if is_user_error(&error) { 2 } else { 1 };
            tell(&format!("error: {error:#}"));
            events::failed(&format!("{error:#}"), code);
            code
        }
        Err(_) => {
            let problem = "internal error; run the command again with -vv for details, and please report it";
            tell(&format!("error: {problem}"));
            events::failed(problem, 1);
            1
        }
    }
}

/// Whether an error is caused by the user's input. Commands on data return errors of the data crate.
fn is_user_error(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Error>().is_some_and(Error::is_user_error)
        || error.downcast_ref::<DataError>().is_some_and(DataError::is_user_error)
}

impl Cli {
    /// Requires a command, except for the version.
    fn checked(self) -> Result<Self, clap::Error> {
        if self.version || self.command.is_some() {
            return Ok(self);
        }
        let problem = "a command is missing; `cresset --help` lists all";
        Err(Cli::command().error(ErrorKind::MissingSubcommand, problem))
    }
}

impl Command {
    fn run(self) -> anyhow::Result<Ended> {
        match self {
            Command::Train(command) => command.run(),
            Command::LrFind(command) => command.run(),
            Command::Tune(command) => command.run(),
            Command::Runs(command) => command.run(),
            Command::Diff(command) => command.run(),
            #[cfg(feature = "hub")]
            Command::Push(command) => command.run(),
            #[cfg(feature = "mlflow")]
            Command::Sync(command) => command.run(),
            Command::Eval(command) => command.run(),
            Command::Report(command) => command.run(),
            Command::Card(command) => command.run(),
            Command::Predict(command) => command.run(),
            Command::Recommend(command) => command.run(),
            Command::Explain(command) => command.run(),
            Command::Embed(command) => command.run(),
            #[cfg(feature = "serve")]
            Command::Serve(command) => command.run(),
            Command::Export(command) => command.run(),
            Command::Compress(command) => command.run(),
            Command::Inspect(command) => command.run(),
            Command::Models(command) => command.run(),
            Command::Data(command) => command.run(),
            Command::Doctor(command) => command.run(),
            Command::Completions(command) => command.run(),
            Command::Man(command) => command.run(),
        }
    }
}

/// Device and threads, for commands that run a trained model.
#[derive(Debug, Args)]
struct Compute {
    /// Device: `auto`, `cpu`, `cuda` or `cuda:N`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: cresset::options::device::DeviceChoice,

    /// CPU threads: `auto` or a number
    #[arg(long, value_name = "N", default_value = "auto")]
    threads: cresset::options::device::Threads,

    #[command(flatten)]
    trust: Trust,
}

/// Whether to trust the code in model files, for all commands that load one.
#[derive(Debug, Args)]
struct Trust {
    /// Run all code of a model file, including operations that no classifier needs, such as file access, and packages compiled to
    /// machine code; use it only for files you trust like a program
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

/// Prints a message of the command line parser: help, version or an error. Ignores a closed pipe.
fn print(message: &clap::Error) {
    let plain = message.render().to_string();
    // An error quotes the arguments, which may hold control characters.
    match message.use_stderr() && terminal::lines(&plain) != plain {
        true => plain.trim_end().lines().for_each(tell),
        false => drop(message.print()),
    }
}

/// Writes text for people to standard output, unless events are written there. Ignores a closed pipe (`| head`).
fn show(text: &str) -> anyhow::Result<()> {
    if events::is_on() {
        return Ok(());
    }
    put(&terminal::lines(text))
}

/// Writes text for other programs to standard output, unescaped. Ignores a closed pipe.
fn put(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
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
