//! The key figures.

use super::Report;
use crate::evaluate::interval::wilson;
use crate::evaluate::numbers::{percent, thousands};
use crate::options::portable;
use crate::report::html::escaped;

pub fn section(report: &Report) -> Option<String> {
    let confusion = &report.evaluation.confusion;
    let range = wilson(confusion.correct(), confusion.total());
    let range = range.map_or(String::new(), |range| {
        format!("95 % interval: {} to {}", percent(Some(range.low)), percent(Some(range.high)))
    });
    let rows = report.metadata.metrics.train_rows;
    let mut tiles = vec![
        ("validation accuracy", percent(Some(confusion.accuracy())), range),
        ("validation loss", format!("{:.4}", report.evaluation.loss), "cross-entropy, nats".to_string()),
        (
            "training examples",
            thousands(rows),
            format!("{} for validation", thousands(confusion.total() as usize)),
        ),
        ("classes", report.metadata.classes.len().to_string(), String::new()),
        (
            "model",
            escaped(&portable("model", &report.config.model)),
            format!("{} parameters", thousands(report.parameters)),
        ),
        (
            "epochs",
            report.epochs.len().to_string(),
            format!("weights of epoch {}", report.metadata.metrics.epoch),
        ),
    ];
    if let Some(test) = &report.metadata.metrics.test {
        let accuracy = test.figures.get("accuracy").and_then(serde_json::Value::as_f64);
        tiles.insert(
            1,
            ("test accuracy", percent(accuracy), format!("{} examples", thousands(test.rows as usize))),
        );
    }
    Some(super::tiles(&tiles))
}
