//! Exported files, in this and in other programs.

mod encoders;
mod onnx;
mod programs;
mod pt2;
mod python;
mod recommend;
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod tasks;
mod texts;
mod tokenizers;
mod variants;
