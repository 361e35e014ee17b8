//! `cresset runs`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use cresset::error::{Error, Result, did_you_mean, quoted};
use cresset::options::canonical;
use cresset::report::runs::{
    DEFAULT_COLUMNS, Filter, Order, best_order, column_names, list, to_csv, to_json, to_table,
};

use super::screen::tell;
use super::{Ended, put, show};

/// List runs with their metrics, optionally sorted
///
/// A column is a metric (accuracy, loss, test_accuracy, …), an option of the run file, or an entry of the run's record;
/// `--columns help` lists them. A cross-validation is one row with means and standard deviations over its folds.
#[derive(Debug, Args)]
pub struct Runs {
    /// Folder that holds the runs
    #[arg(value_name = "DIR", default_value = "runs")]
    dir: PathBuf,

    /// Column to sort by; `-COLUMN` sorts in descending order
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    sort: Option<String>,

    /// Condition on the runs, such as `model=cnn`, `accuracy>0.97`, `epochs>=10`; may be repeated
    #[arg(long, value_name = "EXPR")]
    filter: Vec<String>,

    /// Show only the best run by this metric
    #[arg(long, value_name = "METRIC", conflicts_with = "sort")]
    best: Option<String>,

    /// Columns to show, separated by commas [default: those that fit]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,

    /// Also list the folds of each cross-validation
    #[arg(long)]
    all: bool,

    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,

    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// Output format of a list or a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// readable text
    Table,
    /// comma-separated values
    Csv,
    /// JSON
    Json,
}

impl Runs {
    pub fn run(self) -> anyhow::Result<Ended> {
        let columns = self.columns()?;
        if let [help] = &self.columns[..]
            && help == "help"
        {
            show(&(column_names().join("\n") + "\n"))?;
            return Ok(Ended::Well);
        }
        let filters = self.filter.iter().map(|text| text.parse()).collect::<Result<Vec<Filter>>>()?;
        let best = self.best.as_deref().map(best_order).transpose()?;
        let order = self.sort.as_deref().map(str::parse::<Order>).transpose()?;

        let mut listing = list(&self.dir, self.all)?;
        listing.notes.iter().for_each(|note| tell(&format!("note: {note}")));
        let mut runs = Vec::new();
        for run in std::mem::take(&mut listing.runs) {
            if filters
                .iter()
                .map(|filter| filter.takes(&run))
                .collect::<Result<Vec<_>>>()?
                .iter()
                .all(|takes| *takes)
            {
                runs.push(run);
            }
        }
        if let Some(order) = best.as_ref().or(order.as_ref()) {
            order.sort(&mut runs);
        }
        if let Some(order) = &best {
            runs.retain(|run| order.applies_to(run));
            runs.truncate(1);
        }
        let columns = (!columns.is_empty()).then_some(&columns[..]);
        match if self.json { Format::Json } else { self.format } {
            Format::Json => put(&to_json(&runs, columns))?,
            Format::Csv => {
                let default: Vec<String> = DEFAULT_COLUMNS.map(String::from).into();
                put(&String::from_utf8_lossy(&to_csv(&runs, columns.unwrap_or(&default))))?;
            }
            Format::Table if runs.is_empty() => tell(&format!("no such runs in {}", self.dir.display())),
            Format::Table => show(&to_table(&runs, columns, width()))?,
        }
        Ok(Ended::Well)
    }

    fn columns(&self) -> Result<Vec<String>> {
        let known = column_names();
        let check = |name: &String| {
            let current =
                [name, canonical(name)].into_iter().find(|name| known.iter().any(|known| known == name));
            if let Some(name) = current.or((name == "help").then_some(name)) {
                return Ok(name.to_string());
            }
            let hint = did_you_mean(name, known.iter().map(String::as_str)).unwrap_or_default();
            let problem = format!("there is no column {}{hint} `--columns help` lists them", quoted(name));
            Err(Error::Usage(problem))
        };
        self.columns.iter().map(check).collect()
    }
}

/// The width of the terminal, if the list goes to one.
fn width() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0.into())
}
