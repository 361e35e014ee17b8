//! CUDA graphs: the kernels of some work, recorded once and launched as one, which costs the host next to nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tch::Device;

use super::index;
use super::plugin::{Handle, Plugin, told};
use crate::{Error, Result};

/// A graph, and the stream beside the usual one that it is recorded on.
pub struct Graph {
    handle: Handle,
    plugin: &'static Plugin,
}

// SAFETY: the object is used through `&mut self` alone and refers to nothing of the thread that made it: what is a thread's
// own, its current stream, is looked up at each call.
unsafe impl Send for Graph {}

/// Leaves the side stream when it goes out of scope, so also when the work on it panics.
struct Aside<'a>(&'a Graph);

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        if let Err(problem) = self.0.act(self.0.plugin.0.graph_leave) {
            // Later work would go to the wrong stream without a word.
            panic!("the stream of a CUDA graph cannot be left: {problem}");
        }
    }
}

impl Graph {
    /// An empty graph for a CUDA device.
    ///
    /// # Errors
    /// A machine without CUDA or the plugin, and another device.
    pub fn new(device: Device) -> Result<Self> {
        let (device, plugin) = (index(device)?, Plugin::open()?);
        // SAFETY: the buffer for the problem is as long as it says.
        let handle = told(|problem, length| unsafe {
            Some((plugin.0.graph_new)(device, problem, length)).filter(|handle| !handle.is_null())
        })?;
        Ok(Graph { handle, plugin })
    }

    /// Runs `work` on the graph's stream: after all that was put on the usual one before, and before all that is put on it
    /// afterwards. Libraries set themselves up for a stream when they are first used on it, which a recording does not allow.
    pub fn aside<R>(&mut self, work: impl FnOnce() -> R) -> Result<R> {
        self.act(self.plugin.0.graph_enter)?;
        let _aside = Aside(self);
        Ok(work())
    }

    /// Records what `work` puts on the device, instead of running it. Tensors that it makes get memory of the graph's own, to
    /// which every replay writes again. A recording that was there is given up.
    ///
    /// # Errors
    /// Work that fails or panics, or that cannot be recorded, such as reading a value of the device. The device is then as it
    /// was before.
    pub fn record<R, E: From<Error>>(
        &mut self,
        work: impl FnOnce() -> std::result::Result<R, E>,
    ) -> std::result::Result<R, E> {
        self.act(self.plugin.0.graph_enter)?;
        let _aside = Aside(self);
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

    /// Runs what was recorded, on the thread's stream.
    ///
    /// # Errors
    /// A graph without a recording.
    pub fn replay(&mut self) -> Result<()> {
        self.act(self.plugin.0.graph_replay)
    }

    fn act(&self, act: unsafe extern "C" fn(Handle, *mut std::ffi::c_char, usize) -> bool) -> Result<()> {
        // SAFETY: the handle is valid until it is freed in `drop`; the buffer for the problem is as long as it says.
        told(|problem, length| unsafe { act(self.handle, problem, length) }.then_some(()))
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: the handle came from `graph_new` and is freed here alone.
        unsafe { (self.plugin.0.graph_free)(self.handle) };
    }
}

/// What a panic said: tch's functions panic where libtorch throws.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    crate::first_line(text.unwrap_or_default())
}
