//! Exported files, in this and in other programs.

mod onnx;
mod programs;
mod pt2;
mod python;
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod tasks;
mod variants;
