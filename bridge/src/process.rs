//! The end of the process.

use crate::ffi;

/// Ends the process at once. Unlike `std::process::exit`, it runs nothing more, so that it is safe while other threads are
/// within libtorch, whose objects an orderly end would take away under their hands.
pub fn exit_at_once(code: i32) {
    ffi::exit_at_once(code);
}
