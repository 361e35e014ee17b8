//! Which kernels compute.

use clap::{Args, ValueEnum};
use cresset_bridge::kernels;

/// Which kernels compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// Cresset's own where they are faster, libtorch's elsewhere
    Auto,
    /// libtorch's only
    Libtorch,
}

/// The choice of kernels, for all commands.
#[derive(Debug, Args)]
pub struct Kernels {
    /// Which kernels compute: Cresset's own where they are faster, or libtorch's only; results differ by rounding
    #[arg(long, value_name = "KERNELS", default_value = "auto", global = true, help_heading = "Kernels")]
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
    let runs: Vec<_> = kernels::that_ran().map(|(entry, runs)| format!("{} {runs}", entry.name)).collect();
    let runs = if runs.is_empty() { "none".to_string() } else { runs.join(", ") };
    tracing::info!("kernels that ran: {runs}");
}
