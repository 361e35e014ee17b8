//! Options of the server.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use cresset::data::unknown::OnUnknown;

/// Default rate limit per client beyond loopback, in requests per second.
const RATE: u32 = 100;

/// Options of the server.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Options {
    /// Address to listen on; beyond loopback, requests require a token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: IpAddr,

    /// Port to listen on; 0 selects a free one
    #[arg(long, value_name = "PORT", default_value = "8080")]
    pub port: u16,

    /// Folder for corrections [default: feedback next to the model]
    #[arg(long, value_name = "DIR")]
    pub feedback: Option<PathBuf>,

    /// How to treat unknown categories in rows
    #[arg(long, value_name = "WAY", default_value = "allow")]
    pub unknown: OnUnknown,

    /// Maximum batch size
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub max_batch: u32,

    /// Time to wait for a full batch, in microseconds; with 0, a batch contains the inputs that arrived during the last one
    #[arg(long, value_name = "MICROSECONDS", default_value = "0", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub max_delay: u32,

    /// Number of workers, each with a copy of the model in memory
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub workers: u32,

    /// Queue capacity in inputs; when it is full, requests are rejected (503)
    #[arg(long, value_name = "N", default_value = "1024", value_parser = clap::value_parser!(u32).range(1..))]
    pub queue: u32,

    /// Maximum size of a request body in bytes (413)
    #[arg(long, value_name = "BYTES", default_value = "16777216", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_body: u32,

    /// Maximum number of inputs per request (413)
    #[arg(long, value_name = "N", default_value = "1024", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_rows: u32,

    /// Maximum number of pixels per image, by its header (413)
    #[arg(long, value_name = "N", default_value = "25000000", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_pixels: u32,

    /// Rate limit per client in requests per second (429); 0 disables it [default: 0 on loopback, 100 beyond]
    #[arg(long, value_name = "N")]
    pub rate: Option<u32>,

    /// Time limit in seconds, both for receiving a request (408) and for computing its response (504)
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub timeout: u32,
}

impl Options {
    /// The time limit for receiving a request, and for computing its response.
    pub(super) fn time(&self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }

    /// The rate limit per client in requests per second; `None` if there is none.
    pub(super) fn most_requests(&self) -> Option<u32> {
        let default = if self.host.is_loopback() { 0 } else { RATE };
        Some(self.rate.unwrap_or(default)).filter(|rate| *rate > 0)
    }
}
