//! CUDA graphs: kernels captured once and launched together, which costs the host almost no time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tch::Device;

use super::index;
use super::plugin::{Handle, Plugin, told};
use crate::{Error, Result};

/// A CUDA graph and the side stream on which it is captured.
pub struct Graph {
    handle: Handle,
    plugin: &'static Plugin,
}

// SAFETY: the object is used only through `&mut self` and refers to no thread-local state: the current stream, which is
// thread-local, is looked up on each call.
unsafe impl Send for Graph {}

/// Leaves the side stream on drop, including after a panic.
struct SideStreamGuard<'a>(&'a Graph);

impl Drop for SideStreamGuard<'_> {
    fn drop(&mut self) {
        if let Err(problem) = self.0.act(self.0.plugin.0.graph_leave) {
            // Otherwise later work would silently run on the wrong stream.
            panic!("cannot leave the stream of a CUDA graph: {problem}");
        }
    }
}

impl Graph {
    /// Creates an empty graph for a CUDA device.
    ///
    /// # Errors
    /// CUDA or the plugin is unavailable, or `device` is not a CUDA device.
    pub fn new(device: Device) -> Result<Self> {
        let (device, plugin) = (index(device)?, Plugin::open()?);
        // SAFETY: the buffer for the error message has the given length.
        let handle = told(|problem, length| unsafe {
            Some((plugin.0.graph_new)(device, problem, length)).filter(|handle| !handle.is_null())
        })?;
        Ok(Graph { handle, plugin })
    }

    /// Runs `work` on the graph's stream, after all earlier and before all later work on the current stream. Libraries
    /// initialize themselves on their first use of a stream, which is not allowed during capture.
    pub fn aside<R>(&mut self, work: impl FnOnce() -> R) -> Result<R> {
        self.act(self.plugin.0.graph_enter)?;
        let _aside = SideStreamGuard(self);
        Ok(work())
    }

    /// Captures the kernels that `work` launches instead of running them. Tensors created by `work` get memory from the
    /// graph's own pool, which every replay overwrites. An earlier capture is discarded.
    ///
    /// # Errors
    /// `work` fails, panics or does something that cannot be captured, such as reading a value from the device. The device
    /// is then in the same state as before.
    pub fn record<R, E: From<Error>>(
        &mut self,
        work: impl FnOnce() -> std::result::Result<R, E>,
    ) -> std::result::Result<R, E> {
        self.act(self.plugin.0.graph_enter)?;
        let _aside = SideStreamGuard(self);
        let recorded = self.act(self.plugin.0.graph_begin).map_err(E::from).and_then(|()| {
            let result = catch_unwind(AssertUnwindSafe(work))
                .unwrap_or_else(|panic| Err(E::from(Error(message(&*panic)))))?;
            self.act(self.plugin.0.graph_end)?;
            Ok(result)
        });
        if recorded.is_err() {
            // SAFETY: the handle is valid until it is freed in `drop`.
            unsafe { (self.plugin.0.graph_abandon)(self.handle) };
        }
        recorded
    }

    /// Replays the captured kernels on the current stream.
    ///
    /// # Errors
    /// Nothing has been captured.
    pub fn replay(&mut self) -> Result<()> {
        self.act(self.plugin.0.graph_replay)
    }

    fn act(&self, act: unsafe extern "C" fn(Handle, *mut std::ffi::c_char, usize) -> bool) -> Result<()> {
        // SAFETY: the handle is valid until it is freed in `drop`; the buffer for the error message has the given length.
        told(|problem, length| unsafe { act(self.handle, problem, length) }.then_some(()))
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: the handle came from `graph_new` and is freed only here.
        unsafe { (self.plugin.0.graph_free)(self.handle) };
    }
}

/// The message of a panic: functions of tch panic where libtorch throws.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    crate::first_line(text.unwrap_or_default())
}
