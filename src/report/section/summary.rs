//! The key figures.

use super::Report;
use crate::evaluate::interval::wilson;
use crate::evaluate::numbers::{percent, thousands};
use crate::evaluate::{Evaluation, METRICS, Sums};
use crate::options::portable;
use crate::report::html::escaped;

pub fn section(report: &Report) -> Option<String> {
    let evaluation = &report.evaluation;
    let (name, score, range) = score(evaluation);
    let rows = report.metadata.metrics.train_rows;
    let mut tiles = vec![
        (name, score, range),
        ("validation loss", format!("{:.4}", evaluation.loss), loss_unit(&evaluation.sums).to_string()),
        (
            "training examples",
            thousands(rows),
            match report.config.bag {
                0 => format!("{} for validation", thousands(evaluation.rows() as usize)),
                bag => format!("in {bag} folds, each validates the model trained without it"),
            },
        ),
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
    let predicted = report.metadata.classes.len().to_string();
    match evaluation.sums {
        Sums::Classes(_) => tiles.insert(3, ("classes", predicted, String::new())),
        Sums::Labels(_) => tiles.insert(3, ("labels", predicted, String::new())),
        Sums::Values(_) | Sums::Ranking(_) => {}
    }
    if let Some(test) = &report.metadata.metrics.test {
        let (metric, name) = match evaluation.sums {
            Sums::Classes(_) => (METRICS.iter().find(|metric| metric.name == "accuracy"), "test accuracy"),
            Sums::Labels(_) => (METRICS.iter().find(|metric| metric.name == "micro F1"), "test micro F1"),
            Sums::Values(_) => (METRICS.iter().find(|metric| metric.name == "R²"), "test R²"),
            Sums::Ranking(_) => (METRICS.iter().find(|metric| metric.name == "NDCG@10"), "test NDCG@10"),
        };
        let metric = metric.expect("the metric is registered");
        let value = test.figures.get(metric.name).and_then(serde_json::Value::as_f64);
        let shown = value.map_or("–".to_string(), |value| metric.show(value));
        tiles.insert(1, (name, shown, format!("{} examples", thousands(test.rows as usize))));
    }
    Some(super::tiles(&tiles))
}

/// The name and value of the main metric, and its interval or another metric.
fn score(evaluation: &Evaluation) -> (&'static str, String, String) {
    match &evaluation.sums {
        Sums::Classes(confusion) => {
            let range = wilson(confusion.correct(), confusion.total());
            let range = range.map_or(String::new(), |range| {
                format!("95 % interval: {} to {}", percent(Some(range.low)), percent(Some(range.high)))
            });
            ("validation accuracy", percent(Some(confusion.accuracy())), range)
        }
        Sums::Labels(counts) => {
            let exact = format!("all labels correct: {}", percent(Some(counts.exact_match())));
            ("validation micro F1", percent(Some(counts.micro_f1())), exact)
        }
        Sums::Ranking(sums) => {
            let hits = format!("hit rate@10: {:.4}", sums.hit_rate());
            ("validation NDCG@10", format!("{:.4}", sums.ndcg()), hits)
        }
        Sums::Values(errors) => {
            let r2 = errors.r2().map_or("–".to_string(), |r2| format!("{r2:.4}"));
            ("validation R²", r2, format!("mean absolute error {:.4}", errors.mae()))
        }
    }
}

fn loss_unit(sums: &Sums) -> &'static str {
    match sums {
        Sums::Classes(_) => "cross-entropy, nats",
        Sums::Labels(_) => "binary cross-entropy, nats",
        Sums::Ranking(_) => "cross-entropy of the softmax over the items, nats",
        Sums::Values(_) => "squared error over the variance of the training values",
    }
}
