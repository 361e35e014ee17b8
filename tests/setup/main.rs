//! The scripts that set up a checkout, and the devices of a machine.

mod cuda_plugin;
mod device;
mod fetch;
mod gpu;
mod gpu_kit;
#[path = "../support/mod.rs"]
mod support;
