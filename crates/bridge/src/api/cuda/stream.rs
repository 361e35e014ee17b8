//! A stream beside the one that computes, on which batches travel to the device meanwhile.

use tch::{Device, Tensor};

use super::index;
use super::plugin::{Handle, Plugin, told};
use crate::Result;

/// The stream.
pub struct SideStream {
    handle: Handle,
    plugin: &'static Plugin,
}

/// A tensor that is on its way to the device, or there.
pub struct Sent(Tensor);

// SAFETY: the object is used through `&mut self` alone and refers to nothing of the thread that made it: what is a thread's
// own, its current stream, is looked up at each call.
unsafe impl Send for SideStream {}

impl SideStream {
    /// A stream of a CUDA device.
    ///
    /// # Errors
    /// A machine without CUDA or the plugin, and another device.
    pub fn new(device: Device) -> Result<Self> {
        let (device, plugin) = (index(device)?, Plugin::open()?);
        // SAFETY: the buffer for the problem is as long as it says.
        let handle = told(|problem, length| unsafe {
            Some((plugin.0.stream_new)(device, problem, length)).filter(|handle| !handle.is_null())
        })?;
        Ok(SideStream { handle, plugin })
    }

    /// Starts to copy a tensor in pinned memory ([`crate::memory::pinned`]) to the device. It may be dropped at once:
    /// its memory is used anew only when the copy is done.
    pub fn send(&mut self, pinned: &Tensor) -> Result<Sent> {
        // SAFETY: the handle is valid until it is freed in `drop`; tch's pointer is an `at::Tensor*` that lives as long as
        // `pinned`; the buffer for the problem is as long as it says.
        let copy = told(|problem, length| unsafe {
            let copy = (self.plugin.0.stream_send)(self.handle, pinned.as_ptr().cast(), problem, length);
            Some(copy).filter(|copy| !copy.is_null())
        })?;
        // SAFETY: the pointer came from `new at::Tensor` and is given up here; tch frees it with `delete`.
        Ok(Sent(unsafe { Tensor::from_ptr(copy.cast()) }))
    }

    /// Lets what is put on the thread's stream from here on wait for all that was sent so far, and use the tensor. The host
    /// does not wait.
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
        // SAFETY: the handle came from `stream_new` and is freed here alone.
        unsafe { (self.plugin.0.stream_free)(self.handle) };
    }
}
