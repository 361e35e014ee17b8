//! The options of the run.

use std::path::Path;

use super::Report;
use crate::data::terminal::argument;
use crate::options::Config;
use crate::report::html::escaped;

pub fn section(report: &Report) -> Option<String> {
    let usual = Config::default().entries();
    let own = report.config.portable_entries();
    let line = |(name, value): &(&str, toml::Value)| escaped(&format!("{name} = {}", shown(value)));
    let changed: Vec<_> = own.iter().filter(|entry| !usual.contains(entry)).map(line).collect();
    let changed = match changed.len() {
        0 => "<p>All options have their defaults.</p>\n".to_string(),
        _ => format!("<pre>{}\n</pre>\n", changed.join("\n")),
    };
    let row = |(name, value): &(&str, toml::Value)| {
        format!("<tr><td>{name}</td><td>{}</td></tr>", escaped(&shown(value)))
    };
    Some(format!(
        "<p>To reproduce this run: <code>cresset train --config {name}/config.toml</code>. Options that differ from the defaults:</p>\n{changed}\
         <details><summary>All options</summary><div class=\"wide\"><table class=\"options\">{}</table></div></details>\n",
        own.iter().map(row).collect::<String>(),
        name = escaped(&argument(Path::new(&report.name))),
    ))
}

/// A TOML value on one line.
fn shown(value: &toml::Value) -> String {
    match value.as_str() {
        Some(text) => serde_json::to_string(text).expect("a string serializes"),
        None => value.to_string(),
    }
}
