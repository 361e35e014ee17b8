//! `cresset lr-find`

use std::path::PathBuf;

use clap::Args;
use cresset::data::atomic;
use cresset::distributed::World;
use cresset::options::Config;
use cresset::run::Prepared;
use cresset::train::{LrCurve, Range};

use super::arguments::Flags;
use super::progress::resolve;
use super::{Ended, Trust, show};

/// Run a learning rate range test: train briefly with increasing rates, plot the loss, and suggest a rate
#[derive(Debug, Args)]
pub struct LrFind {
    #[command(flatten)]
    config: Flags<Config>,

    /// Read options from a run file (TOML), such as `batch_size = 32`; the command line takes precedence
    #[arg(long = "config", value_name = "FILE", help_heading = "Range test")]
    config_file: Option<PathBuf>,

    /// First learning rate
    #[arg(long, value_name = "RATE", default_value = "1e-6", help_heading = "Range test")]
    from: f64,

    /// Last learning rate
    #[arg(long, value_name = "RATE", default_value = "10", help_heading = "Range test")]
    to: f64,

    /// Number of steps
    #[arg(long, value_name = "N", default_value = "200", help_heading = "Range test")]
    steps: usize,

    /// Write learning rates and losses to this file, as CSV
    #[arg(long, value_name = "FILE", help_heading = "Range test")]
    csv: Option<PathBuf>,

    #[command(flatten)]
    trust: Trust,
}

impl LrFind {
    pub fn run(self) -> anyhow::Result<Ended> {
        self.trust.apply();
        let config = Config::overlay(self.config_file.as_deref(), self.config.given())?;
        // The curve is that of the loss of the labels.
        let config = Config { teacher: None, unlabelled: None, ..config };
        let resolved = resolve(&config, &World::alone())?;
        let config = resolved.config.clone();
        let prepared = Prepared::of_resolved(resolved)?;
        let plan = prepared.plan(&config)?;
        let range = Range { from: self.from, to: self.to, steps: self.steps };
        let curve = LrCurve::find(&prepared.network, &plan, &*prepared.train, range)?;
        if let Some(path) = &self.csv {
            let rows = curve.points.iter().map(|(rate, loss)| format!("{rate:e},{loss}\n"));
            atomic::write(path, format!("lr,loss\n{}", rows.collect::<String>()).as_bytes())?;
        }
        show(&plot(&curve.points))?;
        show(&match curve.suggestion {
            Some(rate) => format!("\nsuggested: --lr {rate:.1e} (a tenth of the rate with the lowest loss)\n"),
            None => "\nno suggestion: the loss decreases too little; try more --steps, or other rates with --from and --to\n".to_string(),
        })?;
        Ok(Ended::Well)
    }
}

const WIDTH: usize = 72;
const HEIGHT: usize = 16;

/// Plots the loss over the logarithm of the learning rate.
fn plot(points: &[(f64, f64)]) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return "the loss was NaN or infinite at the first step\n".to_string();
    };
    let losses = points.iter().map(|(_, loss)| *loss);
    let (min, max) = losses.fold((f64::MAX, f64::MIN), |(min, max), loss| (min.min(loss), max.max(loss)));
    let mut field = vec![[' '; WIDTH]; HEIGHT];
    for (index, (_, loss)) in points.iter().enumerate() {
        let column = index * (WIDTH - 1) / (points.len() - 1).max(1);
        let height = (loss - min) / (max - min).max(f64::MIN_POSITIVE);
        let row = ((1. - height) * (HEIGHT - 1) as f64).round() as usize;
        field[row][column] = '•';
    }
    let mut text = String::from("loss\n");
    for (row, cells) in field.iter().enumerate() {
        let label = match row {
            0 => format!("{max:8.4}"),
            row if row == HEIGHT - 1 => format!("{min:8.4}"),
            _ => " ".repeat(8),
        };
        text += &format!("{label} │{}\n", cells.iter().collect::<String>().trim_end());
    }
    text += &format!("{} └{}\n", " ".repeat(8), "─".repeat(WIDTH));
    let (first, last) = (format!("{:.0e}", first.0), format!("{:.0e}", last.0));
    let gap = " ".repeat(WIDTH.saturating_sub(first.len() + last.len()));
    text + &format!("{} {first}{gap}{last}  learning rate\n", " ".repeat(9))
}
