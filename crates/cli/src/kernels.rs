//! The choice between Cresset's kernels and libtorch's.

use clap::{Args, ValueEnum};
use cresset_bridge::kernels;

/// The choice of kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// Cresset's kernels where they are faster, libtorch's elsewhere
    Auto,
    /// only libtorch's kernels
    Libtorch,
}

/// The option for the kernels, for all commands.
#[derive(Debug, Args)]
pub struct Kernels {
    /// Kernels: Cresset's where they are faster, or only libtorch's; results differ by rounding
    #[arg(
        long,
        value_name = "KERNELS",
        default_value = "auto",
        global = true,
        help_heading = "Kernels",
        hide_short_help = true
    )]
    kernels: Choice,
}

impl Kernels {
    /// Selects the kernels of this process.
    pub fn select(&self) {
        if self.kernels == Choice::Libtorch {
            kernels::use_libtorch_only();
        }
    }
}

/// Logs which of Cresset's kernels ran, and how often.
pub fn log_runs() {
    let counts: Vec<_> =
        kernels::that_ran().map(|(entry, count)| format!("{} {count}", entry.name)).collect();
    let counts = if counts.is_empty() { "none".to_string() } else { counts.join(", ") };
    tracing::info!("kernels that ran: {counts}");
}
