//! Random IDs of traces and spans.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// The ID of a span: 16 hexadecimal digits, not all 0.
pub fn span() -> String {
    // `RandomState` has new random keys each time.
    format!("{:016x}", RandomState::new().hash_one(0).max(1))
}

/// The ID of a trace: 32 hexadecimal digits, not all 0.
pub fn trace() -> String {
    span() + &span()
}
