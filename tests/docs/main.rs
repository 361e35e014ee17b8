//! The README and the book, and the structure of the source code.

mod book;
mod imports;
mod modules;
mod readme;
#[path = "../support/mod.rs"]
mod support;
