//! `cresset data audit`

use std::path::PathBuf;

use clap::Args;
use cresset::data::atomic;
use cresset::data::audit::{audit, to_text};
use cresset::data::terminal;
use cresset::report::audit::to_page;

use super::Source;
use crate::Ended;
use crate::progress;
use crate::put;
use crate::show;

/// Find problems in data: unreadable files, duplicates, contradictory labels, leakage, imbalance, outliers
#[derive(Debug, Args)]
pub struct AuditData {
    #[command(flatten)]
    source: Source,

    /// Print the findings as JSON
    #[arg(long)]
    json: bool,

    /// Write a self-contained HTML report with thumbnails
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Exit with code 1 if there are findings other than notes
    #[arg(long)]
    strict: bool,
}

impl AuditData {
    pub fn run(self) -> anyhow::Result<Ended> {
        progress::download_data(&self.source.data)?;
        let (audit, dataset) = audit(&self.source.data, &self.source.reading, self.source.threads())?;
        if let Some(path) = &self.html {
            atomic::write(path, to_page(&audit, &dataset).as_bytes())?;
        }
        if self.json {
            put(&(serde_json::to_string_pretty(&audit)? + "\n"))?;
        } else {
            let page = |path: PathBuf| format!("\nwritten to {}\n", terminal::path(&path));
            let page = self.html.map_or(String::new(), page);
            show(&(to_text(&audit) + &page))?;
        }
        Ok(if self.strict && !audit.has_only_notes() { Ended::Badly } else { Ended::Well })
    }
}
