//! What is read: formats, tables, pictures, splits, and faulty inputs.

mod bad_input;
mod cases;
mod data_commands;
mod formats;
mod names;
mod pictures;
mod splits;
#[path = "../support/mod.rs"]
mod support;
mod tables;
