//! What can be set of a server.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use cresset::data::unknown::OnUnknown;

/// The requests a second of a client that are answered beyond loopback, unless an option says otherwise.
const RATE: u32 = 100;

/// How a model is served.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Options {
    /// The address to listen on; beyond loopback, requests need a token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: IpAddr,

    /// The port to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value = "8080")]
    pub port: u16,

    /// The folder for corrections [default: feedback beside the model]
    #[arg(long, value_name = "DIR")]
    pub feedback: Option<PathBuf>,

    /// What becomes of a category in a row that the model was not trained on
    #[arg(long, value_name = "WAY", default_value = "allow")]
    pub unknown: OnUnknown,

    /// Inputs that go through the model together
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub max_batch: u32,

    /// How long to wait for others to fill a batch, in microseconds. At 0, what came while the last one was computed goes together
    #[arg(long, value_name = "MICROSECONDS", default_value = "0", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub max_delay: u32,

    /// Threads that compute, each with the model in memory
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub workers: u32,

    /// Inputs that may wait for the model; beyond it, requests are refused (503)
    #[arg(long, value_name = "N", default_value = "1024", value_parser = clap::value_parser!(u32).range(1..))]
    pub queue: u32,

    /// The most bytes of a request's body (413)
    #[arg(long, value_name = "BYTES", default_value = "16777216", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_body: u32,

    /// The most rows of a request (413)
    #[arg(long, value_name = "N", default_value = "1024", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_rows: u32,

    /// The most pixels that a picture may have, by its header (413)
    #[arg(long, value_name = "N", default_value = "25000000", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_pixels: u32,

    /// The most requests a second of a client (429); 0 is without limit [default: 0 on loopback, 100 beyond]
    #[arg(long, value_name = "N")]
    pub rate: Option<u32>,

    /// Seconds that a request may take to come in (408), and an answer to be computed (504)
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub timeout: u32,
}

impl Options {
    /// The time for a request to come in, and the one for its answer.
    pub(super) fn time(&self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }

    /// The requests a second of a client; none without a limit.
    pub(super) fn most_requests(&self) -> Option<u32> {
        let default = if self.host.is_loopback() { 0 } else { RATE };
        Some(self.rate.unwrap_or(default)).filter(|rate| *rate > 0)
    }
}
