//! The groups of rows, one file per group.

pub mod csv;
pub mod digits;
pub mod evaluation;
pub mod inference;
pub mod pictures;
pub mod steps;
