//! Events of a training run on standard output, one JSON object per line (`--events json`). docs/events.md has the schema.

mod results;
mod training;

use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

pub use results::{compared, cross_validated, label_errors, promotion};
pub use training::{TrainingEvents, finished, interrupted, started, stopped_early};

/// The version of the schema. Other fields and events may be added to a version.
const VERSION: u32 = 1;

/// Format of the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EventFormat {
    /// one JSON object per line
    Json,
}

static ON: AtomicBool = AtomicBool::new(false);

/// Writes events from now on. Before, [`emit`] does nothing.
pub fn start() {
    ON.store(true, Ordering::Relaxed);
}

/// Whether events are written.
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Writes an event with these fields, which are an object. Numbers that are not finite are `null`.
pub fn emit(event: &str, fields: Value) {
    if !is_on() {
        return;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0., |time| time.as_secs_f64());
    let mut object = Map::from_iter([
        ("event".to_string(), event.into()),
        // Milliseconds.
        ("time".to_string(), ((now * 1e3).round() / 1e3).into()),
    ]);
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    // An error is ignored, as for the display: training goes on without a reader.
    let _ = crate::put(&format!("{}\n", Value::Object(object)));
}

/// The command failed with this message. `exit_code` is 1 or 2.
pub fn failed(message: &str, exit_code: i32) {
    emit("error", json!({ "message": message, "exit_code": exit_code }));
}

/// The user should know this.
pub fn warning(message: &str) {
    emit("warning", json!({ "message": message }));
}

/// Writes warnings of the log as events.
pub struct Warnings;

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if is_on() {
            let mut text = Message::default();
            event.record(&mut text);
            warning(&text.0);
        }
    }
}

/// The message of a log event, followed by its fields as `name=value`.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
        written.expect("writing to a string does not fail");
    }
}
