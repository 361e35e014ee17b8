//! Loss, accuracy and learning rate by epoch.

use super::Report;
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
        curves(
            "Accuracy, %",
            " %",
            &epochs,
            &[
                curve("training", "--one", |record| 100. * record.train_accuracy),
                curve("validation", "--two", |record| 100. * record.validation_accuracy),
            ],
        ),
        curves("Learning rate", "", &epochs, &[curve("learning rate", "--one", |record| record.lr)]),
    ];
    Some(format!("<div class=\"plots\">{}</div>\n{}", plots.concat(), table(report)))
}

fn table(report: &Report) -> String {
    let skipped = report.epochs.len().saturating_sub(MAX_LISTED);
    let row = |record: &EpochRecord| {
        format!(
            "<tr><td>{}</td><td>{:.4}</td><td>{:.2} %</td><td>{:.4}</td><td>{:.2} %</td></tr>",
            record.epoch,
            record.train_loss,
            100. * record.train_accuracy,
            record.validation_loss,
            100. * record.validation_accuracy
        )
    };
    format!(
        "<details><summary>The last {} epochs as a table</summary><div class=\"wide\"><table><tr><th>epoch</th><th>training \
         loss</th><th>accuracy</th><th>validation loss</th><th>accuracy</th></tr>{}</table></div></details>\n",
        report.epochs.len() - skipped,
        report.epochs[skipped..].iter().map(row).collect::<String>()
    )
}
