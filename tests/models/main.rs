//! Architectures, recipes, custom models, and compression.

mod architectures;
mod compress;
mod inspect;
mod own_models;
mod recipes;
#[path = "../support/mod.rs"]
mod support;
