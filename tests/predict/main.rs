//! Predictions, their explanations, and learning from corrections.

#[path = "../support/archives.rs"]
mod archives;
mod drift;
mod embed;
mod explain;
mod feedback;
mod onnx_files;
mod ood;
mod packages;
mod predict;
mod predict_many;
mod sets;
#[path = "../support/mod.rs"]
mod support;
