//! Error reports for torchrun and other launchers.

use std::time::{SystemTime, UNIX_EPOCH};

use cresset::distributed::World;

/// Adds the rank to the error, and writes it to the error file of torchrun.
pub fn report(error: anyhow::Error, world: &World) -> anyhow::Error {
    if world.is_alone() {
        return error;
    }
    let error = error.context(format!("process {} of {}", world.rank(), world.size()));
    if let Some(path) = std::env::var_os("TORCHELASTIC_ERROR_FILE") {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        // The format of torch.distributed.elastic.multiprocessing.errors. torchrun reports the earliest error.
        let report = serde_json::json!({
            "message": { "message": format!("{error:#}"), "extraInfo": { "timestamp": now.to_string() } }
        });
        if let Err(problem) = std::fs::write(&path, report.to_string()) {
            tracing::debug!("cannot write {}: {problem}", path.to_string_lossy());
        }
    }
    error
}
