//! The HTTP server and its page.

mod access;
mod corrections;
mod drift;
mod fixtures;
mod limits;
mod openapi;
mod playground;
mod recommend;
mod requests;
mod running;
#[path = "../support/mod.rs"]
mod support;
mod tasks;
mod telemetry;
