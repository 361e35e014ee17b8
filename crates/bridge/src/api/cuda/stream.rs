//! A side stream that copies batches to the device while the current stream computes.

use tch::{Device, Tensor};

use super::index;
use super::plugin::{Handle, Plugin, told};
use crate::Result;

/// A side stream.
pub struct SideStream {
    handle: Handle,
    plugin: &'static Plugin,
}

/// A tensor whose copy to the device has started.
pub struct Sent(Tensor);

// SAFETY: the object is used only through `&mut self` and refers to no thread-local state: the current stream, which is
// thread-local, is looked up on each call.
unsafe impl Send for SideStream {}

impl SideStream {
    /// Creates a stream on a CUDA device.
    ///
    /// # Errors
    /// CUDA or the plugin is unavailable, or `device` is not a CUDA device.
    pub fn new(device: Device) -> Result<Self> {
        let (device, plugin) = (index(device)?, Plugin::open()?);
        // SAFETY: the buffer for the error message has the given length.
        let handle = told(|problem, length| unsafe {
            Some((plugin.0.stream_new)(device, problem, length)).filter(|handle| !handle.is_null())
        })?;
        Ok(SideStream { handle, plugin })
    }

    /// Starts to copy a tensor in pinned memory ([`crate::memory::pinned`]) to the device. The tensor may be dropped at
    /// once: its memory is reused only after the copy has finished.
    pub fn send(&mut self, pinned: &Tensor) -> Result<Sent> {
        // SAFETY: the handle is valid until it is freed in `drop`; tch's pointer is an `at::Tensor*` that lives as long as
        // `pinned`; the buffer for the error message has the given length.
        let copy = told(|problem, length| unsafe {
            let copy = (self.plugin.0.stream_send)(self.handle, pinned.as_ptr().cast(), problem, length);
            Some(copy).filter(|copy| !copy.is_null())
        })?;
        // SAFETY: the pointer came from `new at::Tensor` and is released here; tch frees it with `delete`.
        Ok(Sent(unsafe { Tensor::from_ptr(copy.cast()) }))
    }

    /// Makes later work on the current stream wait for all copies started so far, and returns the tensor on the device. The
    /// host does not wait.
    pub fn receive(&mut self, sent: Sent) -> Result<Tensor> {
        told(|problem, length| {
            // SAFETY: as in `send`.
            unsafe { (self.plugin.0.stream_receive)(self.handle, sent.0.as_ptr().cast(), problem, length) }
                .then_some(())
        })?;
        Ok(sent.0)
    }
}

impl Drop for SideStream {
    fn drop(&mut self) {
        // SAFETY: the handle came from `stream_new` and is freed only here.
        unsafe { (self.plugin.0.stream_free)(self.handle) };
    }
}
