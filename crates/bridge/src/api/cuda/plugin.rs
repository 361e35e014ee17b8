//! The CUDA plugin: the code that needs CUDA's headers, built as a shared library (`crates/bridge/cuda/`) and opened at
//! run time. Without it, only the CUDA features available through libtorch's CPU library work.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::memory::Memory;
use super::{Unavailable, open};
use crate::{Error, first_line};

/// Why the plugin cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// CUDA is unavailable.
    #[error(transparent)]
    NoCuda(#[from] Unavailable),
    /// The file is missing.
    #[error("the CUDA plugin was not built ({} was not found)", .0.display())]
    Missing(PathBuf),
    /// The file exists but cannot be opened.
    #[error("the CUDA plugin could not be opened ({0})")]
    Broken(String),
}

impl Reason {
    /// How to fix it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Reason::NoCuda(reason) => reason.remedy(),
            Reason::Missing(_) => "run `scripts/build-cuda-plugin`",
            Reason::Broken(_) => "delete that file and run `scripts/build-cuda-plugin`",
        }
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Error(format!("{reason}; {}", reason.remedy()))
    }
}

/// The opened plugin. It stays open until the process ends.
#[derive(Debug)]
pub struct Plugin(pub(super) Functions);

/// A pointer to an object of the plugin.
pub(super) type Handle = *mut c_void;

/// The last two arguments of each function are a buffer for an error message and its length.
type New = unsafe extern "C" fn(c_int, *mut c_char, usize) -> Handle;
type Act = unsafe extern "C" fn(Handle, *mut c_char, usize) -> bool;
type End = unsafe extern "C" fn(Handle);

/// The functions of the plugin, as `crates/bridge/cuda/` declares them.
#[derive(Debug)]
pub(super) struct Functions {
    pub graph_new: New,
    pub graph_enter: Act,
    pub graph_leave: Act,
    pub graph_begin: Act,
    pub graph_end: Act,
    pub graph_abandon: End,
    pub graph_replay: Act,
    pub graph_free: End,
    pub stream_new: New,
    pub stream_send: unsafe extern "C" fn(Handle, *const c_void, *mut c_char, usize) -> *mut c_void,
    pub stream_receive: unsafe extern "C" fn(Handle, *const c_void, *mut c_char, usize) -> bool,
    pub stream_free: End,
    pub memory: unsafe extern "C" fn(c_int, *mut Memory, *mut c_char, usize) -> bool,
    pub memory_reset_peak: unsafe extern "C" fn(c_int, *mut c_char, usize) -> bool,
}

impl Plugin {
    /// Opens libtorch's CUDA library and the plugin on the first call. The plugin's symbols are global, so that
    /// `dlsym(RTLD_DEFAULT, "cresset_new_nccl")` then finds this function.
    pub fn open() -> Result<&'static Plugin, Reason> {
        static PLUGIN: OnceLock<Result<Plugin, Reason>> = OnceLock::new();
        let plugin = PLUGIN.get_or_init(|| {
            super::load()?;
            Plugin::at(Plugin::path())
        });
        plugin.as_ref().map_err(Clone::clone)
    }

    /// Path of the plugin: next to the libraries that this crate was linked with, under a name that contains a hash of its
    /// sources. If that file is missing, the system's library folders are searched.
    pub fn path() -> &'static Path {
        Path::new(env!("CUDA_PLUGIN"))
    }

    fn at(path: &Path) -> Result<Plugin, Reason> {
        let file_name = path.file_name().expect("the plugin is a file").as_bytes();
        let place = if path.exists() { path.as_os_str().as_bytes() } else { file_name };
        let place = CString::new(place).expect("a path holds no NUL");
        let library = open(&place, libc::RTLD_NOW | libc::RTLD_GLOBAL).map_err(|problem| {
            if path.exists() { Reason::Broken(problem) } else { Reason::Missing(path.to_path_buf()) }
        })?;
        // SAFETY: each type in `Functions` is that of the function with this name in crates/bridge/cuda/. The file name
        // contains a hash of those sources, so the plugin was built from the sources that belong to this crate.
        unsafe {
            Ok(Plugin(Functions {
                graph_new: function(library, c"cresset_graph_new")?,
                graph_enter: function(library, c"cresset_graph_enter")?,
                graph_leave: function(library, c"cresset_graph_leave")?,
                graph_begin: function(library, c"cresset_graph_begin")?,
                graph_end: function(library, c"cresset_graph_end")?,
                graph_abandon: function(library, c"cresset_graph_abandon")?,
                graph_replay: function(library, c"cresset_graph_replay")?,
                graph_free: function(library, c"cresset_graph_free")?,
                stream_new: function(library, c"cresset_stream_new")?,
                stream_send: function(library, c"cresset_stream_send")?,
                stream_receive: function(library, c"cresset_stream_receive")?,
                stream_free: function(library, c"cresset_stream_free")?,
                memory: function(library, c"cresset_memory")?,
                memory_reset_peak: function(library, c"cresset_memory_reset_peak")?,
            }))
        }
    }
}

