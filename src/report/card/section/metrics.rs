//! Metrics and their intervals.

use crate::evaluate::interval::{MAX_RESAMPLED_SCORES, RESAMPLES};
use crate::evaluate::numbers::{percent, thousands};
use crate::evaluate::{Interval, METRICS, Metric};
use crate::report::card::markdown::{plain, table};
use crate::report::card::{Card, PartEvaluation};

/// Renders the section.
pub fn section(card: &Card) -> String {
    let heads = card
        .measured
        .iter()
        .flat_map(|measured| [format!("{}:", measured.name), "95 % interval:".to_string()]);
    let columns: Vec<_> = std::iter::once("metric".to_string()).chain(heads).collect();
    let rows: Vec<_> = std::iter::once(count(card))
        .chain(card.measured[0].metrics().map(|(metric, ..)| row(card, metric)))
        .chain(further(card))
        .collect();
    let parts: Vec<_> = card.measured.iter().map(|measured| baseline(card, measured)).collect();
    let scores = |measured: &PartEvaluation| measured.report.rows as usize * measured.report.classes.len();
    let many = if card.measured.iter().any(|measured| scores(measured) > MAX_RESAMPLED_SCORES) {
        ", which are omitted for this many examples"
    } else {
        ""
    };
    format!(
        "{}\nThe predicted class is the one with the highest probability; there is no other threshold. Intervals of accuracy, \
         top-k accuracy and micro F1 are Wilson intervals; the others are percentiles of {} bootstrap samples of the examples{many}. \
         They cover sampling variation, not a shift in the data. The calibration error has no interval, because \
         resampling biases it upwards; the scaled one is measured after temperature scaling, with the temperature fitted \
         to these examples.\n\n{}",
        table(&columns, rows),
        thousands(RESAMPLES),
        parts.concat()
    )
}

fn count(card: &Card) -> Vec<String> {
    let cells =
        card.measured.iter().flat_map(|measured| [thousands(measured.report.rows as usize), String::new()]);
    std::iter::once("examples".to_string()).chain(cells).collect()
}

/// The figures of prediction sets and of out-of-distribution detection, which have no interval.
fn further(card: &Card) -> impl Iterator<Item = Vec<String>> {
    let is_metric = |name: &str| METRICS.iter().any(|metric| metric.name == name);
    let names = card.measured[0].report.metrics.iter().map(|figure| &figure.name);
    names.filter(move |name| !is_metric(name)).map(|name| {
        let cells = card.measured.iter().flat_map(|measured| {
            let figure = measured.report.metrics.iter().find(|figure| figure.name == *name);
            [figure.map_or("–".to_string(), |figure| figure.shown.clone()), "–".to_string()]
        });
        std::iter::once(name.clone()).chain(cells).collect()
    })
}

fn row(card: &Card, metric: &Metric) -> Vec<String> {
    let cells = card.measured.iter().flat_map(|measured| {
        let entry = measured.metrics().find(|(own, ..)| own.name == metric.name);
        let (value, interval) = entry.map_or((None, None), |(_, value, interval)| (Some(value), interval));
        let shown = |value: Option<f64>| value.map_or("–".to_string(), |value| metric.show(value));
        let ends = |Interval { low, high }| format!("{} to {}", metric.show(low), metric.show(high));
        [shown(value), interval.map_or("–".to_string(), ends)]
    });
    std::iter::once(metric.name.to_string()).chain(cells).collect()
}

/// The majority-class baseline.
fn baseline(card: &Card, measured: &PartEvaluation) -> String {
    let classes = &measured.report.classes;
    let Some(largest) = classes.iter().max_by_key(|class| class.rows) else { return String::new() };
    let share = largest.rows as f64 / measured.report.rows as f64;
    let part = if card.measured.len() > 1 { format!(", {} set", measured.name) } else { String::new() };
    format!("Majority-class baseline{part}: {} ({}).\n", percent(Some(share)), plain(&largest.class))
}
