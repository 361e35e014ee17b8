//! Weights in files.

pub mod safetensors;
