//! Runs that are listed, compared and reported.

mod card;
mod list;
mod mlflow;
mod push;
mod recommend;
mod report;
#[path = "../support/mod.rs"]
mod support;
mod tasks;
mod tensorboard;
