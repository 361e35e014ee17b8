//! Switches CUDA on at run time.
//!
//! The program is linked to libtorch's CPU half alone. Opening `libtorch_cuda.so` registers the CUDA kernels, and must
//! come before anything asks whether CUDA is available: libtorch remembers a first "no" for good.

use std::ffi::{CStr, CString};

/// Why CUDA cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// `libcuda.so.1`, which comes with NVIDIA's driver, is not on this machine.
    #[error("there is no NVIDIA driver on this machine (libcuda.so.1 was not found)")]
    NoDriver,
    /// `libtorch_cuda.so` or a library that it needs could not be opened.
    #[error("libtorch's CUDA half could not be loaded ({0})")]
    NoLibrary(String),
    /// The driver and the libraries are there, but no GPU answers.
    #[error("the NVIDIA driver sees no GPU")]
    NoDevice,
}

impl Unavailable {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Unavailable::NoDriver => "if this machine has an NVIDIA GPU, install its driver",
            Unavailable::NoLibrary(_) => "run `CUDA=1 make train`, which fetches the CUDA libraries",
            Unavailable::NoDevice => "check `nvidia-smi` and CUDA_VISIBLE_DEVICES",
        }
    }
}

/// Loads libtorch's CUDA half and gives the number of GPUs. Calling it again is cheap.
pub fn load() -> Result<usize, Unavailable> {
    open("libcuda.so.1", libc::RTLD_LAZY).map_err(|_| Unavailable::NoDriver)?;
    open("libtorch_cuda.so", libc::RTLD_NOW | libc::RTLD_GLOBAL).map_err(Unavailable::NoLibrary)?;
    match tch::Cuda::device_count() {
        count if count > 0 => Ok(count as usize),
        _ => Err(Unavailable::NoDevice),
    }
}

fn open(library: &str, flags: libc::c_int) -> Result<(), String> {
    let name = CString::new(library).expect("a library's name holds no NUL");
    // SAFETY: `name` is a NUL-terminated string that outlives the call. The library is never closed, so that what it
    // registers stays valid.
    let handle = unsafe { libc::dlopen(name.as_ptr(), flags) };
    if !handle.is_null() {
        return Ok(());
    }
    // SAFETY: after a failed dlopen, dlerror gives a NUL-terminated string that is valid until the thread's next call
    // to a dl function; it is copied before that. A null pointer is checked for.
    let reason = unsafe {
        let message = libc::dlerror();
        (!message.is_null()).then(|| CStr::from_ptr(message).to_string_lossy().into_owned())
    };
    Err(reason.unwrap_or_else(|| format!("{library} could not be opened")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_does_not_exist_is_named() {
        let reason = open("libno_such_library.so", libc::RTLD_LAZY).unwrap_err();
        assert!(reason.contains("libno_such_library.so"), "{reason}");
    }

    #[test]
    fn a_missing_driver_is_the_first_reason() {
        if open("libcuda.so.1", libc::RTLD_LAZY).is_err() {
            assert_eq!(load(), Err(Unavailable::NoDriver));
        }
    }
}
