//! Metrics and their intervals.

use crate::data::TaskKind;
use crate::evaluate::interval::{MAX_RESAMPLED_SCORES, RESAMPLES};
use crate::evaluate::numbers::{percent, thousands};
use crate::evaluate::{Interval, METRICS, Metric, Sums};
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
    let outputs = card.metadata.classes.len();
    let scores = |measured: &PartEvaluation| measured.report.rows as usize * outputs;
    let many = if card.measured.iter().any(|measured| scores(measured) > MAX_RESAMPLED_SCORES) {
        ", which are omitted for this many examples"
    } else {
        ""
    };
    let [decision, wilson, note] = explanation(card.task());
    format!(
        "{}\n{decision} {wilson}percentiles of {} bootstrap samples of the examples{many}. They cover sampling variation, not a shift \
         in the data. {note}\n\n{}",
        table(&columns, rows),
        thousands(RESAMPLES),
        parts.concat()
    )
}

/// How predictions are made, which intervals are not from a bootstrap, and a note on single metrics.
fn explanation(task: TaskKind) -> [&'static str; 3] {
    match task {
        TaskKind::Classification => [
            "The predicted class is the one with the highest probability; there is no other threshold.",
            "Intervals of accuracy, top-k accuracy and micro F1 are Wilson intervals; the others are ",
            "The calibration error has no interval, because resampling biases it upwards; the scaled one is measured after temperature \
             scaling, with the temperature fitted to these examples.",
        ],
        TaskKind::Multilabel => [
            "A label is assigned if its probability is at least the threshold of the label. The thresholds were tuned for the highest F1 \
             on the validation set, so exact match, F1 and Hamming loss there are optimistic; the mean average precision (mAP) does \
             not depend on them.",
            "The interval of exact match is a Wilson interval; the others are ",
            "They do not cover the choice of the thresholds.",
        ],
        TaskKind::Ranking => [
            "All items that a user did not choose before are ranked by their score.",
            "Intervals of NDCG, recall, hit rate and GAUC are ",
            "The examples that are drawn are users. The coverage has no interval, because resampling biases it.",
        ],
        TaskKind::Regression => [
            "Errors are in the unit of the predicted number. The prediction interval is fitted to the validation set by split conformal \
             prediction, so its coverage there is at least the promised one by construction.",
            "Intervals of the metrics are ",
            "An R² of 1 is exact, 0 is as good as always predicting the mean of the evaluated examples, and a negative one is worse.",
        ],
    }
}

fn count(card: &Card) -> Vec<String> {
    let cells =
        card.measured.iter().flat_map(|measured| [thousands(measured.report.rows as usize), String::new()]);
    std::iter::once("examples".to_string()).chain(cells).collect()
}

/// The figures of prediction sets, prediction intervals and out-of-distribution detection, which have no interval.
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

/// The metric of a constant prediction.
fn baseline(card: &Card, measured: &PartEvaluation) -> String {
    let part = if card.measured.len() > 1 { format!(", {} set", measured.name) } else { String::new() };
    if let Sums::Values(_) = measured.evaluation.sums {
        let parts = card.rows.of_classes.iter().map(|(name, _)| *name);
        let summary = parts.zip(&card.rows.of_values).find(|(name, _)| *name == measured.name);
        return summary.map_or(String::new(), |(_, values)| {
            format!("Baseline of the mean{part}: R² 0, root mean squared error {:.4}.\n", values.deviation)
        });
    }
    let classes = &measured.report.classes;
    let Some(largest) = classes.iter().max_by_key(|class| class.rows) else { return String::new() };
    if let Sums::Labels(_) = measured.evaluation.sums {
        // Assigned to every example, the label is right where it is present.
        let present: u64 = classes.iter().map(|label| label.rows).sum();
        let f1 = 2. * largest.rows as f64 / (measured.report.rows + present).max(1) as f64;
        let (f1, label) = (percent(Some(f1)), plain(&largest.class));
        return format!("Baseline of assigning {label} to every example{part}: micro F1 {f1}.\n");
    }
    let share = largest.rows as f64 / measured.report.rows as f64;
    format!("Majority-class baseline{part}: {} ({}).\n", percent(Some(share)), plain(&largest.class))
}
