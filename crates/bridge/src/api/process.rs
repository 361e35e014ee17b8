//! The process: its signals, its logs and its end.

use crate::ffi;

/// Ends the process at once. Unlike `std::process::exit`, it runs nothing more, so that it is safe while other threads are
/// within libtorch, whose objects an orderly end would take away under their hands.
pub fn exit_at_once(code: i32) -> ! {
    ffi::exit_at_once(code);
    unreachable!("the process has ended")
}

/// Has a write beyond the limit on a file's size (`ulimit -f`) fail as one to a full disk does, instead of ending the process.
pub fn survive_file_size_limit() {
    ffi::ignore_file_size_signal();
}

/// Keeps libtorch from writing warnings to standard error, which come with C++ back traces. A level that the user has set
/// in `TORCH_CPP_LOG_LEVEL` stays.
pub fn silence_warnings() {
    if std::env::var_os("TORCH_CPP_LOG_LEVEL").is_none() {
        ffi::log_errors_only();
    }
}
