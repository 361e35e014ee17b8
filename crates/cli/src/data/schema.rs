//! `cresset data schema`

use std::path::{Path, PathBuf};

use clap::Args;
use cresset::data::format::csv;
use cresset::data::schema::{to_text, to_toml};
use cresset::data::{DataOptions, atomic, builtin, terminal};

use crate::arguments::Flags;
use crate::{Ended, put, show};

/// Show the columns of a table: type, missing values, distinct values, examples, and what becomes of each
#[derive(Debug, Args)]
pub struct Schema {
    /// Table, or the name of a built-in one
    #[arg(value_name = "NAME|FILE")]
    data: String,

    #[command(flatten)]
    reading: Flags<DataOptions>,

    /// Write the columns as a schema to edit, for --schema
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Print the columns as JSON
    #[arg(long)]
    json: bool,
}

impl Schema {
    pub fn run(self) -> anyhow::Result<Ended> {
        let known = builtin::DATASETS.iter().find(|dataset| dataset.name == self.data);
        let path = known.and_then(|dataset| dataset.path()).unwrap_or_else(|| PathBuf::from(&self.data));
        let columns = csv::describe(&path, &self.reading)?;
        if let Some(output) = &self.output {
            let name = Path::new(&self.data).file_name().unwrap_or_default().to_string_lossy();
            atomic::write(output, to_toml(&name, &columns).as_bytes())?;
        }
        if self.json {
            put(&(serde_json::to_string_pretty(&columns)? + "\n"))?;
        } else {
            let written = |path: PathBuf| format!("\nwritten to {}\n", terminal::path(&path));
            show(&(to_text(&columns) + &self.output.map_or(String::new(), written)))?;
        }
        Ok(Ended::Well)
    }
}
