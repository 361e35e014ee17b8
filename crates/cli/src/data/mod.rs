//! `cresset data`

mod audit;
mod clean;
mod preview;
mod schema;
mod synth;

use std::path::Path;

use clap::{Args, Subcommand};
use cresset::data::{self, DataOptions, Dataset, terminal};
use cresset::loader::decode_all;
use cresset::options::Setting;
use cresset::options::device::Threads;
use cresset_options::OptionSet;

use super::Ended;
use super::arguments::Flags;
use super::progress;

/// Audit data, clean it, preview its augmentation, show the types of its columns, or synthesize more of it
#[derive(Debug, Args)]
pub struct Data {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Audit(audit::AuditData),
    Clean(clean::Clean),
    Preview(preview::Preview),
    Schema(schema::Schema),
    Synth(synth::Synth),
}

impl Data {
    pub fn run(self) -> anyhow::Result<Ended> {
        match self.command {
            Command::Audit(command) => command.run(),
            Command::Clean(command) => command.run(),
            Command::Preview(command) => command.run(),
            Command::Schema(command) => command.run(),
            Command::Synth(command) => command.run(),
        }
    }
}

/// The data of these commands.
#[derive(Debug, Args)]
struct Source {
    /// Built-in dataset, or a file or folder of labeled examples
    #[arg(value_name = "NAME|PATH")]
    data: String,

    #[command(flatten)]
    reading: Flags<DataOptions>,

    /// CPU threads: `auto` or a number
    #[arg(long, value_name = "N", default_value = "auto")]
    threads: Threads,
}

impl Source {
    fn threads(&self) -> usize {
        self.threads.count().into()
    }

    /// The options that say how the data is read, for a command that reads it in the same way.
    fn given(&self) -> String {
        let option = |Setting { name, value }: &Setting| {
            let flag = DataOptions::spec(name).map_or(*name, |spec| spec.flag.as_str());
            match value.as_str() {
                "" => format!(" --{flag}"),
                value => format!(" --{flag} {}", terminal::argument(Path::new(value))),
            }
        };
        let others = self.reading.given().iter().filter(|setting| setting.name != "exclude");
        others.map(option).collect()
    }

    /// Loads the dataset and decodes its images.
    fn decoded(&self) -> cresset::error::Result<Dataset> {
        progress::download_data(&self.data)?;
        let dataset = data::load(&self.data, &self.reading)?;
        decode_all(dataset, self.threads(), self.reading.max_bad_share)
    }
}
