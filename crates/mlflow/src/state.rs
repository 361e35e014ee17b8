//! How much of the journal was sent, and where.

use std::path::Path;

use cresset_data::atomic;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// The name of the file in the run folder.
pub const STATE: &str = "mlflow-state.json";

/// The state of the delivery to a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The address of the server.
    pub uri: String,
    /// The number of bytes of the journal that were sent.
    pub sent: u64,
    /// The run on the server, once it is there.
    pub run: Option<RemoteRun>,
}

/// A run on the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteRun {
    /// Its ID.
    pub id: String,
    /// Where its artifacts are.
    pub artifacts: String,
}

impl State {
    /// The state in a run folder. A file that cannot be read means that nothing was sent.
    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join(STATE)).ok()?).ok()
    }

    /// Writes the state, atomically.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).expect("a state serializes to JSON");
        Ok(atomic::write(&folder.join(STATE), text.as_bytes())?)
    }
}
