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
    /// The driver is older than libtorch's version of CUDA.
    #[error(
        "the NVIDIA driver{} supports CUDA {}.{} and is too old: libtorch needs CUDA {NEEDED_CUDA}",
        .version.as_ref().map(|version| format!(" {version}")).unwrap_or_default(), .cuda / 1000, .cuda % 1000 / 10
    )]
    OldDriver {
        /// The newest version of CUDA that the driver supports: 1000 · major + 10 · minor, as CUDA encodes it.
        cuda: i32,
        /// The version of the driver, if known.
        version: Option<String>,
    },
    /// CUDA_VISIBLE_DEVICES hides all GPUs.
    #[error("CUDA_VISIBLE_DEVICES={0:?} hides all GPUs")]
    Hidden(String),
    /// The driver and the libraries are installed, but the driver reports no GPU.
    #[error("the NVIDIA driver found no GPU")]
    NoDevice,
}

/// The version of CUDA that libtorch was built for.
const NEEDED_CUDA: i32 = 13;

impl Unavailable {
    /// How to fix it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Unavailable::NoDriver => "if this machine has an NVIDIA GPU, install its driver",
            Unavailable::NoLibrary(_) => "run `CUDA=1 make train`, which fetches the CUDA libraries",
            Unavailable::OldDriver { .. } => "install version 580 or newer of the driver",
            Unavailable::Hidden(_) => "unset it, or set it to the indices of GPUs, such as 0",
            Unavailable::NoDevice => "check `nvidia-smi`",
        }
    }
}

/// Loads libtorch's CUDA library and returns the number of GPUs. Repeated calls are cheap.
pub fn load() -> std::result::Result<usize, Unavailable> {
    let driver = open(c"libcuda.so.1", libc::RTLD_LAZY).map_err(|_| Unavailable::NoDriver)?;
    if let Some(cuda) = supported_cuda(driver)
        && cuda < 1000 * NEEDED_CUDA
    {
        return Err(Unavailable::OldDriver { cuda, version: driver_version() });
    }
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    if let Some(none @ ("" | "-1")) = visible.as_deref() {
        return Err(Unavailable::Hidden(none.to_string()));
    }
    open(c"libtorch_cuda.so", libc::RTLD_NOW | libc::RTLD_GLOBAL).map_err(Unavailable::NoLibrary)?;
    match (tch::Cuda::device_count(), visible) {
        (count, _) if count > 0 => Ok(count as usize),
        (_, Some(visible)) => Err(Unavailable::Hidden(visible)),
        _ => Err(Unavailable::NoDevice),
    }
}

/// The newest version of CUDA that the driver supports: 1000 · major + 10 · minor. `None` if the driver does not say.
fn supported_cuda(driver: *mut c_void) -> Option<c_int> {
    // SAFETY: `driver` is a library that `open` opened and never closes, and the name is a NUL-terminated string.
    let address = unsafe { libc::dlsym(driver, c"cuDriverGetVersion".as_ptr()) };
    if address.is_null() {
        return None;
    }
    // SAFETY: the CUDA driver API declares `CUresult cuDriverGetVersion(int *)`. It may be called before `cuInit`.
    let get_version =
        unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_int) -> c_int>(address) };
    let mut version = 0;
    // SAFETY: the pointer is to an integer that outlives the call.
    let status = unsafe { get_version(&mut version) };
    (status == 0).then_some(version)
}

/// The version of the NVIDIA driver, such as 550.54.14, from the file in which its kernel module reports it.
fn driver_version() -> Option<String> {
    let text = std::fs::read_to_string("/proc/driver/nvidia/version").ok()?;
    version_in(&text)
}

/// The first word of digits and points: `NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb …`.
fn version_in(text: &str) -> Option<String> {
    let is_version = |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.split_whitespace().find(is_version).map(String::from)
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
    fn the_version_of_the_driver_is_found() {
        let closed =
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024";
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build";
        assert_eq!(version_in(closed).as_deref(), Some("550.54.14"));
        assert_eq!(version_in(open).as_deref(), Some("580.95.05"));
        assert_eq!(version_in("GCC version:"), None);
    }

    #[test]
    fn an_old_driver_and_hidden_gpus_are_named() {
        let old = Unavailable::OldDriver { cuda: 12040, version: Some("550.54.14".into()) };
        let text = "the NVIDIA driver 550.54.14 supports CUDA 12.4 and is too old: libtorch needs CUDA 13";
        assert_eq!(old.to_string(), text);
        let unknown = Unavailable::OldDriver { cuda: 11080, version: None };
        assert!(unknown.to_string().starts_with("the NVIDIA driver supports CUDA 11.8 and"), "{unknown}");
        assert_eq!(
            Unavailable::Hidden(String::new()).to_string(),
            "CUDA_VISIBLE_DEVICES=\"\" hides all GPUs"
        );
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
