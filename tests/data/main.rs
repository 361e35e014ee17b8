//! What is read: formats, tables, images, splits, and faulty inputs.

mod bad_input;
mod cases;
mod data_commands;
mod formats;
mod images;
mod names;
mod splits;
#[path = "../support/mod.rs"]
mod support;
mod tables;
