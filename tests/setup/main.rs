//! The scripts that set up a checkout and install the program, and the devices of a machine.

mod cuda_plugin;
mod device;
mod docker;
mod fetch;
mod gpu;
mod gpu_kit;
mod install;
mod python_module;
mod release;
#[path = "../support/mod.rs"]
mod support;
mod wheel;
