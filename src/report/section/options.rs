//! How to do it again.

use super::Report;
use crate::config::Config;
use crate::html::escaped;

pub fn section(report: &Report) -> Option<String> {
    let usual = Config::default().to_toml();
    let own = report.config.to_toml();
    let changed: Vec<&str> = own.lines().filter(|line| !usual.lines().any(|usual| usual == *line)).collect();
    let changed = match changed.len() {
        0 => "<p>All options have their defaults.</p>\n".to_string(),
        _ => format!("<pre>{}\n</pre>\n", escaped(&changed.join("\n"))),
    };
    let row = |line: &str| {
        let (name, value) = line.split_once(" = ").unwrap_or((line, ""));
        format!("<tr><td>{}</td><td>{}</td></tr>", escaped(name), escaped(value))
    };
    Some(format!(
        "<p>Again: <code>cresset train --config {name}/config.toml</code>. What differs from the defaults:</p>\n{changed}\
         <details><summary>All options</summary><div class=\"wide\"><table class=\"options\">{}</table></div></details>\n",
        own.lines().map(row).collect::<String>(),
        name = escaped(&report.name),
    ))
}
