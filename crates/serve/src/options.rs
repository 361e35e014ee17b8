//! What can be set of a server.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use cresset_options::{option, options, parse};

use cresset::data::unknown::UnknownPolicy;

/// The requests a second of a client that are answered beyond loopback, unless an option says otherwise.
const RATE: u32 = 100;

options! {
    /// Options of a server.
    pub struct Options {
        /// Address to listen on; requests to addresses other than loopback need a token
        pub host: IpAddr = option("ADDRESS").default("127.0.0.1"),

        /// Port to listen on; 0 picks a free one
        pub port: u16 = option("PORT").default("8080"),

        /// Folder for corrections [default: feedback beside the model]
        pub feedback: Option<PathBuf> = option("DIR"),

        /// File for the drift of inputs and predictions, written every minute and at the end: JSON, or CSV if its name ends with .csv
        pub drift: Option<PathBuf> = option("FILE"),

        /// Folder for the inputs and predictions of all requests; without it, only corrected inputs are written to disk
        pub record: Option<PathBuf> = option("DIR"),

        /// How to handle categories that the model was not trained on
        pub unknown: UnknownPolicy = option("POLICY").default("allow"),

        /// Maximum batch size
        pub max_batch: u32 = option("N").default("64").parser(parse::within(1..=65536)),

        /// Maximum delay to fill a batch, in microseconds. At 0, a batch holds the inputs that arrived during the previous one
        pub max_delay: u32 = option("MICROSECONDS").default("0").parser(parse::within(0..=1_000_000)),

        /// Inference threads, each with a copy of the model
        pub workers: u32 = option("N").default("1").parser(parse::within(1..=256)),

        /// Maximum number of inputs in the queue; further requests are rejected (503)
        pub queue: u32 = option("N").default("1024").parser(parse::within(1..=u32::MAX)),

        /// Maximum size of a request body in bytes (413)
        pub max_body: u32 = option("BYTES").default("16777216").parser(parse::within(1..=u32::MAX)),

        /// Maximum number of rows in a request (413)
        pub max_rows: u32 = option("N").default("1024").parser(parse::within(1..=u32::MAX)),

        /// Maximum number of pixels in an image, according to its header (413)
        pub max_pixels: u32 = option("N").default("25000000").parser(parse::within(1..=u32::MAX)),

        /// Maximum requests per second from a client (429); 0 is no limit [default: 0 on loopback, 100 otherwise]
        pub rate: Option<u32> = option("N"),

        /// Timeout in seconds to receive a request (408) and to compute its response (504)
        pub timeout: u32 = option("SECONDS").default("30").parser(parse::within(1..=3600)),
    }
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
