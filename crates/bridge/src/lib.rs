//! Bindings to parts of libtorch that `tch` lacks, and kernels that are faster than libtorch's.
//!
//! This crate holds all C++ and all `unsafe` code of the project, one topic per file pair (`script.rs` and `script.cc`).
//! Its functions take and return [`tch::Tensor`]s, and every C++ exception becomes a one-line [`Error`].
//!
//! `api/` wraps features of libtorch; its modules are re-exported at the root of this crate. The [`kernels`] replace
//! operations of libtorch and exist only for speed.

mod api;
mod error;
#[cfg(test)]
mod error_beside;
mod ffi;
#[cfg(feature = "distributed")]
mod ffi_distributed;
pub mod kernels;
mod processor;

pub use api::{
    autocast, compiled_package, cuda, gradients, graph, memory, model_file, optimizer, package, process,
    process_group, quantization, random, reducer, schema, script,
};
pub use error::{Error, Result, first_line};

/// The version of libtorch that this crate was built with, such as `2.11.0`.
pub const LIBTORCH_VERSION: &str = env!("LIBTORCH_VERSION");
