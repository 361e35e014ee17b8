//! GPU memory statistics.

use tch::Device;

use super::index;
use super::plugin::{Plugin, told};
use crate::Result;

/// Memory of a device in bytes. `crates/bridge/cuda/memory.cc` has the same members in the same order.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Allocated by tensors of this process.
    pub allocated: i64,
    /// Peak of `allocated` since the start, or since [`reset_peak`].
    pub peak_allocated: i64,
    /// Reserved by libtorch's caching allocator, including the memory of tensors.
    pub reserved: i64,
    /// Peak of `reserved`, likewise.
    pub peak_reserved: i64,
    /// Free on the device, not used by any process.
    pub free: i64,
    /// Total memory of the device.
    pub total: i64,
}

/// Returns the memory statistics of a CUDA device.
///
/// # Errors
/// CUDA or the plugin is unavailable, or `device` is not a CUDA device.
pub fn memory(device: Device) -> Result<Memory> {
    let (device, plugin) = (index(device)?, Plugin::open()?);
    let mut memory = Memory::default();
    told(|problem, length| {
        // SAFETY: `memory` has the layout that the function writes; the buffer for the error message has the given length.
        unsafe { (plugin.0.memory)(device, &raw mut memory, problem, length) }.then_some(())
    })?;
    Ok(memory)
}

/// Resets the peak statistics.
pub fn reset_peak(device: Device) -> Result<()> {
    let (device, plugin) = (index(device)?, Plugin::open()?);
    // SAFETY: the buffer for the error message has the given length.
    told(|problem, length| unsafe { (plugin.0.memory_reset_peak)(device, problem, length) }.then_some(()))
}
