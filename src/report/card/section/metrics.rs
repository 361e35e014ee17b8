//! How good the model is, and how sure that is.

use crate::evaluate::interval::{MOST_SCORES, RESAMPLES};
use crate::evaluate::numbers::{percent, thousands};
use crate::evaluate::{Interval, Metric};
use crate::report::card::markdown::{plain, table};
use crate::report::card::{Card, Measured};

/// The section.
pub fn section(card: &Card) -> String {
    let heads = card
        .measured
        .iter()
        .flat_map(|measured| [format!("{}:", measured.name), "95 % interval:".to_string()]);
    let columns: Vec<_> = std::iter::once("metric".to_string()).chain(heads).collect();
    let rows: Vec<_> = std::iter::once(count(card))
        .chain(card.measured[0].metrics().map(|(metric, ..)| row(card, metric)))
        .collect();
    let parts: Vec<_> = card.measured.iter().map(|measured| baseline(card, measured)).collect();
    let scores = |measured: &Measured| measured.report.rows as usize * measured.report.classes.len();
    let many = if card.measured.iter().any(|measured| scores(measured) > MOST_SCORES) {
        ", which are not drawn where there are so many rows"
    } else {
        ""
    };
    format!(
        "{}\nThe class with the greatest probability is the answer; there is no other threshold. Intervals of accuracy, top-k \
         accuracy and micro F1 are Wilson's; the others are percentiles of {} bootstrap samples of the rows{many}. They say what \
         chance in the choice of rows can do, not what data of another origin does. The calibration error has none, because \
         drawing rows twice enlarges it; scaled is what it would be if the logits were divided by the temperature, which is fitted \
         to these very rows.\n\n{}",
        table(&columns, rows),
        thousands(RESAMPLES),
        parts.concat()
    )
}

fn count(card: &Card) -> Vec<String> {
    let cells =
        card.measured.iter().flat_map(|measured| [thousands(measured.report.rows as usize), String::new()]);
    std::iter::once("rows".to_string()).chain(cells).collect()
}

fn row(card: &Card, metric: &Metric) -> Vec<String> {
    let cells = card.measured.iter().flat_map(|measured| {
        let found = measured.metrics().find(|(own, ..)| own.name == metric.name);
        let (value, interval) = found.map_or((None, None), |(_, value, interval)| (Some(value), interval));
        let shown = |value: Option<f64>| value.map_or("–".to_string(), |value| metric.show(value));
        let ends = |Interval { low, high }| format!("{} to {}", metric.show(low), metric.show(high));
        [shown(value), interval.map_or("–".to_string(), ends)]
    });
    std::iter::once(metric.name.to_string()).chain(cells).collect()
}

/// What an answer that never changes would reach.
fn baseline(card: &Card, measured: &Measured) -> String {
    let classes = &measured.report.classes;
    let Some(largest) = classes.iter().max_by_key(|class| class.rows) else { return String::new() };
    let share = largest.rows as f64 / measured.report.rows as f64;
    let of = if card.measured.len() > 1 {
        format!(" On the {} rows, always", measured.name)
    } else {
        "Always".to_string()
    };
    format!("{of} answering {} would be right in {}.\n", plain(&largest.class), percent(Some(share)))
}
