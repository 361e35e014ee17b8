//! Process-wide settings: signals, logging and exit.

use crate::ffi;

/// Exits the process immediately. Unlike `std::process::exit`, it runs no exit handlers, so it is safe while other threads
/// run inside libtorch: exit handlers would destroy objects that those threads use.
pub fn exit_at_once(code: i32) -> ! {
    ffi::exit_at_once(code);
    unreachable!("the process has ended")
}

/// Makes a write beyond the file size limit (`ulimit -f`) fail like a write to a full disk, instead of ending the process.
pub fn survive_file_size_limit() {
    ffi::ignore_file_size_signal();
}

/// Disables libtorch's warnings on standard error, which include C++ backtraces. A level set by the user in
/// `TORCH_CPP_LOG_LEVEL` takes precedence.
pub fn silence_warnings() {
    if std::env::var_os("TORCH_CPP_LOG_LEVEL").is_none() {
        ffi::log_errors_only();
    }
}
