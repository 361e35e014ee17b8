//! What the starter of several processes is told of an error.

use std::time::{SystemTime, UNIX_EPOCH};

use cresset::distributed::World;

/// Names the process in the error, and leaves it where torchrun looks for the reason of a failed job.
pub fn report(error: anyhow::Error, world: &World) -> anyhow::Error {
    if world.is_alone() {
        return error;
    }
    let error = error.context(format!("process {} of {}", world.rank(), world.size()));
    if let Some(path) = std::env::var_os("TORCHELASTIC_ERROR_FILE") {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        // The form that torch.distributed.elastic.multiprocessing.errors writes. The first of all is taken for the reason.
        let told = serde_json::json!({
            "message": { "message": format!("{error:#}"), "extraInfo": { "timestamp": now.to_string() } }
        });
        if let Err(problem) = std::fs::write(&path, told.to_string()) {
            tracing::debug!("cannot write {}: {problem}", path.to_string_lossy());
        }
    }
    error
}
