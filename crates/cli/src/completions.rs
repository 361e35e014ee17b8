//! `cresset completions`

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Cli, Ended, put};

/// Print the completion script of a shell: all commands, options and choices
#[derive(Debug, Args)]
pub struct Completions {
    /// Shell to print the script for
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> anyhow::Result<Ended> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "cresset", &mut script);
        put(&String::from_utf8(script)?)?;
        Ok(Ended::Well)
    }
}