/// Looks up a function of an opened library.
///
/// # Safety
/// `F` is the type of that function, an `extern "C"` function pointer.
unsafe fn function<F: Copy>(library: Handle, name: &CStr) -> Result<F, Reason> {
    assert_eq!(size_of::<F>(), size_of::<Handle>());
    // SAFETY: `library` came from dlopen and is never closed; `name` ends with a NUL.
    let address = unsafe { libc::dlsym(library, name.as_ptr()) };
    if address.is_null() {
        return Err(Reason::Broken(format!("it does not define {}", name.to_string_lossy())));
    }
    // SAFETY: the address is that of a function of type `F`, as the caller promises, and has its size.
    Ok(unsafe { std::mem::transmute_copy::<Handle, F>(&address) })
}

/// Calls a function of the plugin with a buffer for an error message. `call` returns `None` on failure.
pub(super) fn told<R>(call: impl FnOnce(*mut c_char, usize) -> Option<R>) -> crate::Result<R> {
    let mut problem = [0u8; 2048];
    call(problem.as_mut_ptr().cast(), problem.len()).ok_or_else(|| {
        let text = CStr::from_bytes_until_nul(&problem).unwrap_or_default();
        Error(first_line(&text.to_string_lossy()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_that_was_not_built_is_told_with_its_place_and_the_remedy() {
        let path = Path::new("/nowhere/libcresset_cuda-0.so");
        let reason = Plugin::at(path).unwrap_err();
        assert_eq!(reason, Reason::Missing(path.to_path_buf()));
        let text = Error::from(reason).0;
        assert!(text.contains("/nowhere/libcresset_cuda-0.so was not found"), "{text}");
        assert!(text.ends_with("; run `scripts/build-cuda-plugin`"), "{text}");
    }

    #[test]
    fn a_file_that_is_no_library_and_a_library_that_is_no_plugin_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libcresset_cuda-1.so");
        std::fs::write(&path, "no library").unwrap();
        let reason = Plugin::at(&path).unwrap_err();
        assert!(matches!(&reason, Reason::Broken(text) if text.contains("libcresset_cuda-1.so")), "{reason}");
        std::fs::remove_file(&path).unwrap();
        let other = Path::new(env!("CUDA_PLUGIN")).with_file_name("libc10.so");
        let reason = Plugin::at(&other).unwrap_err();
        assert_eq!(reason, Reason::Broken("it does not define cresset_graph_new".to_string()));
    }

    #[test]
    fn without_cuda_the_plugin_gives_the_same_reason_as_cuda() {
        if let Err(reason) = super::super::load() {
            assert_eq!(Plugin::open().unwrap_err(), Reason::NoCuda(reason));
        }
    }

    #[test]
    fn a_failure_is_told_in_its_own_words() {
        let failure = told::<()>(|problem, length| {
            assert!(length > 3);
            // SAFETY: the buffer has room for the three bytes.
            unsafe { std::ptr::copy_nonoverlapping(c"no".as_ptr(), problem, 3) };
            None
        });
        assert_eq!(failure.unwrap_err().0, "no");
        assert_eq!(told(|_, _| Some(7)).unwrap(), 7);
    }
}
