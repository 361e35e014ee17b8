//! `cresset man`

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Command, CommandFactory};

use super::{Cli, Ended, show};

/// Write the man pages of the program and of each command
#[derive(Debug, Args)]
pub struct Man {
    /// Folder for the pages, such as `/usr/local/share/man/man1`; it is created if it does not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Man {
    pub fn run(self) -> anyhow::Result<Ended> {
        let folder = &self.folder;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let mut program = Cli::command().disable_help_subcommand(true);
        program.build();
        write(&program, folder).with_context(|| format!("cannot write man pages to {}", folder.display()))?;
        show(&format!("written to {}/: cresset.1 and a page for each command\n", folder.display()))?;
        Ok(Ended::Well)
    }
}

/// Writes the page of a command and of all commands below it.
fn write(command: &Command, folder: &Path) -> io::Result<()> {
    let source = concat!("cresset ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(command.clone()).source(source).generate_to(folder)?;
    command.get_subcommands().try_for_each(|below| write(below, folder))
}
