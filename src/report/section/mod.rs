//! The sections of the page, in order. To add one, write a module with a `section` function and add it to [`SECTIONS`].

mod augmentation;
mod calibration;
mod classes;
mod confident_errors;
mod confusion;
mod curves;
mod data;
mod loading;
mod options;
mod summary;
mod timings;

use super::Report;

/// The HTML below a heading; `None` if there is nothing to show.
type Section = fn(&Report) -> Option<String>;

/// Headings and sections.
pub const SECTIONS: &[(&str, Section)] = &[
    ("Summary", summary::section),
    ("Curves", curves::section),
    ("Confusion matrix", confusion::section),
    ("Classes", classes::section),
    ("Calibration", calibration::section),
    ("Most confident errors", confident_errors::section),
    ("Augmentation", augmentation::section),
    ("Data", data::section),
    ("Timings", timings::section),
    ("Options", options::section),
    ("Usage", loading::section),
];

/// Tiles of figures: label, value and note, all HTML.
fn tiles(tiles: &[(&str, String, String)]) -> String {
    let tile = |(name, value, remark): &(&str, String, String)| {
        format!("<div><dt>{name}</dt><dd>{value}<small>{remark}</small></dd></div>")
    };
    format!("<dl class=\"tiles\">{}</dl>\n", tiles.iter().map(tile).collect::<String>())
}
