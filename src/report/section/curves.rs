//! Loss, score and learning rate by epoch.

use super::Report;
use crate::data::TaskKind;
use crate::report::plot::{Curve, curves};
use crate::train::EpochRecord;

/// Maximum number of epochs in the table below the curves.
const MAX_LISTED: usize = 200;

pub fn section(report: &Report) -> Option<String> {
    let epochs: Vec<u32> = report.epochs.iter().map(|record| record.epoch).collect();
    if epochs.is_empty() {
        return None;
    }
    let curve = |name, color, of: fn(&EpochRecord) -> f64| Curve {
        name,
        color,
        values: report.epochs.iter().map(of).collect(),
    };
    let plots = [
        curves(
            "Loss",
            "",
            &epochs,
            &[
                curve("training", "--one", |record| record.train_loss),
                curve("validation", "--two", |record| record.validation_loss),
            ],
        ),
        score(report, &epochs),
        curves("Learning rate", "", &epochs, &[curve("learning rate", "--one", |record| record.lr)]),
    ];
    Some(format!("<div class=\"plots\">{}</div>\n{}", plots.concat(), table(report)))
}

/// The score of the task: accuracy or F1 in percent, or R².
fn score(report: &Report, epochs: &[u32]) -> String {
    let (title, unit, scale) = match report.metadata.outputs.task() {
        TaskKind::Classification => ("Accuracy, %", " %", 100.),
        TaskKind::Multilabel => ("F1, %", " %", 100.),
        TaskKind::Regression => ("R²", "", 1.),
        TaskKind::Ranking => ("NDCG@10", "", 1.),
    };
    let curve = |name, color, of: fn(&EpochRecord) -> f64| Curve {
        name,
        color,
        values: report.epochs.iter().map(|record| scale * of(record)).collect(),
    };
    let both = [
        curve("training", "--one", |record| record.train_accuracy),
        curve("validation", "--two", |record| record.validation_accuracy),
    ];
    curves(title, unit, epochs, &both)
}

fn table(report: &Report) -> String {
    let skipped = report.epochs.len().saturating_sub(MAX_LISTED);
    let outputs = &report.metadata.outputs;
    let row = |record: &EpochRecord| {
        format!(
            "<tr><td>{}</td><td>{:.4}</td><td>{}</td><td>{:.4}</td><td>{}</td></tr>",
            record.epoch,
            record.train_loss,
            outputs.show_score(record.train_accuracy),
            record.validation_loss,
            outputs.show_score(record.validation_accuracy)
        )
    };
    format!(
        "<details><summary>The last {} epochs as a table</summary><div class=\"wide\"><table><tr><th>epoch</th><th>training \
         loss</th><th>{score}</th><th>validation loss</th><th>{score}</th></tr>{}</table></div></details>\n",
        report.epochs.len() - skipped,
        report.epochs[skipped..].iter().map(row).collect::<String>(),
        score = outputs.score_name()
    )
}
