//! The frame of the page.

use super::Report;
use super::section::SECTIONS;
use crate::report::html::{escaped, policy};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Renders the page.
pub fn of(report: &Report) -> String {
    let name = escaped(&report.name);
    let sections: Vec<_> = SECTIONS
        .iter()
        .filter_map(|(title, section)| {
            let id: String = title.to_lowercase().replace(' ', "-");
            Some((id, *title, section(report)?))
        })
        .collect();
    let links: String =
        sections.iter().map(|(id, title, _)| format!("<a href=\"#{id}\">{title}</a>")).collect();
    let bodies: String = sections
        .iter()
        .map(|(id, title, body)| format!("<section id=\"{id}\"><h2>{title}</h2>\n{body}</section>\n"))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"{policy}\">\n<title>{name}</title>\n<style>{STYLE}</style></head>\n<body><header><h1>{name}</h1>\
         <nav>{links}</nav></header>\n<main>\n{bodies}</main>\n<footer>Written by cresset {version} with libtorch {libtorch}; \
         measured on the validation set, which also selected the epoch.</footer>\n<script>{SCRIPT}</script></body></html>\n",
        policy = policy(STYLE, Some(SCRIPT)),
        version = env!("CARGO_PKG_VERSION"),
        libtorch = cresset_bridge::LIBTORCH_VERSION,
    )
}
