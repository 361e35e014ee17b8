//! Bindings to parts of libtorch that `tch` lacks.

pub mod autocast;
mod collections;
pub mod compiled_package;
pub mod cuda;
mod cutting;
mod embedding;
mod freezing;
pub mod gradients;
pub mod graph;
pub mod memory;
pub mod model_file;
pub mod optimizer;
pub mod package;
pub mod process;
#[cfg(feature = "distributed")]
pub mod process_group;
pub mod quantization;
pub mod random;
mod recording;
#[cfg(feature = "distributed")]
pub mod reducer;
mod rendezvous;
pub mod schema;
pub mod script;
#[cfg(not(feature = "distributed"))]
mod without_distributed;

#[cfg(not(feature = "distributed"))]
pub use without_distributed::{process_group, reducer};
