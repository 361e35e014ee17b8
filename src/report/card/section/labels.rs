//! Metrics and errors per label.

use crate::evaluate::ClassMetrics;
use crate::evaluate::interval::wilson;
use crate::evaluate::numbers::{percent, thousands};
use crate::report::card::PartEvaluation;
use crate::report::card::markdown::{plain, table};

/// With more labels than this, only the worst are shown.
const MAX_LABELS: usize = 50;

/// The labels with their indexes, at most [`MAX_LABELS`], and a note if some are left out.
fn shown(measured: &PartEvaluation) -> (Vec<(usize, &ClassMetrics)>, String) {
    let mut labels: Vec<_> = measured.report.classes.iter().enumerate().collect();
    let all = labels.len();
    if all <= MAX_LABELS {
        return (labels, String::new());
    }
    labels.sort_by(|(_, a), (_, b)| a.f1.unwrap_or(0.).total_cmp(&b.f1.unwrap_or(0.)));
    labels.truncate(MAX_LABELS);
    (labels, format!("\nOnly the {MAX_LABELS} of {all} labels with the lowest F1 are shown.\n"))
}

/// The metrics and the threshold of each label; empty for other tasks.
pub fn table_of(measured: &PartEvaluation) -> String {
    let Some(counts) = measured.evaluation.labels() else { return String::new() };
    let row = |(index, figures): (usize, &ClassMetrics)| {
        let interval = wilson(counts.true_positives(index), figures.rows);
        let interval = interval.map_or("–".to_string(), |ends| {
            format!("{} to {}", percent(Some(ends.low)), percent(Some(ends.high)))
        });
        vec![
            plain(&figures.class),
            thousands(figures.rows as usize),
            percent(figures.precision),
            percent(figures.recall),
            interval,
            percent(figures.f1),
            percent(figures.average_precision),
            figures.threshold.map_or("–".to_string(), |threshold| format!("{threshold:.4}")),
        ]
    };
    let columns = [
        "label",
        "examples:",
        "precision:",
        "recall:",
        "95 % interval of the recall:",
        "F1:",
        "average precision:",
        "threshold:",
    ];
    let (labels, note) = shown(measured);
    let tuned = match measured.name {
        "validation" => {
            "\nThe thresholds were tuned on these examples, so precision, recall and F1 are optimistic.\n"
        }
        _ => "\nThe thresholds were tuned on the validation set.\n",
    };
    format!("### Labels\n\n{}{note}{tuned}", table(&columns, labels.into_iter().map(row)))
}

/// The wrong decisions about each label; empty for other tasks.
pub fn errors(measured: &PartEvaluation) -> String {
    let Some(counts) = measured.evaluation.labels() else { return String::new() };
    let row = |(index, figures): (usize, &ClassMetrics)| {
        let (right, rows) = (counts.true_positives(index), counts.examples());
        let [assigned, missed] = [counts.predicted(index) - right, figures.rows - right];
        let wrong = percent(Some((assigned + missed) as f64 / rows.max(1) as f64));
        vec![plain(&figures.class), thousands(assigned as usize), thousands(missed as usize), wrong]
    };
    let columns = ["label", "false positives:", "false negatives:", "share of wrong decisions:"];
    let (labels, note) = shown(measured);
    format!("### Errors\n\n{}{note}", table(&columns, labels.into_iter().map(row)))
}
