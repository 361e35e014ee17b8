//! Predictions, their explanations, and learning from corrections.

mod embed;
mod explain;
mod feedback;
mod ood;
mod predict;
mod predict_many;
mod sets;
#[path = "../support/mod.rs"]
mod support;
