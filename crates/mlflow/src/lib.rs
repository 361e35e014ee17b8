//! Reports runs to an MLflow tracking server through its REST API, version 2.0.
//!
//! Everything is first appended to a journal in the run folder. A thread sends the journal to the server and notes how far it
//! got, so that a crash, a server that is away and a lost connection neither lose nor double anything: what is left is sent
//! when the run is resumed, or by [`sync`].
//!
//! ```text
//! mlflow.jsonl       the journal: a JSON object per line
//! mlflow-state.json  server, run ID, and the number of bytes of the journal that were sent
//! ```

mod delivery;
mod error;
mod journal;
mod server;
mod settings;
mod state;
#[cfg(test)]
mod tests;
mod tracker;

pub use delivery::{known_uri, sync};
pub use error::{Error, Result};
pub use journal::{JOURNAL, Journal, Record, RunRecord};
pub use settings::{DEFAULT_EXPERIMENT, Settings};
pub use state::STATE;
pub use tracker::{Tracker, Unsent};
