//! Enables CUDA at run time.
//!
//! The program is linked only against libtorch's CPU library. Opening `libtorch_cuda.so` registers the CUDA kernels. This
//! must happen before anything queries whether CUDA is available, because libtorch caches a negative result.

mod graph;
mod memory;
mod plugin;
mod stream;

use std::ffi::{CStr, c_int, c_void};

use tch::Device;

pub use graph::Graph;
pub use memory::{Memory, memory, reset_peak};
pub use plugin::{Plugin, Reason};
pub use stream::{Sent, SideStream};

use crate::{Error, Result};

/// Why CUDA is unavailable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// `libcuda.so.1`, which comes with NVIDIA's driver, is not installed.
    #[error("there is no NVIDIA driver on this machine (libcuda.so.1 was not found)")]
    NoDriver,
    /// `libtorch_cuda.so` or a library that it needs could not be opened.
    #[error("libtorch's CUDA library could not be loaded ({0})")]
    NoLibrary(String),
    /// The driver and the libraries are installed, but the driver reports no GPU.
    #[error("the NVIDIA driver found no GPU")]
    NoDevice,
}

impl Unavailable {
    /// How to fix it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Unavailable::NoDriver => "if this machine has an NVIDIA GPU, install its driver",
            Unavailable::NoLibrary(_) => "run `CUDA=1 make train`, which fetches the CUDA libraries",
            Unavailable::NoDevice => "check `nvidia-smi` and CUDA_VISIBLE_DEVICES",
        }
    }
}

/// Loads libtorch's CUDA library and returns the number of GPUs. Repeated calls are cheap.
pub fn load() -> std::result::Result<usize, Unavailable> {
    open(c"libcuda.so.1", libc::RTLD_LAZY).map_err(|_| Unavailable::NoDriver)?;
    open(c"libtorch_cuda.so", libc::RTLD_NOW | libc::RTLD_GLOBAL).map_err(Unavailable::NoLibrary)?;
    match tch::Cuda::device_count() {
        count if count > 0 => Ok(count as usize),
        _ => Err(Unavailable::NoDevice),
    }
}

fn open(library: &CStr, flags: libc::c_int) -> std::result::Result<*mut c_void, String> {
    // SAFETY: the name is a NUL-terminated string that outlives the call. The library is never closed, so that what it
    // registers stays valid.
    let handle = unsafe { libc::dlopen(library.as_ptr(), flags) };
    if !handle.is_null() {
        return Ok(handle);
    }
    // SAFETY: after a failed dlopen, dlerror returns a NUL-terminated string that is valid until the thread's next call
    // to a dl function; it is copied before that. A null pointer is checked for.
    let reason = unsafe {
        let message = libc::dlerror();
        (!message.is_null()).then(|| CStr::from_ptr(message).to_string_lossy().into_owned())
    };
    Err(reason.unwrap_or_else(|| format!("{} could not be opened", library.to_string_lossy())))
}

/// The index of a CUDA device.
fn index(device: Device) -> Result<c_int> {
    match device {
        Device::Cuda(index) => Ok(index as c_int),
        other => Err(Error(format!("{other:?} is not a CUDA device"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_does_not_exist_is_named() {
        let reason = open(c"libno_such_library.so", libc::RTLD_LAZY).unwrap_err();
        assert!(reason.contains("libno_such_library.so"), "{reason}");
    }

    #[test]
    fn what_needs_the_plugin_says_why_it_cannot() {
        let other = memory(Device::Cpu).unwrap_err().0;
        assert_eq!(other, "Cpu is not a CUDA device");
        if let Err(reason) = Plugin::open() {
            let expected = Error::from(reason);
            let device = Device::Cuda(0);
            assert_eq!(memory(device).err(), Some(expected.clone()));
            assert_eq!(reset_peak(device).err(), Some(expected.clone()));
            assert_eq!(Graph::new(device).err(), Some(expected.clone()));
            assert_eq!(SideStream::new(device).err(), Some(expected));
        }
    }

    #[test]
    fn a_missing_driver_is_the_first_reason() {
        if open(c"libcuda.so.1", libc::RTLD_LAZY).is_err() {
            assert_eq!(load(), Err(Unavailable::NoDriver));
        }
    }
}
