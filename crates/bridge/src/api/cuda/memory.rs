//! How much memory of a GPU is in use.

use tch::Device;

use super::index;
use super::plugin::{Plugin, told};
use crate::Result;

/// Bytes of a device's memory. `crates/bridge/cuda/memory.cc` has the same members in the same order.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// In tensors of this process.
    pub allocated: i64,
    /// The most that was in tensors since the start, or since [`reset_peak`].
    pub peak_allocated: i64,
    /// In tensors, and kept by libtorch for the next ones.
    pub reserved: i64,
    /// The most of that, likewise.
    pub peak_reserved: i64,
    /// Used by nobody, neither this process nor others.
    pub free: i64,
    /// All there is.
    pub total: i64,
}

/// The memory of a CUDA device.
///
/// # Errors
/// A machine without CUDA or the plugin, and another device.
pub fn memory(device: Device) -> Result<Memory> {
    let (device, plugin) = (index(device)?, Plugin::open()?);
    let mut memory = Memory::default();
    told(|problem, length| {
        // SAFETY: `memory` has the layout that the function writes; the buffer for the problem is as long as it says.
        unsafe { (plugin.0.memory)(device, &raw mut memory, problem, length) }.then_some(())
    })?;
    Ok(memory)
}

/// Begins to measure the peaks anew.
pub fn reset_peak(device: Device) -> Result<()> {
    let (device, plugin) = (index(device)?, Plugin::open()?);
    // SAFETY: the buffer for the problem is as long as it says.
    told(|problem, length| unsafe { (plugin.0.memory_reset_peak)(device, problem, length) }.then_some(()))
}
