//! `cresset data clean`

use std::path::{Path, PathBuf};

use clap::Args;
use cresset::data::atomic;
use cresset::data::audit::{audit, to_list};
use cresset::data::terminal;
use cresset::error::Error;

use super::Source;
use crate::Ended;
use crate::show;
use crate::thousands;

/// Write a list of the examples to exclude, for `cresset train --exclude`; the data is not modified
#[derive(Debug, Args)]
pub struct Clean {
    #[command(flatten)]
    source: Source,

    /// Output file, which must not exist
    #[arg(long, value_name = "FILE", default_value = "exclude.tsv")]
    output: PathBuf,
}

impl Clean {
    pub fn run(self) -> anyhow::Result<Ended> {
        if self.output.exists() {
            let problem = format!(
                "{} exists and was not overwritten; choose another file with --output",
                self.output.display()
            );
            return Err(Error::Usage(problem).into());
        }
        let (audit, _) = audit(&self.source.data, &self.source.reading, self.source.threads())?;
        let list = to_list(&audit);
        let count = list.lines().filter(|line| !line.starts_with('#')).count();
        atomic::write(&self.output, list.as_bytes())?;
        let (count, rows) = (thousands(count), thousands(audit.rows));
        show(&format!(
            "{count} of {rows} examples should be excluded; {} lists them with the reasons.\n\
             Check the list, then run:  cresset train --data {}{} --exclude {}\n",
            terminal::path(&self.output),
            terminal::argument(Path::new(&self.source.data)),
            self.source.given(),
            terminal::argument(&self.output),
        ))?;
        Ok(Ended::Well)
    }
}
