//! `cresset doctor`

use std::fmt::Write;

pub mod checks;

use checks::{State, examine};
use clap::Args;

use super::{Ended, show};

/// Check this machine (toolchain, libtorch, CUDA, threads, caches) and suggest a remedy for each problem
#[derive(Debug, Args)]
pub struct Doctor {}

impl Doctor {
    pub fn run(self) -> anyhow::Result<Ended> {
        let checks = examine();
        let mut text = String::new();
        for check in &checks {
            let mark = match check.state {
                State::Good => "ok",
                State::Absent => "–",
                State::Fault => "FAULT",
            };
            writeln!(text, "{mark:<6} {:<13} {}", check.name, check.found)?;
            if let Some(remedy) = &check.remedy {
                writeln!(text, "{:<20} → {remedy}", "")?;
            }
        }
        show(&text)?;
        let is_healthy = checks.iter().all(|check| check.state != State::Fault);
        Ok(if is_healthy { Ended::Well } else { Ended::Badly })
    }
}
