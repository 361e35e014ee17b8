//! What libtorch has and `tch` does not bind, and kernels that are faster than libtorch's.
//!
//! This crate holds all C++ and all `unsafe` code of the project, one topic a file pair (`script.rs` and `script.cc`).
//! Its functions take and give [`tch::Tensor`]s, and every C++ exception arrives as an [`Error`] of one line.
//!
//! `api/` wraps what libtorch can do; its modules stand at the root of this crate. [`kernels`] compute what libtorch could compute, too,
//! and exist for speed alone.

mod api;
mod error;
#[cfg(test)]
mod error_beside;
mod ffi;
#[cfg(feature = "distributed")]
mod ffi_distributed;
pub mod kernels;
#[cfg(test)]
mod processor;

pub use api::{
    autocast, cuda, gradients, graph, memory, model_file, optimizer, process, process_group, quantization,
    random, reducer, script,
};
pub use error::{Error, Result, first_line};

/// The version of libtorch that this crate was built with, such as `2.11.0`.
pub const LIBTORCH_VERSION: &str = env!("LIBTORCH_VERSION");
