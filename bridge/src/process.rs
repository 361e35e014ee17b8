//! The end of the process.

use crate::ffi;

/// Ends the process at once. Unlike `std::process::exit`, it runs nothing more, so that it is safe while other threads are
/// within libtorch, whose objects an orderly end would take away under their hands.
pub fn exit_at_once(code: i32) -> ! {
    ffi::exit_at_once(code);
    unreachable!("the process has ended")
}

/// Keeps libtorch from writing warnings to standard error, which come with C++ back traces. A level that the user has set
/// in `TORCH_CPP_LOG_LEVEL` stays.
pub fn silence_warnings() {
    if std::env::var_os("TORCH_CPP_LOG_LEVEL").is_none() {
        ffi::log_errors_only();
    }
}
