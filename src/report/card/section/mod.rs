//! The sections of a card, in the order of Mitchell et al.

mod analyses;
mod data;
mod details;
mod factors;
mod groups;
mod labels;
mod limits;
mod loading;
mod metrics;
mod uses;
mod values;

use super::Card;
use super::markdown::plain;
use crate::data::TaskKind;
use crate::evaluate::Interval;
use crate::evaluate::numbers::thousands;

/// The lines below a heading.
type Section = fn(&Card) -> String;

/// Headings and sections.
pub const SECTIONS: &[(&str, Section)] = &[
    ("Model details", details::section),
    ("Intended use", uses::section),
    ("Factors", factors::section),
    ("Metrics", metrics::section),
    ("Evaluation and training data", data::section),
    ("Quantitative analyses", analyses::section),
    ("Ethical considerations", uses::ethics),
    ("Caveats and recommendations", limits::section),
    ("License", uses::license),
    ("How to use it", loading::section),
];

/// The introduction above the sections.
pub fn summary(card: &Card) -> String {
    let classes = &card.metadata.classes;
    let inputs = match &card.metadata.input.table {
        _ if card.has_images() => format!("images ({})", card.metadata.input.shape),
        Some(table) => format!("table rows ({} columns)", table.columns.len()),
        None => format!("inputs ({})", card.metadata.input.shape),
    };
    let names = match &classes[..] {
        [first, .., last] if classes.len() > 12 => format!("{} … {}", plain(first), plain(last)),
        few => few.iter().map(|class| plain(class)).collect::<Vec<_>>().join(", "),
    };
    let measured = card.measured.last().expect("the model was evaluated");
    let caution = if measured.name == "validation" { ", which also selected the epoch" } else { "" };
    let not_stated = card.about.not_stated();
    let missing = match not_stated.len() {
        0 => String::new(),
        _ => format!(
            "\n\nNot stated: {}.",
            not_stated.iter().map(|option| format!("`{option}`")).collect::<Vec<_>>().join(", ")
        ),
    };
    let what = match card.task() {
        TaskKind::Classification => {
            format!("A classifier of {inputs} into {} classes: {names}.", classes.len())
        }
        TaskKind::Multilabel => format!(
            "A multi-label classifier of {inputs}, which assigns any number of {} labels: {names}.",
            classes.len()
        ),
        TaskKind::Ranking => {
            let [users, items] = card.names().map(thousands);
            format!("A model that recommends {items} items to {users} users.")
        }
        TaskKind::Regression => format!("A regression model of {inputs}, which predicts a number: {names}."),
    };
    let rows = thousands(measured.report.rows as usize);
    let score = match measured.headline() {
        Some((metric, value, interval)) => {
            let interval = interval.map_or(String::new(), |Interval { low, high }| {
                format!(" (95 % interval: {} to {})", metric.show(low), metric.show(high))
            });
            let (name, part) = (metric.name, measured.name);
            let noun = if card.task() == TaskKind::Ranking { "choices" } else { "examples" };
            format!("Its {name} is **{}** on {rows} {part} {noun}{caution}{interval}.", metric.show(value))
        }
        None => format!("It was evaluated on {rows} {} examples{caution}.", measured.name),
    };
    format!(
        "{what} {score}\n\n\
         `cresset card` generated this card: facts come from the run folder, and metrics from a new evaluation of `model.pt`. \
         The author states the other fields; fields without a statement are marked.{missing}\n",
    )
}

/// A Markdown list.
fn list(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().map(|item| format!("- {item}\n")).collect()
}
