//! What libtorch has and `tch` does not bind.
//!
//! This crate holds all C++ and all `unsafe` code of the project, one topic a file pair (`script.rs` and `script.cc`).
//! Its functions take and give [`tch::Tensor`]s, and every C++ exception arrives as an [`Error`] of one line.

pub mod allocator;
pub mod autocast;
pub mod compiled;
pub mod convolution;
pub mod cuda;
mod cutting;
pub mod decimals;
mod error;
#[cfg(test)]
mod error_beside;
mod ffi;
mod freezing;
pub mod gradients;
pub mod graph;
pub mod lstm;
pub mod memory;
pub mod model_file;
pub mod norm;
pub mod optimizer;
pub mod perceptron;
pub mod process;
pub mod process_group;
#[cfg(test)]
mod processor;
pub mod quantization;
pub mod random;
mod recording;
pub mod reducer;
pub mod script;
pub mod tally;

pub use error::{Error, Result, first_line};

/// The version of libtorch that this crate was built with, such as `2.11.0`.
pub const LIBTORCH_VERSION: &str = env!("LIBTORCH_VERSION");
