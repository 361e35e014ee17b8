//! What is measured, a file a group.

pub mod csv;
pub mod digits;
pub mod evaluation;
pub mod inference;
pub mod pictures;
pub mod steps;
