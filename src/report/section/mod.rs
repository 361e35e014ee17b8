//! The sections of the page, in order. To add one, write a module with a `section` function and add it to [`SECTIONS`].

mod augmentation;
mod calibration;
mod classes;
mod columns;
mod confident_errors;
mod confusion;
mod curves;
mod data;
mod labels;
mod loading;
mod options;
mod recommendations;
mod served;
mod summary;
mod texts;
mod timings;
mod values;

use super::Report;
use crate::evaluate::MetricValue;

/// The HTML below a heading; `None` if there is nothing to show.
type Section = fn(&Report) -> Option<String>;

/// Headings and sections.
pub const SECTIONS: &[(&str, Section)] = &[
    ("Summary", summary::section),
    ("Curves", curves::section),
    ("Confusion matrix", confusion::section),
    ("Classes", classes::section),
    ("Labels", labels::section),
    ("Predicted values", values::section),
    ("Recommendations", recommendations::section),
    ("Calibration", calibration::section),
    ("Columns", columns::section),
    ("Text length", texts::section),
    ("Most confident errors", confident_errors::section),
    ("Largest errors", confident_errors::largest),
    ("Served inputs", served::section),
    ("Augmentation", augmentation::section),
    ("Data", data::section),
    ("Timings", timings::section),
    ("Options", options::section),
    ("Usage", loading::section),
];

/// All metrics on the validation set, and on the test set if it was measured.
fn metric_table(report: &Report) -> String {
    let row = |figure: &MetricValue| {
        let test = report.test.as_ref().map(|test| {
            let found = test.metrics.iter().find(|other| other.name == figure.name);
            format!("<td>{}</td>", found.map_or("–", |other| other.shown.as_str()))
        });
        format!("<tr><td>{}</td><td>{}</td>{}</tr>", figure.name, figure.shown, test.unwrap_or_default())
    };
    let head = match report.test {
        Some(_) => "<tr><th></th><th>validation</th><th>test</th></tr>",
        None => "",
    };
    format!(
        "<details{}><summary>All metrics</summary><div class=\"wide\"><table>{head}{}</table></div></details>\n",
        // Classes and labels have a table of their own above.
        if report.figures.classes.is_empty() { " open" } else { "" },
        report.figures.metrics.iter().map(row).collect::<String>()
    )
}

/// A number with about six significant digits.
fn number(value: f64) -> String {
    let places = (5. - value.abs().max(1e-3).log10().floor()).clamp(0., 6.) as usize;
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

/// Tiles of figures: label, value and note, all HTML.
fn tiles(tiles: &[(&str, String, String)]) -> String {
    let tile = |(name, value, remark): &(&str, String, String)| {
        format!("<div><dt>{name}</dt><dd>{value}<small>{remark}</small></dd></div>")
    };
    format!("<dl class=\"tiles\">{}</dl>\n", tiles.iter().map(tile).collect::<String>())
}
