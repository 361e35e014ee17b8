//! `cresset --version`

use std::fmt::Write;

use super::doctor::checks;
use super::{Ended, show};

/// Prints the version of the program and, with `is_verbose`, what it is built of and runs on.
pub fn print(is_verbose: bool) -> anyhow::Result<Ended> {
    let mut text = format!("cresset {}\n", env!("CARGO_PKG_VERSION"));
    if is_verbose {
        for check in checks::versions() {
            writeln!(text, "{:<13} {}", check.name, check.found)?;
        }
    }
    show(&text)?;
    Ok(Ended::Well)
}
