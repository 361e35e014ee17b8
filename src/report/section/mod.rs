//! The sections of the page, in the order in which they are read. To add one, write a file with a function and put it here.

mod augmentation;
mod calibration;
mod classes;
mod confusion;
mod curves;
mod data;
mod loading;
mod mistakes;
mod options;
mod summary;
mod timings;

use super::Report;

/// What is below a heading, as HTML; none where there is nothing to show.
type Section = fn(&Report) -> Option<String>;

/// The sections, each with its heading.
pub const SECTIONS: &[(&str, Section)] = &[
    ("Summary", summary::section),
    ("Curves", curves::section),
    ("Confusion", confusion::section),
    ("Classes", classes::section),
    ("Calibration", calibration::section),
    ("Mistakes", mistakes::section),
    ("Augmentation", augmentation::section),
    ("Data", data::section),
    ("Timings", timings::section),
    ("Options", options::section),
    ("Loading", loading::section),
];

/// Figures side by side: what each is, its value, and a remark; all HTML.
fn tiles(tiles: &[(&str, String, String)]) -> String {
    let tile = |(name, value, remark): &(&str, String, String)| {
        format!("<div><dt>{name}</dt><dd>{value}<small>{remark}</small></dd></div>")
    };
    format!("<dl class=\"tiles\">{}</dl>\n", tiles.iter().map(tile).collect::<String>())
}
