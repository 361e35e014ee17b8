//! The sections of a card, in the order of Mitchell et al.

mod analyses;
mod data;
mod details;
mod factors;
mod groups;
mod limits;
mod loading;
mod metrics;
mod uses;

use super::Card;
use super::markdown::plain;
use crate::evaluate::numbers::{percent, thousands};

/// What is below a heading: whole lines.
type Section = fn(&Card) -> String;

/// The sections, each with its heading.
pub const SECTIONS: &[(&str, Section)] = &[
    ("Model details", details::section),
    ("Intended use", uses::section),
    ("Factors", factors::section),
    ("Metrics", metrics::section),
    ("Evaluation and training data", data::section),
    ("Quantitative analyses", analyses::section),
    ("Ethical considerations", uses::ethics),
    ("Caveats and recommendations", limits::section),
    ("Licence", uses::licence),
    ("How to use it", loading::section),
];

/// What stands above the sections.
pub fn summary(card: &Card) -> String {
    let classes = &card.metadata.classes;
    let inputs = match &card.metadata.input.table {
        _ if card.has_pictures() => format!("pictures ({})", card.metadata.input.shape),
        Some(table) => format!("rows of a table ({} columns)", table.columns.len()),
        None => format!("inputs ({})", card.metadata.input.shape),
    };
    let names = match &classes[..] {
        [first, .., last] if classes.len() > 12 => format!("{} … {}", plain(first), plain(last)),
        few => few.iter().map(|class| plain(class)).collect::<Vec<_>>().join(", "),
    };
    let measured = card.measured.last().expect("something is measured");
    let (accuracy, interval) = measured.accuracy();
    let caution = if measured.name == "held-out" { ", which also chose the epoch" } else { "" };
    let not_stated = card.about.not_stated();
    let missing = match not_stated.len() {
        0 => String::new(),
        _ => format!(
            "\n\nNot stated so far: {}.",
            not_stated.iter().map(|option| format!("`{option}`")).collect::<Vec<_>>().join(", ")
        ),
    };
    format!(
        "A classifier of {inputs} into {} classes: {names}. It is right on **{}** of {} {} rows{caution} (95 % interval: {} to {}).\n\n\
         Figures and facts in this card come from the files of the run and from measuring `model.pt` anew, by \
         `cresset card`. What only people can know is told in their words, and where they told nothing, the card says so.{missing}\n",
        classes.len(),
        percent(Some(accuracy)),
        thousands(measured.report.rows as usize),
        measured.name,
        percent(Some(interval.low)),
        percent(Some(interval.high)),
    )
}

/// Lines of a list.
fn list(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().map(|item| format!("- {item}\n")).collect()
}
