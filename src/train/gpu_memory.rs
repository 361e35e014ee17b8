//! Logs the GPU memory of an epoch.

use cresset_bridge::cuda::{self, Plugin};
use tch::Device;

/// Logs the peak memory since the last call, if the CUDA plugin can be opened.
pub(super) fn report(device: Device, epoch: u32) {
    if !device.is_cuda() || Plugin::open().is_err() {
        return;
    }
    let found = cuda::memory(device).and_then(|memory| cuda::reset_peak(device).map(|()| memory));
    match found {
        Ok(memory) => tracing::info!(
            epoch,
            "GPU memory: peak {} allocated and {} reserved, of {}",
            gigabytes(memory.peak_allocated),
            gigabytes(memory.peak_reserved),
            gigabytes(memory.total)
        ),
        Err(problem) => tracing::debug!("cannot read the GPU memory: {problem}"),
    }
}

fn gigabytes(bytes: i64) -> String {
    format!("{:.2} GB", bytes as f64 / 1e9)
}
