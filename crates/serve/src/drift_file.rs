//! The file of the drift.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cresset::data::atomic;
use cresset::error::Result;
use tokio::time::{MissedTickBehavior, interval};

use super::models::Models;

/// Interval between writes of the file.
const WRITE_INTERVAL: Duration = Duration::from_secs(60);

/// Writes the drift of the current model to `path` periodically.
pub(super) async fn keep_written(models: Arc<Models>, path: PathBuf) {
    let mut turns = interval(WRITE_INTERVAL);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let (models, path) = (Arc::clone(&models), path.clone());
        let written = tokio::task::spawn_blocking(move || write(&models, &path));
        if let Ok(Err(error)) = written.await {
            tracing::warn!("{error}");
        }
    }
}

/// Writes the drift of the current model to `path`, atomically: JSON, or CSV if its name ends with `.csv`.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn write(models: &Models, path: &Path) -> Result<()> {
    match models.current().drift.report() {
        Some(report) => Ok(atomic::write(path, &report.to_bytes(path))?),
        None => Ok(()),
    }
}
